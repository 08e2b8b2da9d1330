/** What this build is. The bundler replaces the two names; from source they are taken as they stand. */
declare const WARDLINE_VERSION: string | undefined;
declare const WARDLINE_BUILD: string | undefined;

export const AGENT_VERSION = typeof WARDLINE_VERSION === "string" ? WARDLINE_VERSION : "0.1.0";
/** Commit that it was built from, or `source`. */
export const AGENT_BUILD = typeof WARDLINE_BUILD === "string" ? WARDLINE_BUILD : "source";
/** Revisions of wardline.agent.v1 that this agent speaks. */
export const API_MIN = 1;
export const API_MAX = 1;
