/** Hops of lateral movement on several hosts, put together in the order in which somebody made them. */
import type { FlowRecord } from "../flows/record.ts";
import type { Finding } from "./finding.ts";

export interface MovementChain {
  /** Of the first finding. */
  readonly id: string;
  /** In the order of the hops; two or more. */
  readonly findingIds: readonly string[];
  readonly hosts: readonly string[];
  readonly beganAtMs: number;
  readonly lastAtMs: number;
}

/** Clocks of two hosts may differ by so much. */
const SLACK_MS = 120_000;
/** A stay on one host is no longer than this. */
const LONGEST_STAY_MS = 24 * 3_600_000;
const MAX_FINDINGS = 1000;

interface Hop {
  readonly finding: Finding;
  readonly own: ReadonlySet<string>;
  readonly cameFrom: ReadonlySet<string>;
  readonly wentTo: ReadonlySet<string>;
}

/**
 * Movements over two hosts or more. A hop follows another when its host is where the other went, and it was reached from there,
 * by the addresses in their evidence: names can be alike, and a host's own word about itself is in its records. Every finding
 * is in one chain at most; the order of `findings` does not matter.
 */
export function stitchChains(findings: readonly Finding[]): readonly MovementChain[] {
  const hops = findings
    .filter(({ detector }) => detector === "lateral-movement")
    .sort((left, right) => left.beganAtMs - right.beganAtMs || (left.id < right.id ? -1 : 1))
    .slice(-MAX_FINDINGS)
    .map(hopOf);
  const next = new Map<Hop, Hop>();
  const hasBefore = new Set<Hop>();
  for (const later of hops) {
    // Of several that lead there, the last one before is the way that was taken.
    const before = hops.filter((earlier) => !next.has(earlier) && leadsTo(earlier, later)).at(-1);
    if (before === undefined || hasBefore.has(later) || reaches(next, later, before)) continue;
    next.set(before, later);
    hasBefore.add(later);
  }
  return hops.filter((hop) => next.has(hop) && !hasBefore.has(hop)).map((first) => chainFrom(first, next));
}

function hopOf(finding: Finding): Hop {
  const own = new Set<string>();
  const cameFrom = new Set<string>();
  const wentTo = new Set<string>();
  for (const record of finding.evidence) {
    own.add(ownAddress(record));
    if (record.direction === "ingress") cameFrom.add(record.sourceAddress);
    else wentTo.add(record.destinationAddress);
  }
  if (finding.remote !== "" && finding.direction === "egress") wentTo.add(finding.remote);
  return { finding, own, cameFrom, wentTo };
}

const ownAddress = ({ direction, sourceAddress, destinationAddress }: FlowRecord): string =>
  direction === "ingress" ? destinationAddress : sourceAddress;

function leadsTo(earlier: Hop, later: Hop): boolean {
  if (earlier.finding.host === later.finding.host) return false;
  const { beganAtMs, lastAtMs } = earlier.finding;
  if (later.finding.lastAtMs < beganAtMs - SLACK_MS || later.finding.beganAtMs > lastAtMs + LONGEST_STAY_MS)
    return false;
  return shares(earlier.wentTo, later.own) && shares(later.cameFrom, earlier.own);
}

function shares(left: ReadonlySet<string>, right: ReadonlySet<string>): boolean {
  for (const value of left) if (value !== "" && right.has(value)) return true;
  return false;
}

/** Whether going on from `from` comes to `to`: then a link back would be a ring. */
function reaches(next: ReadonlyMap<Hop, Hop>, from: Hop, to: Hop): boolean {
  for (let hop: Hop | undefined = from; hop !== undefined; hop = next.get(hop)) if (hop === to) return true;
  return false;
}

function chainFrom(first: Hop, next: ReadonlyMap<Hop, Hop>): MovementChain {
  const chain: Finding[] = [];
  for (let hop: Hop | undefined = first; hop !== undefined; hop = next.get(hop)) chain.push(hop.finding);
  return {
    id: first.finding.id,
    findingIds: chain.map(({ id }) => id),
    hosts: chain.map(({ host }) => host),
    beganAtMs: first.finding.beganAtMs,
    lastAtMs: Math.max(...chain.map(({ lastAtMs }) => lastAtMs)),
  };
}
