export * from "./emission.ts";
export * from "./export.ts";
export { checkNftablesTableName, emitNftables, type NftablesOptions } from "./nftables.ts";
export { nftablesDecisionName } from "./nftables-judging.ts";
export * from "./nftables-pieces.ts";
export * from "./nftables-slot.ts";
export * from "./pf.ts";
