/** How far a suggested rule is to be trusted, from 0 to 1. */
import type { RuleDraft } from "./generalize.ts";
import type { Observation } from "./observations.ts";

export interface Evidence {
  /** Connections that were let through. */
  readonly flows: number;
  /** Distinct addresses that opened them. */
  readonly sources: number;
  /** Distinct hours of the clock in which some of them were seen. */
  readonly hours: number;
  /** Of the kept connections of the group in this direction. */
  readonly share: number;
  /** Endpoints and addresses seen, of those that the rule opens to; 1 when it opens nothing unseen. */
  readonly seenShare: number;
  readonly firstSeenMs: number | null;
  readonly lastSeenMs: number | null;
}

/**
 * `(0.35 · volume + 0.30 · time + 0.20 · spread + 0.15 · share) · (0.5 + 0.5 · seenShare)` with
 * volume = flows / (flows + 10), time = min(1, hours / 24), spread = sources / (sources + 1). Rounded to two digits.
 */
export function confidenceOf({ flows, hours, sources, share, seenShare }: Evidence): number {
  const volume = flows / (flows + 10);
  const time = Math.min(1, hours / 24);
  const spread = sources / (sources + 1);
  const certain = 0.35 * volume + 0.3 * time + 0.2 * spread + 0.15 * share;
  return Math.round(certain * (0.5 + 0.5 * seenShare) * 100) / 100;
}

/** @param directionFlows kept connections of the group in the rule's direction */
export function evidenceOf(draft: RuleDraft, directionFlows: number): Evidence {
  const { observations } = draft;
  const flows = observations.reduce((sum, observation) => sum + observation.flows, 0);
  return {
    flows,
    sources: new Set(observations.map(({ source }) => source.address)).size,
    hours: Math.max(0, ...observations.map(({ hours }) => hours)),
    share: directionFlows === 0 ? 0 : flows / directionFlows,
    seenShare: seenShare(draft),
    firstSeenMs: edge(
      observations.map(({ firstSeenMs }) => firstSeenMs),
      Math.min,
    ),
    lastSeenMs: edge(
      observations.map(({ lastSeenMs }) => lastSeenMs),
      Math.max,
    ),
  };
}

function edge(times: readonly (number | null)[], pick: (left: number, right: number) => number): number | null {
  return times.reduce<number | null>(
    (found, time) => (time === null ? found : found === null ? time : pick(found, time)),
    null,
  );
}

/** Whole prefixes and namespaces count as half seen: nobody knows who else is in them. */
function seenShare({ peers, observations }: RuleDraft): number {
  const shares = peers.map((peer) => {
    if (peer.kind === "address") return 1;
    if (peer.kind === "prefix") return peer.cidr.prefixLength === peer.cidr.bytes.length * 8 ? 1 : 0.5;
    if (peer.kind !== "group") return 0.5;
    const members = new Set(peer.group.members.map(({ key }) => key));
    const seen = new Set(observations.flatMap(keysOf).filter((key) => members.has(key)));
    return seen.size / Math.max(1, members.size);
  });
  return shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
}

function keysOf({ source, destination }: Observation): readonly string[] {
  return [source.key, destination.key].filter((key) => key !== null);
}
