/**
 * Five real hosts with a Yggdrasil node each, peered in a ring with one chord, and, where asked, in a cluster with an etcd on
 * the first three. Broken by verbs: lines, daemons, hosts, agents.
 */
import { setTimeout } from "node:timers/promises";
import { ClusterFleet, clusterFleetProblem } from "../cluster/cluster-fleet.ts";
import { etcdProblem } from "../cluster/etcd-member.ts";
import { Fleet } from "../fleet/fleet.ts";
import type { FleetHost, FleetHostSpec } from "../fleet/fleet-host.ts";
import { type LineFault, setLineFaults } from "./line-faults.ts";
import {
  type MeshIdentity,
  newMeshIdentity,
  overlayAddress,
  putYggdrasil,
  signalYggdrasil,
  startYggdrasil,
  YGGDRASIL_UNIT,
  yggdrasilProblem,
} from "./yggdrasil-member.ts";

/** Why no such fleet can be started here, or `null`. For `describe.skipIf`; put it into the name. */
export const meshFleetProblem = (): string | null => clusterFleetProblem() ?? yggdrasilProblem();

/** Index of who dials, indexes of whom: a ring of five, and a chord. All dial later ones, which are started before them. */
export const RING: readonly (readonly number[])[] = [[1, 2, 4], [2], [3], [4], []];
const STORES = 3;
const LOOK_EVERY_MS = 50;

export interface MeshFleetOptions {
  readonly hosts?: readonly FleetHostSpec[];
  /** {@link RING} unless given. */
  readonly dials?: readonly (readonly number[])[];
  /** All of them in one cluster; `true` unless given. */
  readonly hasCluster?: boolean;
  readonly restart?: "no" | "always";
  /** Of the cluster; its own default unless given. */
  readonly leaseMs?: number;
}

export class MeshFleet {
  readonly fleet: Fleet;
  readonly cluster: ClusterFleet | null;
  readonly identities: ReadonlyMap<string, MeshIdentity>;
  readonly #dials: readonly (readonly number[])[];

  private constructor(
    fleet: Fleet,
    cluster: ClusterFleet | null,
    identities: ReadonlyMap<string, MeshIdentity>,
    dials: readonly (readonly number[])[],
  ) {
    this.fleet = fleet;
    this.cluster = cluster;
    this.identities = identities;
    this.#dials = dials;
  }

  /** Every node has an address when it resolves; when it rejects, nothing is left. */
  static async start(options: MeshFleetOptions = {}): Promise<MeshFleet> {
    const hosts = options.hosts ?? RING.map((_, index) => ({ name: `node-${index + 1}` }));
    const fleet = await Fleet.start({ hosts });
    try {
      const identities = await putMesh(fleet.hosts, options);
      return new MeshFleet(
        fleet,
        options.hasCluster === false ? null : await clusterOf(fleet, options),
        identities,
        options.dials ?? RING,
      );
    } catch (error) {
      await fleet.close();
      throw error;
    }
  }

  get hosts(): readonly FleetHost[] {
    return this.fleet.hosts;
  }

  host(name: string): FleetHost {
    return this.fleet.host(name);
  }

  /** Whom a host dials, by its configuration. */
  dialledBy(host: FleetHost): readonly FleetHost[] {
    return (this.#dials[this.hosts.indexOf(host)] ?? []).flatMap((index) => this.hosts[index] ?? []);
  }

  /** Replaces all faults on lines; none = all is well. */
  async setFaults(faults: readonly LineFault[]): Promise<void> {
    const [first] = this.hosts;
    if (first) await setLineFaults(first.place.slot, faults);
  }

  killDaemon = (host: FleetHost): Promise<void> => signalYggdrasil(host, "SIGKILL");
  hangDaemon = (host: FleetHost): Promise<void> => signalYggdrasil(host, "SIGSTOP");

  /** Lines whole, cables in, every daemon running: whatever a test that failed left behind. */
  async repair(): Promise<void> {
    await this.setFaults([]);
    await Promise.all(
      this.hosts.map(async (host) => {
        await host.linkUp();
        const pid = await host.mainPid(YGGDRASIL_UNIT);
        if (pid > 0) process.kill(pid, "SIGCONT");
        await startYggdrasil(host);
      }),
    );
  }

  close(): Promise<void> {
    this.cluster?.disconnect();
    return this.fleet.close();
  }
}

/** The last first: a daemon of 0.4 that does not reach a peer at its start tries again after a minute. */
export async function putMesh(
  hosts: readonly FleetHost[],
  { dials = RING, restart = "no" }: Pick<MeshFleetOptions, "dials" | "restart"> = {},
): Promise<ReadonlyMap<string, MeshIdentity>> {
  const identities = new Map(hosts.map(({ name }) => [name, newMeshIdentity()]));
  for (const [index, host] of [...hosts.entries()].toReversed()) {
    const identity = identities.get(host.name);
    if (!identity) throw new Error("a host without an identity");
    const peers = (dials[index] ?? []).flatMap((each) => hosts[each] ?? []);
    putYggdrasil(host, { identity, peers, restart });
    await startYggdrasil(host);
    while ((await overlayAddress(host)) === null) await setTimeout(LOOK_EVERY_MS);
  }
  return identities;
}

async function clusterOf(fleet: Fleet, { leaseMs }: MeshFleetOptions): Promise<ClusterFleet | null> {
  if (etcdProblem() !== null) return null;
  const lease = leaseMs === undefined ? {} : { leaseMs };
  const cluster = await ClusterFleet.make(fleet, fleet.hosts.slice(0, STORES), lease);
  for (const host of fleet.hosts.slice(STORES)) await cluster.join(host, false);
  return cluster;
}
