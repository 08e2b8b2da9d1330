/** What the builder keeps of hosts, nodes and links besides what it published of them. */
import type { MeshObservation, MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { GraphLink, GraphNode } from "./graph.ts";
import type { Figures, Neighbour, ProviderReading } from "./reading.ts";

export interface NeighbourRecord {
  neighbour: Neighbour;
  firstToldMs: number;
  toldAtMs: number;
  /** When its session began, if that was after it was told to be up the time before; else `null`. */
  restartedAtMs: number | null;
  /** Since when it is no longer told; `null` = it is. */
  lostAtMs: number | null;
}

export interface ProviderRecord {
  /** `null` = the newest observation has nothing of this mesh. */
  reading: ProviderReading | null;
  /** The newest that it said of itself; kept while its daemon is down. Empty = none. */
  key: string;
  /** What does not fit this key in what it says of itself; sentences. */
  identityProblems: readonly string[];
  readonly neighbours: Map<string, NeighbourRecord>;
  keysByUri: ReadonlyMap<string, string>;
  /** Its word counts, as of the newest look. */
  isFresh: boolean;
}

export interface HostRecord {
  readonly name: string;
  hostId: string;
  groups: readonly string[];
  readonly node: NodeRecord;
  readonly knownAtMs: number;
  receivedAtMs: number | null;
  observation: MeshObservation | undefined;
  formerSessions: string[];
  isGone: boolean;
  isFresh: boolean;
  readonly providers: Map<MeshProvider, ProviderRecord>;
  overlayProbes: ReadonlyMap<string, Figures>;
  /** Sentences of its own. */
  said: readonly string[];
  /** What it did that was refused, and until when that is told. */
  readonly alarms: Map<string, number>;
}

export interface NodeRecord {
  readonly id: string;
  readonly label: string;
  /** `null` = nobody manages it. */
  readonly host: HostRecord | null;
  /** Of one that nobody manages. */
  readonly provider: MeshProvider;
  readonly key: string;
  readonly links: Set<LinkRecord>;
  upLinks: number;
  /** When somebody else told that it is up. */
  seenAtMs: number | null;
  /** Published. */
  node: GraphNode | null;
  /** Number within the structure that is being looked at. */
  mark: number;
}

export interface LinkRecord {
  readonly id: string;
  readonly provider: MeshProvider;
  readonly a: NodeRecord;
  readonly b: NodeRecord;
  /** When it last came up, also where it was not seen down. */
  startedAtMs: number;
  link: GraphLink;
}
