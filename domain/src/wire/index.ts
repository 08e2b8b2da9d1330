/**
 * Converters between domain values and the wire (`api`), used by agent, backend and command line. The only place where
 * one becomes the other.
 */
export * from "./audit.ts";
export * from "./decision.ts";
export * from "./diagnostic.ts";
export * from "./failure.ts";
export * from "./finding.ts";
export * from "./flow-record.ts";
export * from "./healing.ts";
export * from "./policy-enums.ts";
export * from "./timestamp.ts";
