export * from "./emission.ts";
export * from "./nftables.ts";
export * from "./pf.ts";
