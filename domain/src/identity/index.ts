/** Who somebody is: SPIFFE IDs and the identities of a cluster. Pure; certificates are read elsewhere. */
export * from "./authorise.ts";
export * from "./spiffe-id.ts";
export * from "./wardline-id.ts";
