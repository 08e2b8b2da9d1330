/** Observations for tests and measurements of other packages. */
export * from "./observations.ts";
