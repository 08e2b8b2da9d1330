/** Flows counted by class, ends and port. Memory is bounded; every flow is counted, listed or not. */
import { formatAddress, parseAddress } from "../address.ts";
import type { Inventory } from "../model.ts";
import {
  classOf,
  FLOW_CLASSES,
  type FlowAnswer,
  type FlowClass,
  type OtherGroups,
  type SimulationGroup,
  UNMATCHED_REASONS,
  type UnmatchedReason,
} from "./classes.ts";
import { type GroupOptions, labelGroups } from "./label-groups.ts";
import { NumberTable } from "./number-table.ts";
import type { RecordedFlow } from "./recorded-flow.ts";

/** How many times as many groups are followed as are listed, so that late but busy ones are not lost among early ones. */
const FOLLOWED = 4;
const MAX_REMEMBERED_NETWORKS = 50_000;
/** Bytes of an address that nobody has, by which such addresses are put together: /24 and /64. */
const NETWORK_BYTES = { 4: 3, 6: 8 } as const;

export interface GroupTableOptions {
  /** The candidate's first: the name of an end is taken from the first one that knows it. */
  readonly inventories: readonly Inventory[];
  readonly hasBase: boolean;
  readonly maxGroups: number;
  readonly grouping: GroupOptions;
}

interface GroupKind {
  /** Unique among kinds. */
  readonly number: number;
  readonly recordedClass: FlowClass;
  readonly baseClass: FlowClass | null;
  readonly reason: UnmatchedReason | null;
  readonly isObserved: boolean;
  /** Groups of this kind. */
  followed: number;
}

export class GroupCounter {
  readonly kind: GroupKind;
  flows = 0;
  ends = 0;
  firstSeenMs = Number.POSITIVE_INFINITY;
  lastSeenMs = Number.NEGATIVE_INFINITY;

  constructor(kind: GroupKind) {
    this.kind = kind;
  }

  /** @param timeMs NaN when it was not recorded */
  count(timeMs: number, isEnd: boolean): void {
    this.flows++;
    if (isEnd) this.ends++;
    if (timeMs < this.firstSeenMs) this.firstSeenMs = timeMs;
    if (timeMs > this.lastSeenMs) this.lastSeenMs = timeMs;
  }
}

/** Of the earliest or the latest time that was seen; `null` when there was none. */
export function seenOrNull(timeMs: number): number | null {
  return Number.isFinite(timeMs) ? timeMs : null;
}

class ListedGroup extends GroupCounter {
  readonly from: string;
  readonly to: string;
  readonly flow: RecordedFlow;
  readonly answer: FlowAnswer;

  constructor(
    kind: GroupKind,
    ends: { readonly from: string; readonly to: string },
    flow: RecordedFlow,
    answer: FlowAnswer,
  ) {
    super(kind);
    this.from = ends.from;
    this.to = ends.to;
    this.flow = flow;
    this.answer = answer;
  }
}

export class GroupTable {
  readonly #options: GroupTableOptions;
  readonly #names: readonly ReadonlyMap<string, { readonly text: string }>[];
  readonly #groups: ListedGroup[] = [];
  /** By kind, ends, protocol and port: places in {@link #groups}. */
  readonly #numbers = new NumberTable();
  readonly #kinds = new Map<number, GroupKind>();
  /** Texts of ends, and their places. */
  readonly #ends: string[] = [];
  readonly #endNumbers = new Map<string, number>();
  readonly #networks = new Map<string, string>();
  readonly #others = new Map<GroupKind, GroupCounter>();

  constructor(options: GroupTableOptions) {
    this.#options = options;
    this.#names = options.inventories.map((inventory) => labelGroups(inventory, options.grouping));
  }

  /** Where flows with these answers are counted. */
  counter(flow: RecordedFlow, candidate: FlowAnswer, base: FlowAnswer | null): GroupCounter {
    const kind = this.#kindOf(flow, candidate, base);
    const isFull = kind.followed >= this.#options.maxGroups * FOLLOWED;
    const from = this.#endNumber(candidate.fromKey ?? base?.fromKey ?? null, flow.sourceAddress, !isFull);
    const to = this.#endNumber(candidate.toKey ?? base?.toKey ?? null, flow.destinationAddress, !isFull);
    if (from < 0 || to < 0) return this.#other(kind);
    const next = this.#groups.length;
    const number = this.#numbers.numberOf(kind.number, from, to, flow.protocol, flow.port, !isFull);
    if (number < 0) return this.#other(kind);
    if (number < next) return this.#groups[number]!;
    kind.followed++;
    const group = new ListedGroup(kind, { from: this.#ends[from]!, to: this.#ends[to]! }, flow, candidate);
    this.#groups.push(group);
    return group;
  }

  #kindOf(flow: RecordedFlow, candidate: FlowAnswer, base: FlowAnswer | null): GroupKind {
    const recordedClass = classOf(flow.enforced, candidate.verdict);
    const baseClass = this.#options.hasBase ? classOf(base?.verdict ?? null, candidate.verdict) : null;
    const reason = reasonOf(flow, candidate, base);
    const isObserved = candidate.verdict !== null && candidate.isObserved;
    let number = FLOW_CLASSES.indexOf(recordedClass);
    number = number * (FLOW_CLASSES.length + 1) + (baseClass === null ? 0 : FLOW_CLASSES.indexOf(baseClass) + 1);
    number = number * (UNMATCHED_REASONS.length + 1) + (reason === null ? 0 : UNMATCHED_REASONS.indexOf(reason) + 1);
    number = number * 2 + (isObserved ? 1 : 0);
    const kind = this.#kinds.get(number) ?? { number, recordedClass, baseClass, reason, isObserved, followed: 0 };
    this.#kinds.set(number, kind);
    return kind;
  }

  totals() {
    const counters = [...this.#groups, ...this.#others.values()];
    const unmatched = counts(UNMATCHED_REASONS);
    let observed = 0;
    for (const { kind, flows } of counters) {
      if (kind.reason !== null) unmatched[kind.reason] += flows;
      if (kind.isObserved) observed += flows;
    }
    return { ...this.#classCounts(counters), unmatched, observed };
  }

  list(): { readonly groups: readonly SimulationGroup[]; readonly other: OtherGroups } {
    const sorted = this.#groups.filter(({ flows }) => flows > 0).sort(compareGroups);
    const listed: ListedGroup[] = [];
    const left: GroupCounter[] = [...this.#others.values()];
    const perClass = new Map<string, number>();
    for (const group of sorted) {
      const name = `${group.kind.recordedClass} ${group.kind.baseClass}`;
      const count = perClass.get(name) ?? 0;
      perClass.set(name, count + 1);
      if (count < this.#options.maxGroups) listed.push(group);
      else left.push(group);
    }
    return { groups: listed.map(toGroup), other: this.#classCounts(left) };
  }

  #classCounts(counters: readonly GroupCounter[]): OtherGroups {
    const recorded = counts(FLOW_CLASSES);
    const base = counts(FLOW_CLASSES);
    for (const { kind, flows } of counters) {
      recorded[kind.recordedClass] += flows;
      if (kind.baseClass !== null) base[kind.baseClass] += flows;
    }
    return { recorded, base: this.#options.hasBase ? base : null };
  }

  #other(kind: GroupKind): GroupCounter {
    let counter = this.#others.get(kind);
    if (!counter) {
      counter = new GroupCounter(kind);
      this.#others.set(kind, counter);
    }
    return counter;
  }

  /** Negative when it is new and must not be added. */
  #endNumber(key: string | null, address: string, mayAdd: boolean): number {
    const text = this.#endText(key, address);
    let number = this.#endNumbers.get(text) ?? -1;
    if (number < 0 && mayAdd) {
      number = this.#ends.push(text) - 1;
      this.#endNumbers.set(text, number);
    }
    return number;
  }

  #endText(key: string | null, address: string): string {
    if (key === null) return this.#networkText(address);
    for (const names of this.#names) {
      const group = names.get(key);
      if (group) return group.text;
    }
    return key;
  }

  #networkText(address: string): string {
    let text = this.#networks.get(address);
    if (text === undefined) {
      if (this.#networks.size >= MAX_REMEMBERED_NETWORKS) this.#networks.clear();
      text = networkText(address);
      this.#networks.set(address, text);
    }
    return text;
  }
}

function reasonOf(flow: RecordedFlow, candidate: FlowAnswer, base: FlowAnswer | null): UnmatchedReason | null {
  if (candidate.verdict === null) return candidate.reason;
  if (base !== null && base.verdict === null) return base.reason;
  return flow.enforced === null ? "no-recorded-verdict" : null;
}

function counts<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}

/** Changes first; a change against the base counts before one against the record. */
function compareGroups(left: GroupCounter, right: GroupCounter): number {
  return rank(left.kind) - rank(right.kind) || right.flows - left.flows;
}

function rank({ recordedClass, baseClass }: GroupKind): number {
  const recorded = FLOW_CLASSES.indexOf(recordedClass);
  return baseClass === null ? recorded : FLOW_CLASSES.indexOf(baseClass) * FLOW_CLASSES.length + recorded;
}

function toGroup(group: ListedGroup): SimulationGroup {
  const { kind, from, to, flow, answer, flows, ends } = group;
  const firstSeenMs = seenOrNull(group.firstSeenMs);
  const lastSeenMs = seenOrNull(group.lastSeenMs);
  const { recordedClass, baseClass, reason } = kind;
  const { protocol, port } = flow;
  const example = { flow, answer };
  return { recordedClass, baseClass, reason, from, to, protocol, port, flows, ends, firstSeenMs, lastSeenMs, example };
}

function networkText(address: string): string {
  const parsed = parseAddress(address);
  if (!parsed.ok) return address;
  const kept = NETWORK_BYTES[parsed.family];
  return `${formatAddress(parsed.bytes.map((byte, index) => (index < kept ? byte : 0)))}/${kept * 8}`;
}
