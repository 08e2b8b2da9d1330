/** A policy denies much more than it usually does: somebody tries what they may not, or a policy took away what was needed. */

import type { Seen } from "../features/seen.ts";
import { quarantineAction } from "../findings/actions.ts";
import { addDistinct, countDistinct, type Distinct, distinct } from "../support/distinct.ts";
import { hashText } from "../support/random.ts";
import {
  addEntry,
  keepEntry,
  peekEntry,
  removeWhere,
  type TieredMap,
  tieredMap,
  touchEntry,
} from "../support/tiered-map.ts";
import { aboutCounted, counted, shownText } from "../support/words.ts";
import { ANY_EVIDENCE, type DetectorContext, type Signal } from "./signal.ts";

interface DenyEntry {
  minute: number;
  packets: number;
  ends: Distinct;
  lastMs: number;
  firstMs: number;
}

interface DenyHabit {
  packets: number;
  ends: number;
  lastMs: number;
}

export interface DenyBurstState {
  readonly entries: TieredMap<DenyEntry>;
}
export type DenyHabits = TieredMap<DenyHabit>;

const ENDS_A_MINUTE = 20;
const PACKETS_A_MINUTE = 300;
/** Above what is usual for the same subject. */
const MARGIN = 4;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export function freshDenyBurst(): DenyBurstState {
  return { entries: tieredMap(512, 128) };
}

export function freshDenyHabits(): DenyHabits {
  return tieredMap(256, 256);
}

export function observeDenies(state: DenyBurstState, habits: DenyHabits, seen: Seen, context: DetectorContext): void {
  if (!seen.isDenied) return;
  const key = `${seen.direction[0]}${seen.direction === "egress" ? seen.who : seen.subjectKey}`;
  const entry =
    touchEntry(state.entries, key) ??
    addEntry(state.entries, key, { minute: -1, packets: 0, ends: distinct(), lastMs: 0, firstMs: seen.firstMs });
  const minute = Math.floor(seen.firstMs / MINUTE_MS);
  if (minute !== entry.minute) {
    learnMinute(habits, key, entry, context);
    entry.minute = minute;
    entry.packets = 0;
    entry.ends = distinct();
    if (seen.firstMs - entry.lastMs > 5 * MINUTE_MS) entry.firstMs = seen.firstMs;
  }
  entry.lastMs = seen.firstMs;
  entry.packets += Math.max(
    1,
    seen.record.deniedPackets > 0 ? Math.min(seen.record.deniedPackets, 1e9) : seen.attempts,
  );
  addDistinct(entry.ends, hashText(`${seen.remote}:${seen.port}`));
  // What was put together by the host has lost its ends, but not their number.
  const ends = countDistinct(entry.ends) + (seen.flows > 1 ? seen.flows : 0);
  const usual = peekEntry(habits, key);
  const ratio = Math.max(
    ends / Math.max(ENDS_A_MINUTE, MARGIN * (usual?.ends ?? 0)),
    entry.packets / Math.max(PACKETS_A_MINUTE, MARGIN * (usual?.packets ?? 0)),
  );
  context.offer("deny-burst", key, ratio, () => describe(entry, key, seen, { ends, ratio, usual: usual ?? null }));
}

/** A minute beyond twice the usual raises it by no more than a tenth. */
function learnMinute(habits: DenyHabits, key: string, entry: DenyEntry, { isTrained }: DetectorContext): void {
  if (entry.minute < 0) return;
  const ends = countDistinct(entry.ends);
  const known = touchEntry(habits, key);
  if (known === undefined) {
    addEntry(habits, key, {
      packets: Math.min(entry.packets, PACKETS_A_MINUTE / MARGIN),
      ends: Math.min(ends, ENDS_A_MINUTE / MARGIN),
      lastMs: entry.lastMs,
    });
    return;
  }
  const growth = isTrained ? 1.02 : 1.1;
  known.packets = Math.max(known.packets * 0.9995, Math.min(entry.packets, known.packets * growth + 1));
  known.ends = Math.max(known.ends * 0.9995, Math.min(ends, known.ends * growth + 0.2));
  known.lastMs = entry.lastMs;
  keepEntry(habits, key);
}

function describe(
  entry: DenyEntry,
  key: string,
  seen: Seen,
  { ends, ratio, usual }: { readonly ends: number; readonly ratio: number; readonly usual: DenyHabit | null },
): Signal {
  const isInward = seen.direction === "ingress";
  const policy = shownText(seen.record.policyKeys[0] ?? "", 64);
  const by = policy === "" ? "Policies" : `Policy ${policy}`;
  const what = isInward ? "connections to this host" : `connections of ${shownText(seen.process || "a process", 32)}`;
  return {
    detector: "deny-burst",
    key,
    ratio,
    severity: ratio > 5 ? "high" : "medium",
    sentence: `${by} denied ${what} ${counted(entry.packets, "time")} within a minute, ${isInward ? "from" : "to"} ${aboutCounted(ends, "end")}; usual here are at most ${counted(Math.round(usual?.packets ?? 0), "denial")} a minute.`,
    beganAtMs: entry.firstMs,
    atMs: seen.firstMs,
    subjectKey: seen.subjectKey,
    process: isInward ? "" : seen.process,
    remote: "",
    port: 0,
    direction: seen.direction,
    features: [
      {
        key: "denied_packets",
        name: "denied packets in a minute",
        value: entry.packets,
        normal: { low: 0, high: Math.max(PACKETS_A_MINUTE, MARGIN * (usual?.packets ?? 0)) },
        unit: "packets/min",
        weight: entry.packets / PACKETS_A_MINUTE,
      },
      {
        key: "denied_ends",
        name: "different ends and ports denied in a minute",
        value: ends,
        normal: { low: 0, high: Math.max(ENDS_A_MINUTE, MARGIN * (usual?.ends ?? 0)) },
        unit: "ends/min",
        weight: ends / ENDS_A_MINUTE,
      },
    ],
    filter: {
      ...ANY_EVIDENCE,
      direction: seen.direction,
      process: isInward ? null : seen.process,
      failedOnly: true,
    },
    actions: isInward ? [] : quarantineAction(seen.subjectKey),
    quietMs: 5 * MINUTE_MS,
  };
}

export function ageDenies(state: DenyBurstState, nowMs: number): void {
  removeWhere(state.entries, ({ lastMs }) => nowMs - lastMs > HOUR_MS);
}
