/** Nodes of which only the key was known, once a host says that the key is its own: nothing came and nothing went. */
import type { KeyClaims } from "./claims.ts";
import type { GraphLink } from "./graph.ts";
import { linkId } from "./identity.ts";
import type { LinkRecord, NodeRecord } from "./records.ts";

/** The host that a node turned out to be; the node itself where it is none. */
export function hostOf(node: NodeRecord, claims: KeyClaims): NodeRecord {
  return node.host === null ? (claims.owner(node.provider, node.key)?.node ?? node) : node;
}

export interface RenamedLinks {
  /** Those that are gone under the name that they had. */
  readonly former: ReadonlySet<LinkRecord>;
  /** What they were, by the id that they have now. */
  readonly byId: ReadonlyMap<string, GraphLink>;
}

/** @param before what was published of the links that were looked at @param links those that there are now */
export function renamedLinks(
  before: ReadonlyMap<LinkRecord, GraphLink | null>,
  links: ReadonlyMap<string, LinkRecord>,
  claims: KeyClaims,
): RenamedLinks {
  const former = new Set<LinkRecord>();
  const byId = new Map<string, GraphLink>();
  for (const [record, link] of before) {
    if (link === null || links.has(record.id)) continue;
    const id = linkId(record.provider, hostOf(record.a, claims).id, hostOf(record.b, claims).id);
    if (id === record.id || !links.has(id)) continue;
    former.add(record);
    byId.set(id, link);
  }
  return { former, byId };
}
