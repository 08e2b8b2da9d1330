/** What a class decides over the whole (protocol, port) space, and how two classes differ. */
import { enforcedVerdict } from "../decision.ts";
import type { ProtocolNumber, Verdict } from "../model.ts";
import type { Decision, HostProgram, PortEntry } from "../program.ts";

const HIGHEST_PORT = 0xffff;

export interface PortSegment {
  readonly low: number;
  readonly high: number;
  /** `null` = nothing is enforced, which allows. */
  readonly decision: Decision | null;
}

export interface PortSpace {
  /** Protocols without an entry below. */
  readonly otherwise: Decision | null;
  /** Whole port range each, ascending, without gaps. */
  readonly protocols: ReadonlyMap<ProtocolNumber, readonly PortSegment[]>;
}

export const NOTHING_ENFORCED: PortSpace = { otherwise: null, protocols: new Map() };

/** The port spaces of a program's classes by class id. */
export function portSpaces(program: HostProgram): ReadonlyMap<number, PortSpace> {
  const byClass = new Map<number, PortEntry[]>();
  for (const entry of program.ports) {
    const entries = byClass.get(entry.classId);
    if (entries) entries.push(entry);
    else byClass.set(entry.classId, [entry]);
  }
  return new Map([...byClass].map(([classId, entries]) => [classId, portSpace(program, entries)]));
}

function portSpace(program: HostProgram, entries: readonly PortEntry[]): PortSpace {
  const otherwise = decisionOf(program, entries.find(({ protocol }) => protocol === null)?.decision);
  const protocols = new Set(entries.map(({ protocol }) => protocol).filter((protocol) => protocol !== null));
  return {
    otherwise,
    protocols: new Map(
      [...protocols].map((protocol) => {
        const own = entries.filter((entry) => entry.protocol === protocol);
        return [protocol, segmentsOf(program, own, otherwise)] as const;
      }),
    ),
  };
}

function decisionOf(program: HostProgram, index: number | undefined): Decision {
  const decision = program.decisions[index ?? -1];
  if (!decision) throw new Error("every class has a default, and every entry names a decision of its program");
  return decision;
}

/** Prefixes nest, so writing the short ones first leaves the longest match on every port. */
function segmentsOf(program: HostProgram, entries: readonly PortEntry[], otherwise: Decision): readonly PortSegment[] {
  const last = ({ port, portBits }: PortEntry): number => port + 2 ** (16 - portBits) - 1;
  const starts = [...new Set([0, ...entries.flatMap((entry) => [entry.port, last(entry) + 1])])]
    .filter((start) => start <= HIGHEST_PORT)
    .sort((left, right) => left - right);
  const position = new Map(starts.map((start, index) => [start, index]));
  const decisions = starts.map(() => otherwise);
  for (const entry of entries.toSorted((left, right) => left.portBits - right.portBits)) {
    const end = position.get(last(entry) + 1) ?? starts.length;
    decisions.fill(decisionOf(program, entry.decision), position.get(entry.port), end);
  }
  return starts.map((low, index) => ({
    low,
    high: (starts[index + 1] ?? HIGHEST_PORT + 1) - 1,
    decision: decisions[index] ?? otherwise,
  }));
}

/** A part of the (protocol, port) space whose verdict differs. */
export interface PortChange {
  /** `null` = every protocol but `exceptProtocols`. */
  readonly protocol: ProtocolNumber | null;
  /** Ascending; empty unless `protocol` is `null`. */
  readonly exceptProtocols: readonly ProtocolNumber[];
  readonly portLow: number;
  readonly portHigh: number;
  readonly oldVerdict: Verdict;
  readonly newVerdict: Verdict;
  /** What decides afterwards; `null` when nothing is enforced then. */
  readonly decision: Decision | null;
}

/** Every part whose verdict differs, once, joined where neighbours agree. */
export function diffPortSpaces(old: PortSpace, next: PortSpace): readonly PortChange[] {
  const otherwise = changeOf(null, 0, HIGHEST_PORT, old.otherwise, next.otherwise);
  const changes: PortChange[] = [];
  const exceptProtocols: ProtocolNumber[] = [];
  const protocols = new Set([...old.protocols.keys(), ...next.protocols.keys()]);
  for (const protocol of [...protocols].sort((left, right) => left - right)) {
    const own = diffSegments(protocol, wholeRange(old, protocol), wholeRange(next, protocol));
    const [only] = own;
    if (otherwise && own.length === 1 && only && sameChange(only, otherwise)) continue;
    exceptProtocols.push(protocol);
    changes.push(...own);
  }
  return otherwise ? [...changes, { ...otherwise, exceptProtocols }] : changes;
}

function wholeRange(space: PortSpace, protocol: ProtocolNumber): readonly PortSegment[] {
  return space.protocols.get(protocol) ?? [{ low: 0, high: HIGHEST_PORT, decision: space.otherwise }];
}

function diffSegments(
  protocol: ProtocolNumber,
  old: readonly PortSegment[],
  next: readonly PortSegment[],
): readonly PortChange[] {
  const changes: PortChange[] = [];
  let oldIndex = 0;
  let nextIndex = 0;
  for (let low = 0; low <= HIGHEST_PORT; ) {
    const [before, after] = [old[oldIndex], next[nextIndex]];
    if (!before || !after) throw new Error("segments cover the whole range");
    const high = Math.min(before.high, after.high);
    const change = changeOf(protocol, low, high, before.decision, after.decision);
    const previous = changes.at(-1);
    if (change && previous && previous.portHigh === low - 1 && sameOutcome(previous, change)) {
      changes[changes.length - 1] = { ...previous, portHigh: high };
    } else if (change) {
      changes.push(change);
    }
    if (before.high === high) oldIndex += 1;
    if (after.high === high) nextIndex += 1;
    low = high + 1;
  }
  return changes;
}

function changeOf(
  protocol: ProtocolNumber | null,
  portLow: number,
  portHigh: number,
  old: Decision | null,
  next: Decision | null,
): PortChange | null {
  const oldVerdict = old === null ? "allow" : enforcedVerdict(old);
  const newVerdict = next === null ? "allow" : enforcedVerdict(next);
  if (oldVerdict === newVerdict) return null;
  return { protocol, exceptProtocols: [], portLow, portHigh, oldVerdict, newVerdict, decision: next };
}

function sameOutcome(one: PortChange, other: PortChange): boolean {
  return one.newVerdict === other.newVerdict && one.decision === other.decision;
}

function sameChange(one: PortChange, other: PortChange): boolean {
  return one.portLow === other.portLow && one.portHigh === other.portHigh && sameOutcome(one, other);
}
