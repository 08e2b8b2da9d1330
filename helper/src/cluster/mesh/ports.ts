/** How a host's mesh and the cluster's part in it see each other. */
import type { HealingAccess, HealingExecutor, HealingReceipt, MeshView, ProbeView } from "../../mesh/ports.ts";

/** What the cluster takes from the mesh of this host, and gives it. */
export interface MeshSharing {
  readonly view: MeshView;
  readonly probes: Pick<ProbeView, "setTargets">;
  readonly executor: HealingExecutor;
  /** Of orders that an agent before this one had begun. */
  interrupted(): Promise<readonly HealingReceipt[]>;
  /** This decides on healing from now on; `null` = this host is in no cluster and decides for itself again. */
  setClusterHealing(healing: HealingAccess | null): void;
}
