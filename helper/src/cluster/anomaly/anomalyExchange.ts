/**
 * A member's side: it says what is usual on this host (at most once an hour, and after it learned anew) and which movements it
 * saw, under its own name; and takes what the leader made of everybody's.
 */
import type { GroupBaseline } from "@wardline/domain/anomaly";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { AnomalySharing } from "../../anomaly/ports.ts";
import type { Keys } from "../keys.ts";
import { backOffMs, sentenceOf, waitFor } from "../leadership/waiting.ts";
import { PrefixMirror } from "../membership/prefixMirror.ts";
import type { MembershipView } from "../ports.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import { GROUP_LABEL } from "./anomalyDuties.ts";
import { EVERYBODY } from "./groupBaselines.ts";
import * as records from "./records.ts";

export interface ExchangePorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly memberName: string;
  readonly membership: MembershipView;
  readonly sharing: AnomalySharing;
  readonly timing?: Partial<ExchangeTiming>;
}

export interface ExchangeTiming {
  readonly summaryEveryMs: number;
  /** Between two looks at what there is to say. */
  readonly shortestPauseMs: number;
}

const TIMING: ExchangeTiming = { summaryEveryMs: 3_600_000, shortestPauseMs: 10_000 };
const RETRY = { firstMs: 1_000, longestMs: 60_000 };

export class AnomalyExchange {
  readonly #ports: ExchangePorts;
  readonly #timing: ExchangeTiming;
  readonly #mirror: PrefixMirror;
  readonly #ending = new AbortController();
  #unsubscribers: (() => void)[] = [];
  #running: Promise<void> = Promise.resolve();
  #news = new AbortController();
  #saidAtMs = Number.NEGATIVE_INFINITY;
  #isSummaryNew = true;
  #movements = "";
  #group: GroupBaseline | null = null;

  constructor(ports: ExchangePorts) {
    this.#ports = ports;
    this.#timing = { ...TIMING, ...ports.timing };
    const { store, keys, clock, random, log } = ports;
    this.#mirror = new PrefixMirror({ store, prefix: keys.anomalyGiven, clock, random, log }, () => this.#take());
  }

  start(): void {
    const { sharing, membership } = this.#ports;
    this.#mirror.start();
    this.#unsubscribers = [
      sharing.onNews(() => {
        this.#isSummaryNew = true;
        this.#news.abort();
      }),
      membership.onChange(() => this.#takeGroup()),
    ];
    this.#running = this.#run();
  }

  /** What the leader said of the group stays with the detectors of this host. Never rejects. */
  async close(): Promise<void> {
    this.#ending.abort();
    for (const unsubscribe of this.#unsubscribers) unsubscribe();
    await Promise.all([this.#running, this.#mirror.stop()]);
  }

  async #run(): Promise<void> {
    const { clock, random, log } = this.#ports;
    const { signal } = this.#ending;
    for (let failures = 0; !signal.aborted; ) {
      this.#news = new AbortController();
      try {
        await this.#say();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (failures++ === 0) log.warn({ problem: sentenceOf(error) }, "findings are not shared with the cluster");
        await waitFor(clock, backOffMs(RETRY, failures, random), signal);
        continue;
      }
      await waitFor(clock, this.#timing.shortestPauseMs, signal);
      await waitFor(clock, this.#timing.summaryEveryMs, signal, this.#news.signal);
    }
  }

  async #say(): Promise<void> {
    const { store, keys, memberName, sharing, clock } = this.#ports;
    const { signal } = this.#ending;
    const nowMs = clock.wallMs();
    const isDue = Math.abs(nowMs - this.#saidAtMs) >= this.#timing.summaryEveryMs;
    const summary = isDue || this.#isSummaryNew ? await sharing.summary() : null;
    if (summary) {
      const put = { kind: "put", key: keys.anomalySummary(memberName), value: records.encodeSummary(summary) } as const;
      await store.transact({ compare: [], then: [put] }, { signal, repeatable: true });
      this.#saidAtMs = nowMs;
      this.#isSummaryNew = false;
    }
    const movements = records.encodeMovements(await sharing.lateralFindings(), nowMs);
    const text = movements === null ? "" : Buffer.from(movements).toString("utf8");
    if (text === this.#movements) return;
    const key = keys.anomalyMovement(memberName);
    const change =
      movements === null ? ({ kind: "delete", key } as const) : ({ kind: "put", key, value: movements } as const);
    await store.transact({ compare: [], then: [change] }, { signal, repeatable: true });
    this.#movements = text;
  }

  #take(): void {
    this.#takeGroup();
    const { keys, sharing } = this.#ports;
    const item = this.#mirror.items().get(keys.anomalyChains);
    const chains = new Map<string, readonly string[]>();
    for (const ids of item ? records.decodeChains(item.value) : []) for (const id of ids) chains.set(id, ids);
    if (chains.size > 0) void sharing.setChains(chains).catch((error: unknown) => this.#failed(error));
  }

  /** Of this host's own group, or of everybody where that has too few hosts. */
  #takeGroup(): void {
    const { keys, membership, memberName, sharing } = this.#ports;
    const labels = membership.members().find(({ record }) => record?.name === memberName)?.record?.labels ?? {};
    const own = labels[GROUP_LABEL] ?? "";
    const read = (group: string) => {
      const item = records.isGroupName(group) ? this.#mirror.items().get(keys.anomalyGroup(group)) : undefined;
      return item ? records.decodeGroup(item.value) : null;
    };
    const group = read(own) ?? read(EVERYBODY);
    if (JSON.stringify(group) === JSON.stringify(this.#group)) return;
    this.#group = group;
    void sharing.setGroup(group).catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): void {
    this.#ports.log.warn({ problem: sentenceOf(error) }, "what the cluster says of findings was not taken");
  }
}
