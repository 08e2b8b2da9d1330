import type { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { GraphDirection } from "../topology/graph.ts";

export interface PathHop {
  readonly linkId: string;
  readonly from: string;
  readonly to: string;
  /** As `from` sees it; as the other end does, where `from` tells nothing. */
  readonly direction: GraphDirection;
}

export interface FoundPath {
  readonly hops: readonly PathHop[];
  readonly cost: number;
  /** Absent where one hop was not measured. */
  readonly latencyMs: number | null;
  readonly loss: number | null;
  /** As daemons report it, as opposed to computed from links. */
  readonly isObserved: boolean;
}

export interface PathQuery {
  /** Ids of nodes. */
  readonly from: string;
  readonly to: string;
  /** `null` = over all meshes together. */
  readonly provider: MeshProvider | null;
  /** Edge-disjoint ways, 1 to 8. */
  readonly count: number;
}

export interface FoundPaths {
  /** The best first. No two share a link; together they cost least. */
  readonly paths: readonly FoundPath[];
  /** Why there are fewer than asked for, a sentence; empty = there are as many. */
  readonly limitedBy: string;
  /** Ids of links and nodes that every way goes through, from `from` to `to`; without the two ends. */
  readonly singlePoints: readonly string[];
}
