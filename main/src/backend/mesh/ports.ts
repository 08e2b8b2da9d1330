/** How the meshes are seen by others: the activity stream, alerts, the command line. */
import type { HostHealingRun, MeshSummary } from "@wardline/api/wardline/console/v1/mesh";
import type { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { ChangeSignal } from "../async/signal.ts";

/** What alerts go by. */
export interface MeshStanding {
  /** Open ones, and the newest that ended. */
  readonly runs: readonly HostHealingRun[];
  /** In how many parts that do not reach each other each mesh is. */
  readonly partitions: ReadonlyMap<MeshProvider, number>;
  /** Of which nobody that can be asked tells now: they are as they were. */
  readonly silentRunIds: ReadonlySet<string>;
  /** Meshes of which a host is not heard now: whether they are whole is not known. */
  readonly silentProviders: ReadonlySet<MeshProvider>;
}

export interface MeshFeed {
  /** Notifies after the summary has changed, at most twice a second. */
  readonly changes: ChangeSignal;
  /** For the activity stream. */
  summary(): MeshSummary;
  standing(): MeshStanding;
}
