export const CONSOLE_VERSION = "0.1.0";

/** Set by the bundler; `development` when the sources run as they are. */
export const CONSOLE_BUILD = process.env.WARDLINE_BUILD ?? "development";

/** Revisions of `wardline.agent.v1` that this console speaks. */
export const API_MIN = 1;
export const API_MAX = 1;
