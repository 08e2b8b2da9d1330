import { parseSpiffeId, type SpiffeId, sameSpiffeId } from "./spiffe-id.ts";

/**
 * True when the id is exactly one of those that may. There are no patterns and no prefixes: an entry that is no id
 * matches nothing.
 */
export function isAuthorised(id: SpiffeId, allowed: Iterable<string>): boolean {
  for (const text of allowed) {
    const entry = parseSpiffeId(text);
    if (entry !== null && sameSpiffeId(id, entry)) return true;
  }
  return false;
}
