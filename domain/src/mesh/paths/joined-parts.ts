/**
 * In how many parts a mesh is that do not reach each other. Hosts that peer with different strangers hang together where nobody
 * of ours sees it: their daemons then name one root of the spanning tree, and each part of a mesh has a root of its own.
 */
import type { MeshProvider, MeshProviderReport } from "@wardline/api/wardline/v1/mesh";
import type { GraphPartition } from "../topology/summary.ts";

/** @param rootOf the root that the daemon of a node names, where its word counts now */
export function joinedPartCounts(
  partitions: readonly GraphPartition[],
  rootOf: (provider: MeshProvider, nodeId: string) => string | undefined,
): ReadonlyMap<MeshProvider, number> {
  const byProvider = Map.groupBy(partitions, ({ provider }) => provider);
  return new Map(
    [...byProvider].map(([provider, parts]) => [provider, countOf(parts, (nodeId) => rootOf(provider, nodeId))]),
  );
}

/** The one entry of the tree that is its own parent. */
export function treeRoot({ tree }: MeshProviderReport): string | undefined {
  return tree.find(({ key, parentKey }) => key === parentKey)?.key;
}

function countOf(parts: readonly GraphPartition[], rootOf: (nodeId: string) => string | undefined): number {
  if (parts.length < 2) return parts.length;
  const named = new Set<string>();
  let unnamed = 0;
  for (const { nodeIds } of parts) {
    const roots = new Set(nodeIds.flatMap((id) => rootOf(id) ?? []));
    const isKnown = [...roots].some((root) => named.has(root));
    for (const root of roots) named.add(root);
    if (!isKnown) unnamed += 1;
  }
  return unnamed;
}
