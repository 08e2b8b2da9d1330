/** One process of this host against many hosts on the same port: a sweep, or a worm that looks for its next host. */

import { isHabit } from "../features/habits.ts";
import type { Seen } from "../features/seen.ts";
import { quarantineAction } from "../findings/actions.ts";
import { ADMIN_PORTS, portName } from "../support/addresses.ts";
import { addRolling, countRolling, type RollingDistinct, rollingDistinct } from "../support/distinct.ts";
import { hashText, mixBits } from "../support/random.ts";
import { addEntry, keepEntry, removeWhere, type TieredMap, tieredMap, touchEntry } from "../support/tiered-map.ts";
import { aboutCounted, shownDuration, shownText } from "../support/words.ts";
import { ANY_EVIDENCE, type DetectorContext, type Signal } from "./signal.ts";

interface SweepEntry {
  firstMs: number;
  lastMs: number;
  burstMs: number;
  readonly failedFast: RollingDistinct;
  readonly openFast: RollingDistinct;
  readonly failedSlow: RollingDistinct;
  readonly openSlow: RollingDistinct;
}

export interface HostScanState {
  readonly entries: TieredMap<SweepEntry>;
}

const FAST = { bucketMs: 30_000, buckets: 3 };
const SLOW = { bucketMs: 4 * 3_600_000, buckets: 6 };
const FAST_HOSTS = 12;
const SLOW_HOSTS = 20;
/** What a new host that answers counts beside one that does not. */
const OPEN_ADMIN_WEIGHT = 0.5;
const OPEN_WEIGHT = 0.05;
/** On the open network some of what a browser or a mail server asks for is always gone. */
const PUBLIC_WEIGHT = 0.5;
const COMMON_PORTS: ReadonlySet<number> = new Set([25, 53, 80, 123, 443]);
const DAY_MS = 86_400_000;
const MOST_FOLDED = 2048;

export function freshHostScan(): HostScanState {
  return { entries: tieredMap(512, 256) };
}

export function observeHostScan(state: HostScanState, seen: Seen, context: DetectorContext): void {
  if (seen.direction !== "egress" || seen.attempts === 0 || seen.kind === "multicast") return;
  if (isHabit(context.habits.pairs, seen.pairKey)) return;
  const key = `${seen.protocol}:${seen.port}|${seen.who}`;
  const entry = touchEntry(state.entries, key) ?? addEntry(state.entries, key, freshEntry(seen.firstMs));
  if (seen.firstMs - entry.lastMs > 90_000) entry.burstMs = seen.firstMs;
  const slow = seen.isFailed ? entry.failedSlow : entry.openSlow;
  const fast = seen.isFailed ? entry.failedFast : entry.openFast;
  const bits = hashText(seen.remote);
  const values = seen.remote === "" ? Math.min(seen.flows, MOST_FOLDED) : 1;
  let grew = false;
  for (let index = 0; index < values; index++) {
    const value = index === 0 ? bits : mixBits(bits + index);
    grew = addRolling(fast, value, seen.firstMs) || grew;
    grew = addRolling(slow, value, seen.firstMs) || grew;
  }
  entry.lastMs = Math.max(entry.lastMs, seen.firstMs);
  if (grew) judge(state, entry, key, seen, context);
}

function freshEntry(atMs: number): SweepEntry {
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

function judge(state: HostScanState, entry: SweepEntry, key: string, seen: Seen, context: DetectorContext): void {
  const atMs = seen.firstMs;
  const isCommon = COMMON_PORTS.has(seen.port) && seen.kind === "public";
  const openWeight = ADMIN_PORTS.has(seen.port) ? OPEN_ADMIN_WEIGHT : isCommon ? 0 : OPEN_WEIGHT;
  const failedWeight = isCommon ? PUBLIC_WEIGHT : 1;
  const failedFast = countRolling(entry.failedFast, atMs);
  const openFast = countRolling(entry.openFast, atMs);
  const failedSlow = countRolling(entry.failedSlow, atMs);
  const openSlow = countRolling(entry.openSlow, atMs);
  if (failedSlow + openSlow === 5) keepEntry(state.entries, key);
  const fast = (failedWeight * failedFast + openWeight * openFast) / FAST_HOSTS;
  const slow = (failedWeight * failedSlow + openWeight * openSlow) / SLOW_HOSTS;
  const isFast = fast >= slow;
  const ratio = Math.max(fast, slow);
  context.offer("host-scan", key, ratio, () => {
    const failed = isFast ? failedFast : failedSlow;
    const open = isFast ? openFast : openSlow;
    const beganAtMs = isFast ? entry.burstMs : Math.max(entry.firstMs, atMs - DAY_MS);
    return describe(seen, key, { ratio, isFast, failed, open, openWeight, beganAtMs });
  });
}

interface SweepSize {
  readonly ratio: number;
  readonly isFast: boolean;
  readonly failed: number;
  readonly open: number;
  readonly openWeight: number;
  readonly beganAtMs: number;
}

function describe(seen: Seen, key: string, size: SweepSize): Signal {
  const { failed, open, beganAtMs, isFast } = size;
  const all = failed + open;
  const service = seen.protocol === 1 || seen.protocol === 58 ? "by ping" : `on ${portName(seen.port)}`;
  return {
    detector: "host-scan",
    key,
    ratio: size.ratio,
    severity: "high",
    sentence: `${shownText(seen.process || "A process", 32)} tried ${aboutCounted(all, "host")} that are no habit of this host ${service} within ${shownDuration(Math.max(1000, seen.lastMs - beganAtMs))}; ${aboutCounted(failed, "of them", "of them")} refused or did not answer.`,
    beganAtMs,
    atMs: seen.firstMs,
    subjectKey: seen.subjectKey,
    process: seen.process,
    remote: "",
    port: seen.port,
    direction: "egress",
    features: [
      {
        key: "new_destination_hosts",
        name: "different hosts tried on one port",
        value: all,
        normal: { low: 0, high: isFast ? FAST_HOSTS : SLOW_HOSTS },
        unit: "hosts",
        weight: failed + size.openWeight * open,
      },
      {
        key: "failed_hosts",
        name: "hosts without an answer",
        value: failed,
        normal: { low: 0, high: Math.round(FAST_HOSTS / 3) },
        unit: "hosts",
        weight: failed,
      },
    ],
    filter: { ...ANY_EVIDENCE, direction: "egress", port: seen.port, protocol: seen.protocol, process: seen.process },
    actions: quarantineAction(seen.subjectKey),
    quietMs: isFast ? 180_000 : 6 * 3_600_000,
  };
}

export function ageHostScan(state: HostScanState, nowMs: number): void {
  removeWhere(state.entries, ({ lastMs }) => nowMs - lastMs > DAY_MS);
}
