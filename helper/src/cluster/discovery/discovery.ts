/**
 * Who is where: the names, labels and addresses that the cluster knows, on their way into this host's tables. One object
 * for the life of the agent; what needs a store is made by {@link Discovery.follow} and ends with it.
 */
import type { Inventory } from "@wardline/domain/policy";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { NameLookup } from "../../names/nameResolver.ts";
import type { Keys } from "../keys.ts";
import type { LeaderDuty, LeadershipView, MembershipView } from "../ports.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import { ClusterNames } from "./clusterNames.ts";
import { DiscoveredWorld } from "./discoveredWorld.ts";
import { HealthChecker } from "./healthChecker.ts";
import { NamePublisher } from "./namePublisher.ts";
import { ServiceRegistry } from "./registry.ts";
import { Resolver } from "./resolver.ts";
import { ServicePruner } from "./servicePruner.ts";
import { ServiceView } from "./serviceView.ts";
import type { TcpCheck } from "./tcpCheck.ts";

export interface DiscoveryPorts {
  readonly clock: Clock;
  readonly log: Pick<Logger, "info" | "warn">;
  /** 0 to below 1. */
  readonly random?: () => number;
  /** Hosts and workloads of the policies that this host enforces. */
  readonly inventory: () => Inventory;
  /** Called when the inventory may have changed. Returns the unsubscriber. */
  readonly onInventoryChange: (listener: () => void) => () => void;
  /** How this host asks for names by itself. */
  readonly lookup: NameLookup;
  /** For tests. */
  readonly check?: TcpCheck;
}

export interface FollowPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly memberName: string;
  readonly membership: MembershipView;
  readonly leadership: LeadershipView;
}

/** While this node has a store. */
export interface ClusterDiscovery {
  readonly registry: ServiceRegistry;
  readonly resolver: Resolver;
  /** Health checks, looking up names, removing what ran out. */
  readonly duties: readonly LeaderDuty[];
  /** What was discovered stays in force as it was last. Never rejects. */
  close(): Promise<void>;
}

export class Discovery {
  /** Goes to the controller (circumstances) and to the refresher. */
  readonly world: DiscoveredWorld;
  /** Goes to the lookup of the host's own resolver: `names.before(dnsLookup)`. */
  readonly names: ClusterNames;
  readonly #ports: DiscoveryPorts & Required<Pick<DiscoveryPorts, "random">>;

  constructor(ports: DiscoveryPorts) {
    this.#ports = { random: Math.random, ...ports };
    this.world = new DiscoveredWorld(ports);
    this.names = new ClusterNames(this.#ports);
  }

  /** Sentences about addresses that count for somebody else. */
  get problems(): readonly string[] {
    return this.world.problems;
  }

  /** Returns at once: whatever needs the store tries until it answers. */
  follow(followed: FollowPorts): ClusterDiscovery {
    const { clock, log, random, lookup, check } = this.#ports;
    const { store, keys, membership } = followed;
    const common = { store, keys, clock, random, log };
    const services = new ServiceView({ ...common, prefix: keys.services });
    services.start();
    const unfollow = this.world.follow({ membership, services });
    const ended = new AbortController();
    const following = this.names.follow(followed, ended.signal);
    const { world, names } = this;
    return {
      registry: new ServiceRegistry(common),
      resolver: new Resolver({ ...this.#ports, ...followed, services, world, names }),
      duties: [
        new HealthChecker({ ...common, services, ...(check === undefined ? {} : { check }) }),
        new ServicePruner({ ...common, services }),
        new NamePublisher({ ...common, membership, lookup }),
      ],
      close: async () => {
        ended.abort();
        unfollow();
        await Promise.all([services.stop(), following]);
      },
    };
  }
}
