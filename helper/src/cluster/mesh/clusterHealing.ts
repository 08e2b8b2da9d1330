/** Healing in the cluster as any member tells it, and what a person decides here, written down for the leader. */
import { randomBytes } from "node:crypto";
import type { HealingKnowledge, HealingRun, HealingSettings } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { MAX_RUNS, USUAL_HEALING_SETTINGS } from "@wardline/domain/mesh/healing";
import {
  fromWireHealingSettings,
  toWireHealingKnowledge,
  toWireHealingRun,
  toWireHealingSettings,
} from "@wardline/domain/wire";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { Accept } from "../../generations/controllerTypes.ts";
import type { HealingAccess, HealingDecisionRequest, MeshAsker } from "../../mesh/ports.ts";
import type { Keys } from "../keys.ts";
import { waitFor } from "../leadership/waiting.ts";
import { PrefixMirror } from "../membership/prefixMirror.ts";
import type { LeadershipView } from "../ports.ts";
import type { ClusterStore, KeyValue, StoreEvent } from "../store/clusterStore.ts";
import * as records from "./records.ts";

export interface ClusterHealingPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly memberName: string;
  readonly candidate: boolean;
  readonly leadership: Pick<LeadershipView, "leader" | "onChange">;
  readonly isRegistered: () => boolean;
  /** Why the store does not answer, or `null`. */
  readonly storeProblem: () => string | null;
}

/** How long a person's decision waits for the leader to have read it. */
const READ_WITHIN_MS = 2_000;

export class ClusterHealing implements HealingAccess {
  readonly #ports: ClusterHealingPorts;
  readonly #mirror: PrefixMirror;
  readonly #listeners = new Set<(runIds: readonly string[]) => void>();
  readonly #ending = new AbortController();
  #read = new WeakMap<KeyValue, HealingRun | null>();
  #unsubscribe: () => void = () => {};
  #coordinator = "";

  constructor(ports: ClusterHealingPorts) {
    this.#ports = ports;
    const { store, keys, clock, random, log } = ports;
    this.#mirror = new PrefixMirror({ store, prefix: keys.meshGiven, clock, random, log }, (events) =>
      this.#changed(events),
    );
  }

  start(): void {
    this.#mirror.start();
    this.#coordinator = this.coordinator();
    this.#unsubscribe = this.#ports.leadership.onChange(() => {
      const coordinator = this.coordinator();
      if (coordinator === this.#coordinator) return;
      this.#coordinator = coordinator;
      this.#tell([]);
    });
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#unsubscribe();
    await this.#mirror.stop();
  }

  runs(): readonly HealingRun[] {
    const runs = [...this.#mirror.items().values()].flatMap((item) => this.#runOf(item) ?? []);
    return runs.sort(byAge).slice(0, MAX_RUNS);
  }

  settings(): HealingSettings {
    return toWireHealingSettings(this.#settingsOf() ?? USUAL_HEALING_SETTINGS);
  }

  knowledge(): readonly HealingKnowledge[] {
    const item = this.#mirror.items().get(this.#ports.keys.meshKnowledge);
    return item ? records.decodeKnowledge(item.value).map(toWireHealingKnowledge) : [];
  }

  coordinator(): string {
    return this.#ports.leadership.leader()?.name ?? "";
  }

  problem(): string {
    const { revision } = this.#mirror;
    const problem = this.#ports.storeProblem() ?? this.#mirror.problem;
    if (problem !== null) return `The cluster's store cannot be followed from here: ${problem}`;
    if (this.coordinator() === "") return "Nobody leads the cluster at the moment, so nothing is healed.";
    return revision === null ? "What the leader knows of the meshes was not read yet." : "";
  }

  /** Addresses in Yggdrasil by member, as the leader has judged them. */
  addresses(): ReadonlyMap<string, string> {
    const item = this.#mirror.items().get(this.#ports.keys.meshAddresses);
    return item ? records.decodeAddresses(item.value) : new Map();
  }

  async decide(request: HealingDecisionRequest, { actor }: MeshAsker, accept: Accept): Promise<HealingRun> {
    const { keys, clock } = this.#ports;
    const before = this.#openRun(request.runId);
    const { candidate } = request;
    if (candidate !== null && before.candidates[candidate] === undefined) throw noCandidate(candidate, before);
    await accept();
    const key = await this.#write(records.decisionOf(request, actorOf(actor), clock.wallMs()));
    await this.#untilRead(key);
    const item = this.#mirror.items().get(keys.meshRun(request.runId));
    return (item && this.#runOf(item)) ?? before;
  }

  async configure(wire: HealingSettings, _asker: MeshAsker, accept: Accept): Promise<HealingSettings> {
    const { store, keys } = this.#ports;
    const settings = fromWireHealingSettings(wire);
    this.#requireCandidate();
    const { item } = await store.get(keys.meshSettings);
    await accept();
    const unchanged = {
      key: keys.meshSettings,
      target: "mod",
      operator: "=",
      number: item?.modRevision ?? 0n,
    } as const;
    const put = { kind: "put", key: keys.meshSettings, value: records.encodeSettings(settings) } as const;
    const { succeeded } = await store.transact({ compare: [unchanged], then: [put] });
    if (!succeeded) throw changedMeanwhile();
    return toWireHealingSettings(settings);
  }

  async resetKnowledge({ actor }: MeshAsker, accept: Accept): Promise<void> {
    this.#requireCandidate();
    await accept();
    const key = await this.#write({ kind: "forget", actor: actorOf(actor), atMs: this.#ports.clock.wallMs() });
    await this.#untilRead(key);
  }

  onChange(listener: (runIds: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #openRun(runId: string): HealingRun {
    const item = records.isRunId(runId) ? this.#mirror.items().get(this.#ports.keys.meshRun(runId)) : undefined;
    const run = item ? this.#runOf(item) : null;
    if (run === null) {
      throw new Failure({ code: ErrorCode.NOT_FOUND, message: `No healing run has the id ${runId.slice(0, 100)}.` });
    }
    if (run.endedAt === undefined) return run;
    const message = `The healing run ${runId} has ended: there is nothing left to decide.`;
    throw new Failure({ code: ErrorCode.NOTHING_PENDING, message });
  }

  async #write(decision: records.StoredDecision): Promise<string> {
    const { store, keys, memberName, isRegistered } = this.#ports;
    if (!isRegistered()) throw notRegistered(memberName);
    const key = keys.meshDecision(memberName, randomBytes(12).toString("hex"));
    const put = { kind: "put", key, value: records.encodeDecision(decision) } as const;
    // A decision that is written twice, the second time after the leader read it, would be taken twice.
    await store.transact({ compare: [], then: [put] });
    return key;
  }

  /** The leader removes what it has read in the transaction that writes down what came of it. */
  async #untilRead(key: string): Promise<void> {
    const { store, clock } = this.#ports;
    const { signal } = this.#ending;
    const until = AbortSignal.any([signal, AbortSignal.timeout(READ_WITHIN_MS)]);
    for (let pauseMs = 25; !until.aborted; pauseMs *= 2) {
      await waitFor(clock, pauseMs, until);
      const read = await store.get(key, { signal }).catch(() => null);
      if (read?.item) continue;
      if (read) await this.#untilFollowed(read.revision, until);
      return;
    }
  }

  /** The watch may bring it later; a revision in which nothing of this changed, it does not bring at all. */
  async #untilFollowed(revision: bigint, until: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    for (let looks = 0; looks < 20 && !until.aborted && (this.#mirror.revision ?? 0n) < revision; looks += 1)
      await waitFor(clock, 10, until);
  }

  #requireCandidate(): void {
    if (this.#ports.candidate) return;
    throw new Failure({
      code: ErrorCode.NOT_LEADER,
      message: `${this.#ports.memberName} is a plain member: what holds for the healing of all hosts is set on a candidate.`,
      hint: `Ask ${this.coordinator() || "a candidate of the cluster"}.`,
    });
  }

  #settingsOf() {
    const item = this.#mirror.items().get(this.#ports.keys.meshSettings);
    return item ? records.decodeSettings(item.value) : null;
  }

  #runOf(item: KeyValue): HealingRun | null {
    const { keys } = this.#ports;
    if (!item.key.startsWith(keys.meshRuns)) return null;
    const known = this.#read.get(item);
    if (known !== undefined) return known;
    const kept = records.decodeRun(item.value);
    const run = kept !== null && item.key === keys.meshRun(kept.id) ? toWireHealingRun(kept) : null;
    this.#read.set(item, run);
    return run;
  }

  #changed(events: readonly StoreEvent[] | null): void {
    const { meshRuns } = this.#ports.keys;
    const changed = events ?? [...this.#mirror.items().keys()].map((key) => ({ key }));
    const runIds = changed.flatMap(({ key }) => (key.startsWith(meshRuns) ? [key.slice(meshRuns.length)] : []));
    if (runIds.length > 0) this.#tell(runIds);
    if (events === null || runIds.length < changed.length) this.#tell([]);
  }

  #tell(runIds: readonly string[]): void {
    for (const listener of this.#listeners) listener(runIds);
  }
}

/** The newest first. */
function byAge(one: HealingRun, other: HealingRun): number {
  const order = (other.detectedAt?.seconds ?? 0n) - (one.detectedAt?.seconds ?? 0n);
  if (order !== 0n) return order > 0n ? 1 : -1;
  return one.id < other.id ? 1 : -1;
}

/** The leader adds by itself from which member this comes: a name from here would count for nothing. */
function actorOf(actor: string): string {
  return actor.replace(/ on [^ ]+$/, "");
}

function noCandidate(candidate: number, { candidates }: HealingRun): Failure {
  const message = `There is no candidate number ${candidate}: this run has ${candidates.length}.`;
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

function changedMeanwhile(): Failure {
  const message = "Somebody else changed the settings of healing at the same moment. Nothing was changed.";
  return new Failure({ code: ErrorCode.VERSION_CONFLICT, message, retryable: true });
}

function notRegistered(name: string): Failure {
  const message = `Another process holds the name ${name} in the cluster, or the store did not answer yet.`;
  return new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message, retryable: true });
}
