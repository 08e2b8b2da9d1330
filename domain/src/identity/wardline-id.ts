/** The two kinds of identities that a cluster's authority gives: `spiffe://<domain>/host/<name>` and `…/server/<name>`. */
import { formatSpiffeId, isTrustDomain, parseSpiffeId, type SpiffeId } from "./spiffe-id.ts";

export type IdentityKind = "host" | "server";

export interface WardlineId {
  readonly trustDomain: string;
  readonly kind: IdentityKind;
  readonly name: string;
}

/** One DNS label: members' and clusters' names, and those of servers. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Agents' names may have dots, as host names do. */
const HOST_NAME_BYTES = 253;

export function isServerName(text: string): boolean {
  return NAME.test(text);
}

/** What an agent may be called: a host name in lower case. */
export function isMemberName(text: string): boolean {
  return text.length <= HOST_NAME_BYTES && text.split(".").every((label) => NAME.test(label));
}

export function isClusterName(text: string): boolean {
  return NAME.test(text);
}

/** Throws RangeError for a trust domain or name that is none. */
export function formatWardlineId({ trustDomain, kind, name }: WardlineId): string {
  if (!isTrustDomain(trustDomain) || !isNameOf(kind, name)) throw new RangeError("these parts make no identity");
  return formatSpiffeId({ trustDomain, segments: [kind, name] });
}

/** `null` for ids that this product gives to nobody. */
export function toWardlineId({ trustDomain, segments }: SpiffeId): WardlineId | null {
  const [kind, name, ...rest] = segments;
  if ((kind !== "host" && kind !== "server") || name === undefined || rest.length > 0) return null;
  return isNameOf(kind, name) ? { trustDomain, kind, name } : null;
}

export function parseWardlineId(text: string): WardlineId | null {
  const id = parseSpiffeId(text);
  return id === null ? null : toWardlineId(id);
}

function isNameOf(kind: IdentityKind, name: string): boolean {
  return kind === "host" ? isMemberName(name) : isServerName(name);
}
