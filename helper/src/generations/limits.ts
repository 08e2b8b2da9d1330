export const CONFIRM_WITHIN_MIN_MS = 5_000;
export const CONFIRM_WITHIN_MAX_MS = 3_600_000;
/** The datapath falls back this long after the agent would have: a confirmation at the last moment does not race it. */
export const DATAPATH_MARGIN_MS = 500;
