import type { TextShape } from "./shape.ts";

export const MAX_DOMAIN_NAME_LENGTH = 253;

/** At least two labels, `*` only as the whole first one; a dot at the end means the same name. No top label of digits. */
export const DOMAIN_NAME = {
  type: "text",
  pattern: /^(\*\.)?([A-Za-z0-9]([-A-Za-z0-9_]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([-A-Za-z0-9_]{0,61}[A-Za-z0-9])?\.?$/,
  maxLength: MAX_DOMAIN_NAME_LENGTH + 1,
} as const satisfies TextShape;
