export * from "./emission.ts";
export * from "./export.ts";
export * from "./nftables.ts";
export * from "./pf.ts";
export * from "./pf-emergency.ts";
export { type PfAnchor, type PfRule, parsePfAnchor } from "./pf-grammar.ts";
export { type PfPacket, walkPf } from "./pf-walk.ts";
