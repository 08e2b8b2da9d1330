/** What people call a node. */
import { canonicalAddress } from "../../policy/address.ts";
import type { MeshGraph } from "../topology/graph.ts";
import { hostNodeId } from "../topology/identity.ts";
import { meshAddressOwner } from "../yggdrasil-address.ts";

/**
 * The id of the node that is meant by an id, a label, a key or the beginning of one (8 signs at least), an address of its own, in
 * the prefix routed to it, or that probes reach it by; `null` = none, or more than one.
 */
export function resolveNode(graph: MeshGraph, text: string): string | null {
  if (graph.nodes.has(text)) return text;
  if (graph.nodes.has(hostNodeId(text))) return hostNodeId(text);
  const word = text.toLowerCase();
  const address = canonicalAddress(word);
  const found = new Set<string>();
  for (const { id, label, identities } of graph.nodes.values()) {
    const isIts =
      label === text ||
      identities.some(
        ({ key, address: own }) =>
          (word.length >= 8 && key.startsWith(word)) ||
          (address !== null && (own === address || (own !== "" && meshAddressOwner(key, address) !== null))),
      );
    if (isIts) found.add(id);
  }
  if (found.size === 0 && address !== null) {
    for (const { a, b, aToB, bToA } of graph.links.values()) {
      if (aToB.uri === address) found.add(b);
      if (bToA.uri === address) found.add(a);
    }
  }
  const [only] = found;
  return found.size === 1 && only !== undefined ? only : null;
}
