/** What the leader knows of the meshes: what each member says of itself, how the member is, and how the store is. */

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { StoreEndpoint } from "@wardline/api/wardline/v1/cluster";
import { type MeshObservation, MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { HealingHost, HealingStoreMember, HealingWorld } from "@wardline/domain/mesh/healing";
import type { Keys } from "../keys.ts";
import type { MembershipView } from "../ports.ts";
import type { KeyValue } from "../store/clusterStore.ts";
import { decodeObservation } from "./observationCodec.ts";
import { isMesh } from "./probeTargets.ts";

interface Heard {
  readonly observation: MeshObservation | null;
  readonly receivedAtMs: number;
}

export interface WorldPorts {
  readonly keys: Keys;
  readonly membership: MembershipView;
}

export class WorldReader {
  readonly #ports: WorldPorts;
  readonly #heard = new WeakMap<KeyValue, Heard>();
  #isFirstLook = true;

  constructor(ports: WorldPorts) {
    this.#ports = ports;
  }

  /** A member counts under its own name only, whatever it says; who is no member does not count. */
  read(
    items: ReadonlyMap<string, KeyValue>,
    endpoints: readonly StoreEndpoint[] | null,
    obstacle: string,
    nowMs: number,
  ): HealingWorld {
    const { keys, membership } = this.#ports;
    const hosts = membership.members().flatMap((member): HealingHost[] => {
      const host = member.record?.name ?? "";
      if (host === "") return [];
      const item = items.get(keys.meshObservation(host));
      const heard = item ? this.#hear(item, host, nowMs) : { observation: null, receivedAtMs: 0 };
      const carriers = isOverMesh(member.record?.peerAddress ?? "", endpoints) ? [MeshProvider.YGGDRASIL] : [];
      return [{ host, ...heard, member: member.state, carriers }];
    });
    this.#isFirstLook = false;
    const storeMembers = endpoints?.map((endpoint) => this.#storeMember(endpoint));
    return { hosts, ...(storeMembers ? { storeMembers } : {}), ...(obstacle === "" ? {} : { obstacle }) };
  }

  /** Addresses in Yggdrasil: of two members that say they have one key neither is believed. */
  addresses(hosts: readonly HealingHost[]): ReadonlyMap<string, string> {
    const holders = new Map<string, string[]>();
    for (const { host, observation } of hosts) {
      const report = observation?.providers.find(({ provider }) => provider === MeshProvider.YGGDRASIL);
      const address = report?.self?.address ?? "";
      if (address !== "") holders.set(address, [...(holders.get(address) ?? []), host]);
    }
    const single = [...holders].flatMap(([address, [host, other]]) => {
      return host !== undefined && other === undefined ? [[host, address] as const] : [];
    });
    return new Map(single);
  }

  /** What was there before this leader came is as old as it says itself. */
  #hear(item: KeyValue, host: string, nowMs: number): Heard {
    const known = this.#heard.get(item);
    if (known) return known;
    const observation = decodeObservation(item.value, host);
    const saidAtMs = observation?.observedAt ? timestampMs(observation.observedAt) : 0;
    const heard = { observation, receivedAtMs: this.#isFirstLook ? Math.min(nowMs, saidAtMs) : nowMs };
    this.#heard.set(item, heard);
    return heard;
  }

  #storeMember({ endpoint, reachable, alarms, problem }: StoreEndpoint): HealingStoreMember {
    const address = hostOf(endpoint);
    const found = this.#ports.membership.members().find(({ record, presence }) => {
      return hostOf(`tcp://${record?.peerAddress}`) === address || presence?.addresses.includes(address);
    });
    const detail = reachable ? alarms.map((alarm) => `It has the alarm ${alarm}.`).join(" ") : problem;
    return { endpoint, host: found?.record?.name ?? "", isUp: reachable, detail };
  }
}

/** The cluster itself goes over the mesh to this host: what is done there may take the way of what heals. */
function isOverMesh(peerAddress: string, endpoints: readonly StoreEndpoint[] | null): boolean {
  return isMesh(hostOf(`tcp://${peerAddress}`)) || (endpoints ?? []).some(({ endpoint }) => isMesh(hostOf(endpoint)));
}

function hostOf(url: string): string {
  return URL.parse(url)?.hostname.replace(/^\[|\]$/g, "") ?? "";
}
