/** Members as this node knows them: records, presences and reports put together, with what was seen of each over time. */
import type { Member, MemberPresence, MemberRecord, SyncReport } from "@wardline/api/wardline/v1/cluster";
import { describeMember, heartbeatIntervalMs, silentAfterMs } from "@wardline/domain/cluster";
import type { Logger } from "pino";
import { bootMs, type Clock } from "../../agent/clock.ts";
import type { Keys } from "../keys.ts";
import type { ClusterStore, KeyValue, StoreEvent } from "../store/clusterStore.ts";
import { readPresence, readRecord, readReport } from "./messages.ts";
import { type MirrorListener, PrefixMirror } from "./prefixMirror.ts";

export interface MemberTablePorts {
  readonly store: Pick<ClusterStore, "range" | "watch">;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
  /** Whether the store answers now: silence counts only then. */
  readonly isInTouch: () => boolean;
  readonly leaderName: () => string | null;
  /** After each change of a record, a presence or a report; many changes at once may be one call. */
  readonly onChange: () => void;
}

/** What this node saw of one presence. */
interface Sighting {
  readonly modRevision: bigint;
  readonly presence: MemberPresence | null;
  /** Boot time; of silence only while the store was in touch. */
  readonly heardAtMs: number;
  /** Wall time at which the key was gone; `null` = it is there. */
  readonly vanishedAtMs: number | null;
}

export class MemberTable {
  readonly #ports: MemberTablePorts;
  readonly records: PrefixMirror;
  readonly presences: PrefixMirror;
  readonly reports: PrefixMirror;
  #sightings = new Map<string, Sighting>();
  #inTouchAtMs: number;
  readonly #readRecords = new WeakMap<KeyValue, MemberRecord | null>();
  readonly #readReports = new WeakMap<KeyValue, SyncReport | null>();
  #built: ReadonlyMap<string, Member> = new Map();
  #builtLeader: string | null = null;
  #isAllChanged = true;
  readonly #changedNames = new Set<string>();
  /** Whose silence is longer than it should be. */
  readonly #late = new Set<string>();

  constructor(ports: MemberTablePorts) {
    this.#ports = ports;
    const { store, keys, clock, random, log } = ports;
    this.#inTouchAtMs = bootMs(clock);
    const mirror = (prefix: string, listener: MirrorListener) =>
      new PrefixMirror({ store, prefix, clock, random, log }, listener);
    this.records = mirror(keys.members, (events) => {
      this.#forget();
      this.#changed(events, keys.members);
    });
    this.presences = mirror(keys.presences, (events) => {
      this.#sight(events);
      this.#changed(events, keys.presences);
    });
    this.reports = mirror(keys.reports, (events) => this.#changed(events, keys.reports));
  }

  start(): void {
    for (const mirror of [this.records, this.presences, this.reports]) mirror.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.records, this.presences, this.reports].map((mirror) => mirror.stop()));
  }

  get isComplete(): boolean {
    return this.records.readAtMs !== null && this.presences.readAtMs !== null;
  }

  get intervalMs(): number {
    return heartbeatIntervalMs(this.records.items().size);
  }

  /** By name, in the order of names. Another map when something changed; members that did not change are the same objects. */
  members(): ReadonlyMap<string, Member> {
    const leader = this.#ports.leaderName();
    if (leader !== this.#builtLeader) {
      for (const name of [leader, this.#builtLeader]) if (name !== null) this.#changedNames.add(name);
      this.#builtLeader = leader;
    }
    if (this.#isAllChanged) this.#built = this.#buildAll();
    else if (this.#changedNames.size > 0) this.#built = this.#rebuild();
    this.#isAllChanged = false;
    this.#changedNames.clear();
    return this.#built;
  }

  /** Silence grows without a change: to be called now and then. */
  age(): void {
    this.#noteTouch();
    const limitMs = silentAfterMs(this.intervalMs);
    for (const [name, { heardAtMs, vanishedAtMs }] of this.#sightings) {
      const isLate = vanishedAtMs === null && this.#inTouchAtMs - heardAtMs > limitMs;
      if (isLate === this.#late.has(name)) continue;
      if (isLate) this.#late.add(name);
      else this.#late.delete(name);
      this.#changedNames.add(name);
    }
  }

  /** What was last seen of a presence that is gone; `null` = it is there, or was never seen. */
  vanished(name: string): { readonly presence: MemberPresence; readonly atMs: number } | null {
    const sighting = this.#sightings.get(name);
    if (!sighting?.presence || sighting.vanishedAtMs === null) return null;
    return { presence: sighting.presence, atMs: sighting.vanishedAtMs };
  }

  #noteTouch(): void {
    if (this.#ports.isInTouch()) this.#inTouchAtMs = bootMs(this.#ports.clock);
  }

  #changed(events: readonly StoreEvent[] | null, prefix: string): void {
    this.#noteTouch();
    if (events === null) this.#isAllChanged = true;
    else for (const { key } of events) this.#changedNames.add(key.slice(prefix.length));
    this.#ports.onChange();
  }

  #forget(): void {
    const { keys } = this.#ports;
    for (const [name, { vanishedAtMs }] of this.#sightings) {
      if (vanishedAtMs !== null && !this.records.items().has(keys.member(name))) this.#sightings.delete(name);
    }
  }

  /** @param events `null` = a snapshot: everything may have changed */
  #sight(events: readonly StoreEvent[] | null): void {
    const { keys } = this.#ports;
    const names = events?.map(({ key }) => key.slice(keys.presences.length)) ?? this.#everyName();
    for (const name of new Set(names)) {
      const item = this.presences.items().get(keys.presence(name));
      const before = this.#sightings.get(name);
      if (item) this.#sightings.set(name, this.#sighting(item, before));
      else if (before) this.#lost(name, before);
    }
  }

  #everyName(): string[] {
    const { keys } = this.#ports;
    return [
      ...[...this.presences.items().keys()].map((key) => key.slice(keys.presences.length)),
      ...this.#sightings.keys(),
    ];
  }

  #lost(name: string, before: Sighting): void {
    const { keys, clock } = this.#ports;
    // A record that is gone needs no memory of its presence.
    if (!this.records.items().has(keys.member(name))) this.#sightings.delete(name);
    else if (before.vanishedAtMs === null) this.#sightings.set(name, { ...before, vanishedAtMs: clock.wallMs() });
  }

  #sighting(item: KeyValue, before: Sighting | undefined): Sighting {
    if (before?.modRevision === item.modRevision && before.vanishedAtMs === null) return before;
    const heardAtMs = bootMs(this.#ports.clock);
    const said = readPresence(item.value);
    // Under its own key a member speaks of itself alone.
    const presence = said && this.#ports.keys.presence(said.name) === item.key ? said : null;
    return { modRevision: item.modRevision, presence, heardAtMs, vanishedAtMs: null };
  }

  #buildAll(): ReadonlyMap<string, Member> {
    const { keys } = this.#ports;
    const names = [...this.records.items().keys()].map((key) => key.slice(keys.members.length));
    return this.#inOrder(names.map((name) => [name, this.#member(name)]));
  }

  /** Of thousands of members few change at a time. */
  #rebuild(): ReadonlyMap<string, Member> {
    const next = new Map(this.#built);
    let hasNew = false;
    for (const name of this.#changedNames) {
      const member = this.#member(name);
      if (member === null) next.delete(name);
      else {
        hasNew ||= !next.has(name);
        next.set(name, member);
      }
    }
    return hasNew ? this.#inOrder([...next]) : next;
  }

  #inOrder(entries: readonly (readonly [string, Member | null])[]): ReadonlyMap<string, Member> {
    const members = entries.flatMap(([name, member]) => (member === null ? [] : [[name, member] as const]));
    return new Map(members.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #member(name: string): Member | null {
    const { keys, clock } = this.#ports;
    const item = this.records.items().get(keys.member(name));
    const record = item ? this.#record(item) : null;
    // A record under another name than its own was not written by us.
    if (record?.name !== name) return null;
    const sighting = this.#sightings.get(name);
    const isThere = sighting?.vanishedAtMs === null;
    const report = this.reports.items().get(keys.report(name));
    return describeMember({
      record,
      presence: isThere ? sighting.presence : null,
      lastPresence: sighting?.presence ?? null,
      silentForMs: sighting ? Math.max(0, this.#inTouchAtMs - sighting.heardAtMs) : 0,
      heartbeatIntervalMs: this.intervalMs,
      nowMs: clock.wallMs(),
      vanishedAtMs: sighting?.vanishedAtMs ?? null,
      isLeader: name === this.#builtLeader,
      report: report ? this.#report(report) : null,
    });
  }

  /** Read once for each value: with thousands of members that is most of the work. */
  #record(item: KeyValue): MemberRecord | null {
    let record = this.#readRecords.get(item);
    if (record === undefined) {
      record = readRecord(item.value);
      this.#readRecords.set(item, record);
    }
    return record;
  }

  #report(item: KeyValue): SyncReport | null {
    let report = this.#readReports.get(item);
    if (report === undefined) {
      report = readReport(item.value);
      this.#readReports.set(item, report);
    }
    return report;
  }
}
