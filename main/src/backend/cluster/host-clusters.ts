/** Which host is in which cluster, as each host says of itself: no other machine's word moves a host. */
import { create } from "@bufbuild/protobuf";
import { type ClusterStatus, ClusterStatusSchema } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { ChangeSignal } from "../async/signal.ts";
import type { ManagedHost } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import { callCluster, NotSent, readStatus } from "./cluster-calls.ts";

export type HostCluster =
  /** Not asked yet, or it did not answer. */
  | { readonly kind: "unknown" }
  /** Its agent is older than clusters. */
  | { readonly kind: "outdated" }
  | { readonly kind: "alone"; readonly self: string }
  | {
      readonly kind: "member";
      readonly self: string;
      /** When it is short, members without a say in the cluster are left out but for the host itself. */
      readonly status: ClusterStatus;
      readonly isShort: boolean;
      readonly receivedAtMs: number;
    };

const UNKNOWN: HostCluster = { kind: "unknown" };

/** Two clusters may have one name; their trust domains tell them apart, for those who did not choose these alike too. */
export function clusterKeyOf({ clusterName, trustDomain }: ClusterStatus): string {
  return `${clusterName} ${trustDomain}`;
}

export class HostClusters {
  readonly changes = new ChangeSignal();
  readonly #clock: Clock;
  readonly #known = new Map<string, HostCluster>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(hostId: string): HostCluster {
    return this.#known.get(hostId) ?? UNKNOWN;
  }

  /** Asks the host. @throws Failure, NotSent when it cannot be asked; an agent without clusters is an answer */
  async probe(host: ManagedHost, signal?: AbortSignal): Promise<HostCluster> {
    try {
      const status = await callCluster(host.connection, (client) => readStatus(client, signal));
      return this.learn(host.id, status);
    } catch (error) {
      const failure = error instanceof NotSent ? error.failure : error;
      if (failure instanceof Failure && isOutdated(failure)) return this.#set(host.id, { kind: "outdated" });
      throw error;
    }
  }

  /** What the host said of itself in answer to something else. */
  learn(hostId: string, status: ClusterStatus): HostCluster {
    const { self } = status;
    if (status.clusterName === "") return this.#set(hostId, { kind: "alone", self });
    this.#shorten(hostId, clusterKeyOf(status));
    const receivedAtMs = this.#clock.nowMs();
    return this.#set(hostId, { kind: "member", self, status, isShort: false, receivedAtMs });
  }

  /** Of each cluster one host's word is kept whole: ten thousand members, said by each of them, would fill memory. */
  #shorten(exceptId: string, key: string): void {
    for (const [id, place] of this.#known) {
      if (id === exceptId || place.kind !== "member" || place.isShort || clusterKeyOf(place.status) !== key) continue;
      const { status, self } = place;
      const members = status.members.filter(({ record }) => record?.name === self || record?.candidate);
      const short = create(ClusterStatusSchema, { ...status, members, terms: [], problems: [] });
      this.#known.set(id, { ...place, status: short, isShort: true });
    }
  }

  forget(hostId: string): void {
    if (this.#known.delete(hostId)) this.changes.notify();
  }

  #set(hostId: string, next: HostCluster): HostCluster {
    const before = this.of(hostId);
    this.#known.set(hostId, next);
    if (placeOf(before) !== placeOf(next)) this.changes.notify();
    return next;
  }
}

function placeOf(place: HostCluster): string {
  return place.kind === "member" ? `member ${clusterKeyOf(place.status)} ${place.self}` : place.kind;
}

/** The agent knows no such service (`agentFailure` says UNIMPLEMENTED so), or shares no version with this console. */
function isOutdated({ code }: Failure): boolean {
  return code === ErrorCode.VERSION_MISMATCH;
}
