import type { TextShape } from "./shape.ts";

export const MAX_DOMAIN_NAME_LENGTH = 253;

/** At least two labels, `*` only as the whole first one; a dot at the end means the same name. No top label of digits. */
export const DOMAIN_NAME = {
  type: "text",
  pattern: /^(\*\.)?([A-Za-z0-9]([-A-Za-z0-9_]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([-A-Za-z0-9_]{0,61}[A-Za-z0-9])?\.?$/,
  maxLength: MAX_DOMAIN_NAME_LENGTH + 1,
} as const satisfies TextShape;

/**
 * The same, and names of services as in `_postgres._tcp.example.org` (RFC 2782), which stand for the addresses of their
 * targets. Only in Wardline's own kinds.
 */
export const DOMAIN_OR_SERVICE_NAME = {
  ...DOMAIN_NAME,
  pattern:
    /^(\*\.|_[A-Za-z0-9]([-A-Za-z0-9]{0,60}[A-Za-z0-9])?\._(tcp|udp|sctp)\.)?([A-Za-z0-9]([-A-Za-z0-9_]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([-A-Za-z0-9_]{0,61}[A-Za-z0-9])?\.?$/,
} as const satisfies TextShape;
