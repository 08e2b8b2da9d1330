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
import type { RecordedFlow } from "./recorded-flow.ts";

/** How many times as many groups are followed as are listed, so that late but busy ones are not lost among early ones. */
const FOLLOWED = 4;
const MAX_REMEMBERED_NETWORKS = 50_000;
const PORTS = 2 ** 16;
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
  readonly recordedClass: FlowClass;
  readonly baseClass: FlowClass | null;
  readonly reason: UnmatchedReason | null;
  readonly isObserved: boolean;
}

export class GroupCounter {
  readonly kind: GroupKind;
  flows = 0;
  ends = 0;
  firstSeenMs: number | null = null;
  lastSeenMs: number | null = null;

  constructor(kind: GroupKind) {
    this.kind = kind;
  }

  count({ timeMs, kind }: RecordedFlow): void {
    this.flows++;
    if (kind === "end") this.ends++;
    if (timeMs === null) return;
    if (this.firstSeenMs === null || timeMs < this.firstSeenMs) this.firstSeenMs = timeMs;
    if (this.lastSeenMs === null || timeMs > this.lastSeenMs) this.lastSeenMs = timeMs;
  }
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
  /** By kind, ends, protocol and port. */
  readonly #byKind = new Map<string, Map<string, Map<string, Map<number, ListedGroup>>>>();
  readonly #followed = new Map<string, number>();
  readonly #networks = new Map<string, string>();
  readonly #others = new Map<string, GroupCounter>();

  constructor(options: GroupTableOptions) {
    this.#options = options;
    this.#names = options.inventories.map((inventory) => labelGroups(inventory, options.grouping));
  }

  /** Where flows with these answers are counted. */
  counter(flow: RecordedFlow, candidate: FlowAnswer, base: FlowAnswer | null): GroupCounter {
    const kind: GroupKind = {
      recordedClass: classOf(flow.enforced, candidate.verdict),
      baseClass: this.#options.hasBase ? classOf(base?.verdict ?? null, candidate.verdict) : null,
      reason: reasonOf(flow, candidate, base),
      isObserved: candidate.verdict !== null && candidate.isObserved,
    };
    const from = this.#endText(candidate.fromKey ?? base?.fromKey ?? null, flow.sourceAddress);
    const to = this.#endText(candidate.toKey ?? base?.toKey ?? null, flow.destinationAddress);
    const kindKey = `${kind.recordedClass} ${kind.baseClass} ${kind.reason} ${kind.isObserved}`;
    const byService = this.#groupsBetween(kindKey, from, to);
    const service = flow.protocol * PORTS + flow.port;
    const known = byService.get(service);
    if (known) return known;
    const followed = this.#followed.get(kindKey) ?? 0;
    if (followed >= this.#options.maxGroups * FOLLOWED) return this.#other(kindKey, kind);
    this.#followed.set(kindKey, followed + 1);
    const group = new ListedGroup(kind, { from, to }, flow, candidate);
    byService.set(service, group);
    this.#groups.push(group);
    return group;
  }

  #groupsBetween(kindKey: string, from: string, to: string): Map<number, ListedGroup> {
    const byFrom = inner(this.#byKind, kindKey, () => new Map<string, Map<string, Map<number, ListedGroup>>>());
    const byTo = inner(byFrom, from, () => new Map<string, Map<number, ListedGroup>>());
    return inner(byTo, to, () => new Map<number, ListedGroup>());
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

  #other(kindKey: string, kind: GroupKind): GroupCounter {
    let counter = this.#others.get(kindKey);
    if (!counter) {
      counter = new GroupCounter(kind);
      this.#others.set(kindKey, counter);
    }
    return counter;
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

function inner<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
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
  const { kind, from, to, flow, answer, flows, ends, firstSeenMs, lastSeenMs } = group;
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
