/** All detectors, and when each is asked. They do not know of each other: their order changes nothing. */
import type { Seen } from "../features/seen.ts";
import { quantitiesOf } from "../features/window.ts";
import type { LearnedState, LiveState } from "../state.ts";
import type { RandomState } from "../support/random.ts";
import { observeBaseline } from "./baseline.ts";
import { ageBeacon, observeBeacon } from "./beacon.ts";
import { learnDoors, observeBruteForce } from "./brute-force.ts";
import { ageDenies, observeDenies } from "./deny-burst.ts";
import { learnVolumes, observeVolume } from "./exfiltration.ts";
import { learnForest, observeForest } from "./forest.ts";
import { ageHostScan, observeHostScan } from "./host-scan.ts";
import { learnAdminEdge, observeLateral } from "./lateral-movement.ts";
import { learnNovelty, observeNovelty } from "./novelty.ts";
import { agePortScan, observePortScan } from "./port-scan.ts";
import type { DetectorContext } from "./signal.ts";

/** A record of the open step. */
export function observeRecord(live: LiveState, learned: LearnedState, seen: Seen, context: DetectorContext): void {
  observePortScan(live.portScan, seen, context);
  observeHostScan(live.hostScan, seen, context);
  observeBeacon(live.beacon, seen, context);
  observeBruteForce(live.bruteForce, learned.doors, seen, context);
  observeLateral(live.lateral, learned.adminEdges, seen, context);
  observeDenies(live.denyBurst, learned.denies, seen, context);
  observeVolume(live.exfiltration, learned.volumes, seen, context);
  observeNovelty(live.novelty, learned.novelty, seen, context);
}

/** A record in which no finding lies. */
export function learnRecord(learned: LearnedState, seen: Seen): void {
  learnAdminEdge(learned.adminEdges, seen);
}

/** A minute has ended. True when it was learned from, though perhaps without what belongs to findings. */
export function endMinute(
  live: LiveState,
  learned: LearnedState,
  host: string,
  random: RandomState,
  context: DetectorContext,
): boolean {
  const { minute, cleanMinute } = live;
  const quantities = quantitiesOf(minute);
  const clean = cleanMinute === null ? quantities : quantitiesOf(cleanMinute);
  const isUnusual = observeForest(learned.forest, minute, quantities, host, context);
  observeBaseline(live.baseline, learned.baseline, { minute, quantities, clean }, host, context);
  // What is unusual by what a finding explains is no reason to learn nothing of the rest.
  if (isUnusual && cleanMinute === null) return false;
  learnForest(learned.forest, clean, random);
  return true;
}

/** An hour has ended: what was normal of it becomes habit, and what is old goes. */
export function endHour(live: LiveState, learned: LearnedState, nowMs: number, context: DetectorContext): void {
  learnVolumes(live.exfiltration, learned.volumes, nowMs);
  learnDoors(live.bruteForce, learned.doors, nowMs);
  learnNovelty(live.novelty, learned.novelty, nowMs, context.isTrained);
  agePortScan(live.portScan, nowMs);
  ageHostScan(live.hostScan, nowMs);
  ageBeacon(live.beacon, nowMs);
  ageDenies(live.denyBurst, nowMs);
}
