/** What the cluster decides about this member while it runs: that it is no member any more, and where the store is. */
import { type ClusterRecord, ClusterRecordSchema } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import { sentenceOf } from "../leadership/waiting.ts";
import { PrefixMirror } from "../membership/prefixMirror.ts";
import type { MembershipView } from "../ports.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import { decode, readClusterRecord } from "./clusterRecord.ts";
import { KEYS } from "./nodePorts.ts";

export interface SelfWatchPorts {
  readonly store: ClusterStore;
  readonly membership: MembershipView;
  readonly hostName: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** False while the store gives this node no lease, for whatever reason. */
  readonly hasLease: () => boolean;
  /** Asks candidates whether this host is a member, where the store does not let it in any more; `null` = nobody answered. */
  readonly askOthers: () => Promise<boolean | null>;
  /** The record of this member is gone while the cluster's is there. Called once. */
  readonly onRemoved: () => void;
  /** At the start, and after each change. */
  readonly onRecord: (record: ClusterRecord) => void;
}

/** What a member list leaves out may be late news; the store is asked before anything follows from it. */
const ASK_EVERY_MS = 5_000;

export class SelfWatch {
  readonly #ports: SelfWatchPorts;
  readonly #mirror: PrefixMirror;
  readonly #unsubscribe: () => void;
  #clusterId: string | null = null;
  #isAsking = false;
  #isOver = false;
  #cancel: () => void = () => {};
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: SelfWatchPorts) {
    this.#ports = ports;
    const { store, clock, log, membership } = ports;
    this.#mirror = new PrefixMirror({ store, prefix: KEYS.cluster, clock, random: Math.random, log }, () =>
      this.#tell(),
    );
    this.#unsubscribe = membership.onChange(() => void this.#look());
  }

  start(): void {
    this.#mirror.start();
    this.#lookAgain();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    this.#cancel();
    this.#unsubscribe();
    await this.#mirror.stop();
  }

  /** Nothing changes for who hears nothing. */
  #lookAgain(): void {
    void this.#look();
    if (!this.#isOver) this.#cancel = this.#ports.clock.schedule(ASK_EVERY_MS, () => this.#lookAgain());
  }

  #tell(): void {
    const item = this.#mirror.items().get(KEYS.cluster);
    if (item === undefined || this.#isOver) return;
    try {
      const record = decode(ClusterRecordSchema, item);
      this.#clusterId = record.clusterId;
      this.#ports.onRecord(record);
      void this.#look();
    } catch (error) {
      this.#ports.log.error({ problem: sentenceOf(error) }, "the cluster's record cannot be read");
    }
  }

  async #look(): Promise<void> {
    const { membership, hostName, clock, hasLease } = this.#ports;
    const nowMs = Number(clock.bootNs() / 1_000_000n);
    const isListed = membership.members().some(({ record }) => record?.name === hostName);
    if ((isListed && hasLease()) || this.#isAsking || this.#isOver || nowMs - this.#askedAtMs < ASK_EVERY_MS) return;
    this.#isAsking = true;
    this.#askedAtMs = nowMs;
    try {
      if ((await this.#isRemoved()) && !this.#isOver) {
        this.#isOver = true;
        this.#ports.onRemoved();
      }
    } catch {
      // The store does not answer: nothing is known.
    } finally {
      this.#isAsking = false;
    }
  }

  /** A store that lost everything, or holds another cluster, says nothing about this member. */
  async #isRemoved(): Promise<boolean> {
    const { store, hostName, askOthers } = this.#ports;
    const found = await store.get(KEYS.member(hostName)).catch((error: unknown) => {
      if (isDenied(error)) return null;
      throw error;
    });
    // With its record went its user: the store says no word to it, but those who were there do.
    if (found === null) return (await askOthers()) === false;
    if (found.item !== null) return false;
    const cluster = await readClusterRecord(store);
    return cluster !== null && cluster.record.clusterId === this.#clusterId;
  }
}

/** An answer, and not one that says who this host is. */
function isDenied(error: unknown): boolean {
  return error instanceof Failure && [ErrorCode.PERMISSION_DENIED, ErrorCode.UNAUTHENTICATED].includes(error.code);
}
