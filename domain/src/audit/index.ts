export * from "./chain.ts";
export * from "./cut.ts";
export * from "./follow.ts";
