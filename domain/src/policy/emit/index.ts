export * from "./emission.ts";
export * from "./export.ts";
export * from "./nftables.ts";
export * from "./pf.ts";
