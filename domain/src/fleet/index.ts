/** Many hosts: which are meant, which a file names, and in which order a change reaches them. */

export * from "./inventory/index.ts";
export * from "./names.ts";
export * from "./rollout.ts";
export * from "./selector.ts";
