export * from "./chain.ts";
export * from "./follow.ts";
