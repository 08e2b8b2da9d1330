import type { ConsoleConnection } from "../data/console-connection.ts";
import type { PendingOnHost } from "../data/hosts-snapshot.ts";
import { useWindow, type View } from "../data/window-store.ts";
import { waitsWithCluster } from "../features/cluster/index.ts";
import { decidePending, type PendingDecision, useShip } from "../features/ship/model/ship-store.ts";

export const VIEW_NAMES: Record<View, string> = {
  overview: "Overview",
  policies: "Policies",
  flows: "Flows",
  anomalies: "Anomalies",
  hosts: "Hosts",
  cluster: "Cluster",
  mesh: "Mesh",
  audit: "Audit",
  settings: "Settings",
  changes: "Changes",
};

/** Generations that wait on a host by themselves, not with a set of its cluster, which is decided for all hosts at once. */
export function pendingOnHosts(connection: ConsoleConnection): readonly PendingOnHost[] {
  const clusters = connection.activity.getState().value?.clusters ?? [];
  return (connection.hosts.getState().value?.pending ?? []).filter((entry) => !waitsWithCluster(entry, clusters));
}

/** Keeps or rolls back the generation that waits. With several hosts waiting, the drawer asks which. */
export function decideOnlyPending(connection: ConsoleConnection, decision: PendingDecision): void {
  const pending = pendingOnHosts(connection);
  const [entry] = pending;
  if (!entry) return;
  if (pending.length > 1) {
    useWindow.getState().show("ship");
    return;
  }
  const generation = entry.pending.generation?.number ?? 0n;
  if (useShip.getState().busy.size > 0) return;
  void decidePending(connection, decision, { hostId: entry.hostId, hostName: entry.hostName, generation });
}
