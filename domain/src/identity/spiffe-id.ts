/**
 * SPIFFE IDs: `spiffe://TRUST-DOMAIN/PATH`. The grammar is the one of the SPIFFE ID standard, taken by its letter: nothing is
 * decoded, folded or trimmed, so that two ids are the same exactly when their texts are.
 */

const SCHEME = "spiffe://";
/** Bytes of the whole id; all its characters are ASCII, so characters are bytes. */
export const MAX_SPIFFE_ID_BYTES = 2_048;
export const MAX_TRUST_DOMAIN_BYTES = 255;

const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const PATH_SEGMENT = /^[A-Za-z0-9._-]+$/;

export interface SpiffeId {
  readonly trustDomain: string;
  /** At least one: an id of a workload has a path. None is empty, `.` or `..`. */
  readonly segments: readonly string[];
}

export function isTrustDomain(text: string): boolean {
  return text.length <= MAX_TRUST_DOMAIN_BYTES && TRUST_DOMAIN.test(text);
}

function isSegment(text: string): boolean {
  return text !== "." && text !== ".." && PATH_SEGMENT.test(text);
}

/** `null` for everything that is not the id of a workload; an id without a path names a trust domain and is refused too. */
export function parseSpiffeId(text: string): SpiffeId | null {
  if (text.length > MAX_SPIFFE_ID_BYTES || !text.startsWith(SCHEME)) return null;
  const [trustDomain, ...segments] = text.slice(SCHEME.length).split("/");
  if (trustDomain === undefined || !isTrustDomain(trustDomain)) return null;
  if (segments.length === 0 || !segments.every(isSegment)) return null;
  return { trustDomain, segments };
}

/** Throws RangeError for parts that make no valid id: the caller has checked them. */
export function formatSpiffeId({ trustDomain, segments }: SpiffeId): string {
  const text = `${SCHEME}${trustDomain}/${segments.join("/")}`;
  if (segments.some((segment) => segment.includes("/")) || parseSpiffeId(text) === null) {
    throw new RangeError("these parts make no SPIFFE ID");
  }
  return text;
}

export function sameSpiffeId(a: SpiffeId, b: SpiffeId): boolean {
  return (
    a.trustDomain === b.trustDomain &&
    a.segments.length === b.segments.length &&
    a.segments.every((segment, index) => segment === b.segments[index])
  );
}
