/** Puts the parts of the meshes together: who follows hosts, the picture, its history, and the service. */
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import type { HostRegistry } from "../hosts/managed-host.ts";
import type { Clock, Logger } from "../ports.ts";
import type { LeaseTable } from "../store/settings-table.ts";
import { MESH_HISTORY_LIMITS, type MeshHistoryLimits } from "./history/limits.ts";
import { MeshHistory } from "./history/mesh-history.ts";
import { HostMeshes } from "./host-meshes.ts";
import { MeshFollower } from "./mesh-follower.ts";
import { MeshPicture } from "./mesh-picture.ts";
import { MeshServiceImpl } from "./mesh-service.ts";

export interface MeshPorts {
  readonly registry: HostRegistry;
  readonly leases: LeaseTable;
  readonly processId: string;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: MeshHistoryLimits;
}

export interface Mesh {
  readonly follower: MeshFollower;
  readonly picture: MeshPicture;
  readonly history: MeshHistory;
  readonly service: MeshServiceImpl;
  /** Makes the picture and records it, until the signal aborts: for the console that stays. */
  run(signal: AbortSignal): Promise<void>;
  close(): void;
}

export function createMesh(ports: MeshPorts): Mesh {
  const { registry, clock, logger, leases, processId, stateDir, limits = MESH_HISTORY_LIMITS } = ports;
  const hosts = new HostMeshes();
  const follower = new MeshFollower({ hosts, clock, logger });
  const picture = new MeshPicture({ registry, hosts, clock });
  const history = new MeshHistory({
    ...{ stateDir, picture, leases, processId, clock, logger, limits },
    isSettled: () => isSettled(registry, hosts),
  });
  const service = new MeshServiceImpl({
    ...{ registry, hosts, follower, picture, clock, past: history.reader },
    historyProblem: () => history.problem,
  });
  return {
    ...{ follower, picture, history, service },
    async run(signal) {
      await Promise.all([picture.run(signal), history.run(signal)]);
    },
    close: () => history.close(),
  };
}

/** Who can be asked has answered. */
function isSettled(registry: HostRegistry, hosts: HostMeshes): boolean {
  return registry.hosts.every(({ id, connection }) => {
    const { reachability } = connection.state;
    if (reachability === Reachability.CONNECTED) {
      const said = hosts.find(id);
      return said !== null && (said.isOutdated || said.observation !== null);
    }
    return reachability !== Reachability.CONNECTING && reachability !== Reachability.UNSPECIFIED;
  });
}
