/** Removes services that nobody renewed in time, at the leader. */
import { durationMs } from "@bufbuild/protobuf/wkt";
import { bootMs, type Clock } from "../../agent/clock.ts";
import { waitFor } from "../leadership/waiting.ts";
import type { HeldTerm, LeaderDuty } from "../ports.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import type { KnownService, ServiceView } from "./serviceView.ts";
import { unchanged, writeAsLeader } from "./writing.ts";

export interface ServicePrunerPorts {
  readonly store: ClusterStore;
  readonly services: ServiceView;
  readonly clock: Clock;
}

const LOOK_EVERY_MS = 1_000;
/** Of the time to live: a renewal in its first quarter is not written. */
const GRACE = 1.25;

/**
 * Time is counted on this node's own boot clock, from when it saw the renewal: neither a clock that was set nor one that
 * differs from that of the leader before can end a service that is alive.
 */
export class ServicePruner implements LeaderDuty {
  readonly name = "services that ran out";
  readonly #ports: ServicePrunerPorts;

  constructor(ports: ServicePrunerPorts) {
    this.#ports = ports;
  }

  async run(term: HeldTerm): Promise<void> {
    const { store, services, clock } = this.#ports;
    while (!term.signal.aborted) {
      const nowMs = bootMs(clock);
      // Nobody can tell who was renewed while nothing is heard from the store.
      const over = services.isFollowing ? [...services.services().values()].filter((one) => isOver(one, nowMs)) : [];
      for (const { key, modRevision } of over) {
        if (term.signal.aborted) return;
        await writeAsLeader(store, term, [unchanged(key, modRevision)], [{ kind: "delete", key }]);
      }
      await waitFor(clock, LOOK_EVERY_MS, term.signal);
    }
  }
}

function isOver({ instance, renewedBootMs }: KnownService, nowMs: number): boolean {
  return instance.timeToLive !== undefined && nowMs - renewedBootMs > durationMs(instance.timeToLive) * GRACE;
}
