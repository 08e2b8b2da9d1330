/**
 * One remote end against many ports: of this host (ingress) or from this host (egress). Counts different ports, those that
 * did not answer in full; within a minute and a half, and over a day for the patient.
 */

import { isHabit } from "../features/habits.ts";
import type { Seen } from "../features/seen.ts";
import { denyAction, quarantineAction } from "../findings/actions.ts";
import { addRolling, countRolling, type RollingDistinct, rollingDistinct } from "../support/distinct.ts";
import { mixBits } from "../support/random.ts";
import { addEntry, keepEntry, removeWhere, type TieredMap, tieredMap, touchEntry } from "../support/tiered-map.ts";
import { aboutCounted, shownAddress, shownDuration, shownText } from "../support/words.ts";
import { ANY_EVIDENCE, type DetectorContext, type Signal } from "./signal.ts";

interface ScanEntry {
  firstMs: number;
  lastMs: number;
  /** When the quick count last began from nothing. */
  burstMs: number;
  readonly failedFast: RollingDistinct;
  readonly openFast: RollingDistinct;
  readonly failedSlow: RollingDistinct;
  readonly openSlow: RollingDistinct;
}

export interface PortScanState {
  readonly entries: TieredMap<ScanEntry>;
}

const FAST = { bucketMs: 30_000, buckets: 3 };
const SLOW = { bucketMs: 4 * 3_600_000, buckets: 6 };
/** Ports that make a scan, failed ones counted whole and open ones in part. */
const FAST_PORTS = 15;
const SLOW_PORTS = 25;
const OPEN_WEIGHT = 0.3;
/** From here on, ports are given out by the system: an answer there is the other half of a connection, no service. */
const EPHEMERAL_FROM = 32_768;
const MOST_FOLDED = 2048;
const DAY_MS = 86_400_000;

export function freshPortScan(): PortScanState {
  return { entries: tieredMap(1024, 512) };
}

export function observePortScan(state: PortScanState, seen: Seen, context: DetectorContext): void {
  if (
    seen.attempts === 0 ||
    seen.kind === "multicast" ||
    (seen.protocol !== 6 && seen.protocol !== 17 && seen.protocol !== 132)
  )
    return;
  if (!seen.isFailed && (seen.port >= EPHEMERAL_FROM || isHabit(context.habits.pairs, seen.pairKey))) return;
  const key = `${seen.direction[0]}${seen.remote}|${seen.direction === "egress" ? seen.who : ""}`;
  const entry = touchEntry(state.entries, key) ?? addEntry(state.entries, key, freshEntry(seen.firstMs));
  const slowCount = seen.isFailed ? entry.failedSlow : entry.openSlow;
  const fastCount = seen.isFailed ? entry.failedFast : entry.openFast;
  let grew = false;
  if (entry.failedFast.parts.length + entry.openFast.parts.length === 0 || seen.firstMs - entry.lastMs > 90_000)
    entry.burstMs = seen.firstMs;
  const values = seen.port === 0 ? Math.min(seen.flows, MOST_FOLDED) : 1;
  for (let index = 0; index < values; index++) {
    const bits = mixBits((seen.port + index * 65_536) * 256 + seen.protocol);
    grew = addRolling(fastCount, bits, seen.firstMs) || grew;
    grew = addRolling(slowCount, bits, seen.firstMs) || grew;
  }
  entry.lastMs = Math.max(entry.lastMs, seen.firstMs);
  if (grew) judge(entry, key, seen, context, state);
}

function freshEntry(atMs: number): ScanEntry {
  return {
    firstMs: atMs,
    lastMs: atMs,
    burstMs: atMs,
    failedFast: rollingDistinct(FAST.bucketMs, FAST.buckets),
    openFast: rollingDistinct(FAST.bucketMs, FAST.buckets),
    failedSlow: rollingDistinct(SLOW.bucketMs, SLOW.buckets),
    openSlow: rollingDistinct(SLOW.bucketMs, SLOW.buckets),
  };
}

function judge(entry: ScanEntry, key: string, seen: Seen, context: DetectorContext, state: PortScanState): void {
  const atMs = seen.firstMs;
  const failedFast = countRolling(entry.failedFast, atMs);
  const openFast = countRolling(entry.openFast, atMs);
  const failedSlow = countRolling(entry.failedSlow, atMs);
  const openSlow = countRolling(entry.openSlow, atMs);
  if (failedSlow + openSlow === 5) keepEntry(state.entries, key);
  const fast = (failedFast + OPEN_WEIGHT * openFast) / FAST_PORTS;
  const slow = (failedSlow + OPEN_WEIGHT * openSlow) / SLOW_PORTS;
  const isFast = fast >= slow;
  context.offer("port-scan", key, Math.max(fast, slow), () =>
    describe(seen, key, {
      isFast,
      ratio: Math.max(fast, slow),
      failed: isFast ? failedFast : failedSlow,
      open: isFast ? openFast : openSlow,
      allPorts: Math.max(failedFast + openFast, failedSlow + openSlow),
      beganAtMs: isFast ? entry.burstMs : Math.max(entry.firstMs, atMs - DAY_MS),
    }),
  );
}

interface ScanSize {
  readonly isFast: boolean;
  readonly ratio: number;
  readonly failed: number;
  readonly open: number;
  readonly allPorts: number;
  readonly beganAtMs: number;
}

function describe(seen: Seen, key: string, size: ScanSize): Signal {
  const { direction, remote, process, subjectKey } = seen;
  const isInward = direction === "ingress";
  const isReached = size.open > 0;
  const who = isInward ? shownAddress(remote, 0) : shownText(process || "A process", 32);
  const target = isInward ? "this host" : shownAddress(remote, 0);
  const outcome =
    size.failed === 0
      ? "all of them answered"
      : `${aboutCounted(size.failed, "port")} refused or did not answer${isReached ? `, ${aboutCounted(size.open, "port")} did` : ""}`;
  return {
    detector: "port-scan",
    key,
    ratio: size.ratio,
    severity: !isInward ? "high" : size.ratio > 4 ? "high" : "medium",
    sentence: `${who} tried ${aboutCounted(size.allPorts, "different port")} of ${target} within ${shownDuration(Math.max(1000, seen.lastMs - size.beganAtMs))}; ${outcome}.`,
    beganAtMs: size.beganAtMs,
    atMs: seen.firstMs,
    subjectKey,
    process: isInward ? "" : process,
    remote,
    port: 0,
    direction,
    features: [
      {
        key: "new_destination_ports",
        name: "different ports tried",
        value: size.allPorts,
        normal: { low: 0, high: size.isFast ? FAST_PORTS : SLOW_PORTS },
        unit: "ports",
        weight: size.failed + OPEN_WEIGHT * size.open,
      },
      {
        key: "failed_ports",
        name: "ports without an answer",
        value: size.failed,
        normal: { low: 0, high: Math.round(FAST_PORTS / 3) },
        unit: "ports",
        weight: size.failed,
      },
    ],
    filter: { ...ANY_EVIDENCE, direction, remotes: [remote], process: isInward ? null : process },
    actions: [...denyAction(subjectKey, direction, remote, 0, 0), ...(isInward ? [] : quarantineAction(subjectKey))],
    quietMs: size.isFast ? 180_000 : 6 * 3_600_000,
  };
}

export function agePortScan(state: PortScanState, nowMs: number): void {
  removeWhere(state.entries, ({ lastMs }) => nowMs - lastMs > DAY_MS);
}
