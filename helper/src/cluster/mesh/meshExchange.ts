/**
 * A member's side of the mesh in a cluster: it says what it sees under its own name, carries out the leader's orders for it,
 * tells consoles what the leader made of it, and takes what a person decides here.
 */
import { MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { ProbeTarget } from "../../mesh/ports.ts";
import type { Keys } from "../keys.ts";
import type { LeadershipView, MembershipView } from "../ports.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import { ClusterHealing } from "./clusterHealing.ts";
import { ObservationPublisher } from "./observationPublisher.ts";
import { OrderFollower } from "./orderFollower.ts";
import type { MeshSharing } from "./ports.ts";
import { probeTargets } from "./probeTargets.ts";

export interface MeshExchangePorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly memberName: string;
  /** Only candidates write what holds for all. */
  readonly candidate: boolean;
  readonly membership: MembershipView;
  readonly leadership: Pick<LeadershipView, "leader" | "onChange">;
  /** Whether this process holds its name: a second one says and does nothing. */
  readonly isRegistered: () => boolean;
  /** Why the store does not answer, or `null`. */
  readonly storeProblem: () => string | null;
  readonly mesh: MeshSharing;
}

export class MeshExchange {
  readonly healing: ClusterHealing;
  readonly #ports: MeshExchangePorts;
  readonly #publisher: ObservationPublisher;
  readonly #follower: OrderFollower;
  #unsubscribers: (() => void)[] = [];
  #targets = "[]";

  constructor(ports: MeshExchangePorts) {
    this.#ports = ports;
    const { mesh } = ports;
    this.healing = new ClusterHealing(ports);
    this.#publisher = new ObservationPublisher({ ...ports, view: mesh.view });
    this.#follower = new OrderFollower({
      ...ports,
      executor: mesh.executor,
      interrupted: () => mesh.interrupted(),
    });
  }

  /** Returns at once. */
  start(): void {
    const { mesh, membership } = this.#ports;
    this.healing.start();
    this.#unsubscribers = [
      membership.onChange(() => {
        this.#aim();
        this.#follower.look();
      }),
      mesh.view.onChange((kind) => kind === "state" && this.#aim()),
      this.healing.onChange((runIds) => runIds.length === 0 && this.#aim()),
    ];
    this.#publisher.start();
    this.#follower.start();
    mesh.setClusterHealing(this.healing);
    this.#aim();
  }

  /** The host decides for itself again. Never rejects. */
  async close(): Promise<void> {
    const { mesh } = this.#ports;
    for (const unsubscribe of this.#unsubscribers) unsubscribe();
    await Promise.all([this.#publisher.close(), this.#follower.close()]);
    mesh.setClusterHealing(null);
    this.#setTargets([]);
    await this.healing.close();
  }

  /** Measures the ways to the members of the moment, over the mesh only where this host has a part in it. */
  #aim(): void {
    const { memberName, membership, mesh } = this.#ports;
    const overlay = mesh.view.observation().providers.find(({ provider }) => provider === MeshProvider.YGGDRASIL);
    const isInMesh = overlay !== undefined && overlay.state !== MeshProviderState.ABSENT;
    const meshAddresses = isInMesh ? this.healing.addresses() : new Map<string, string>();
    this.#setTargets(probeTargets({ self: memberName, members: membership.members(), meshAddresses }));
  }

  #setTargets(targets: readonly ProbeTarget[]): void {
    const text = JSON.stringify(targets);
    if (text === this.#targets) return;
    this.#targets = text;
    this.#ports.mesh.probes.setTargets(targets);
  }
}
