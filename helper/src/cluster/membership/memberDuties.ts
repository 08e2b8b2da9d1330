/** What the leader does for the list of members: it writes down who was heard from and who is gone, and forgets at last. */
import { clone } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  MemberPresenceSchema,
  type MemberRecord,
  MemberRecordSchema,
  MemberState,
} from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { bootMs, toTimestamp } from "../../agent/clock.ts";
import { type DutyPorts, periodicDuty } from "../leadership/duties.ts";
import { waitFor } from "../leadership/waiting.ts";
import type { HeldTerm, LeaderDuty } from "../ports.ts";
import type { KeyValue } from "../store/clusterStore.ts";
import { removeMember } from "./memberRecords.ts";
import type { MemberTable } from "./memberTable.ts";
import { readPresence, writePresence, writeRecord } from "./messages.ts";

export interface MemberDutyPorts extends DutyPorts {
  readonly table: Pick<MemberTable, "records" | "presences" | "members" | "vanished" | "isComplete">;
  readonly onChange: (listener: () => void) => () => void;
}

export interface Retention {
  /** What is known of a member that is gone, or of a presence that belongs to no member. */
  readonly goneMs: number;
  /** A member that was let in and never came. */
  readonly neverJoinedMs: number;
}

const DAY_MS = 86_400_000;
export const RETENTION: Retention = { goneMs: DAY_MS, neverJoinedMs: DAY_MS };
const LOOK_EVERY_MS = 30_000;
/** Between two looks, when much happens. */
const PAUSE_MS = 500;
const PRUNE_EVERY_MS = 600_000;

/** Durably: that a member was heard from, and that one is gone. A presence by itself vanishes without a trace. */
export function recordComingsAndGoings(ports: MemberDutyPorts): LeaderDuty {
  return {
    name: "record comings and goings",
    async run(term) {
      while (!term.signal.aborted) {
        const changed = new AbortController();
        const forget = ports.onChange(() => changed.abort());
        try {
          if (ports.table.isComplete) await recordAll(ports, term);
          await waitFor(ports.clock, PAUSE_MS, term.signal);
          await waitFor(ports.clock, LOOK_EVERY_MS, term.signal, changed.signal);
        } finally {
          forget();
        }
      }
    },
  };
}

async function recordAll(ports: MemberDutyPorts, term: HeldTerm): Promise<void> {
  const { table, keys } = ports;
  for (const [name, { record, state }] of table.members()) {
    if (term.signal.aborted) return;
    if (record?.firstHeardAt && state !== MemberState.GONE) continue;
    const item = table.records.items().get(keys.member(name));
    const presence = table.presences.items().get(keys.presence(name));
    if (!item || !record) continue;
    if (!presence) await recordGone(ports, term, item, name);
    else if (!record.firstHeardAt) await recordFirstWord(ports, term, item, record, presence);
  }
}

async function recordFirstWord(
  ports: MemberDutyPorts,
  term: HeldTerm,
  item: KeyValue,
  record: MemberRecord,
  presence: KeyValue,
): Promise<void> {
  const said = readPresence(presence.value);
  if (said?.name !== record.name) return;
  const heard = clone(MemberRecordSchema, record);
  heard.firstHeardAt = said.startedAt ?? toTimestamp(ports.clock.wallMs());
  await put(ports, term, item.key, item.modRevision, writeRecord(heard));
}

async function recordGone(ports: MemberDutyPorts, term: HeldTerm, item: KeyValue, name: string): Promise<void> {
  const vanished = ports.table.vanished(name);
  if (vanished === null || vanished.presence.state === MemberState.GONE) return;
  const gone = clone(MemberPresenceSchema, vanished.presence);
  gone.state = MemberState.GONE;
  gone.stateSince = toTimestamp(vanished.atMs);
  gone.problems = [];
  const isThere = { key: item.key, target: "create", operator: ">", number: 0n } as const;
  await put(ports, term, ports.keys.presence(name), 0n, writePresence(gone), [isThere]);
}

/** Somebody who wrote meanwhile knows better; a fence that fails ends the duty. */
async function put(
  { store, keys }: MemberDutyPorts,
  term: HeldTerm,
  key: string,
  modRevision: bigint,
  value: Uint8Array,
  compare: readonly { key: string; target: "create"; operator: ">"; number: bigint }[] = [],
): Promise<void> {
  const { succeeded, found } = await store.transact(
    {
      compare: [...term.fence, ...compare, { key, target: "mod", operator: "=", number: modRevision }],
      then: [{ kind: "put", key, value }],
      otherwise: [{ kind: "get", key: keys.leader }],
    },
    { signal: term.signal },
  );
  const fence = term.fence.find((one) => one.key === keys.leader);
  const isOver = fence?.target === "create" && found[0]?.createRevision !== fence.number;
  if (!succeeded && isOver) throw new Failure({ code: ErrorCode.NOT_LEADER, message: `Term ${term.number} is over.` });
}

/** Forgets presences of members that are long gone, those of nobody, and members that never came. */
export function pruneMembers(ports: MemberDutyPorts, retention: Retention = RETENTION): LeaderDuty {
  return {
    name: "prune members",
    async run(term) {
      const nowMs = steadyWallClock(ports);
      await periodicDuty("prune members", PRUNE_EVERY_MS, ports, async () => {
        if (!ports.table.isComplete) return;
        await prunePresences(ports, term, nowMs() - retention.goneMs);
        await pruneNeverJoined(ports, term, nowMs() - retention.neverJoinedMs);
      }).run(term);
    },
  };
}

/** Wall time that a jump of the wall clock does not move: nobody is forgotten because a clock was set. */
function steadyWallClock({ clock }: MemberDutyPorts): () => number {
  const startedAtMs = clock.wallMs();
  const startedBootMs = bootMs(clock);
  return () => Math.min(clock.wallMs(), startedAtMs + bootMs(clock) - startedBootMs);
}

async function prunePresences(ports: MemberDutyPorts, term: HeldTerm, beforeMs: number): Promise<void> {
  const { table, keys, store } = ports;
  for (const item of [...table.presences.items().values()]) {
    const presence = readPresence(item.value);
    const isOrphan = !table.records.items().has(keys.member(item.key.slice(keys.presences.length)));
    const isForgettable = item.leaseId === 0n && (isOrphan || presence?.state === MemberState.GONE);
    if (!isForgettable || term.signal.aborted || isYounger(presence?.stateSince ?? presence?.heartbeatAt, beforeMs))
      continue;
    const unchanged = { key: item.key, target: "mod", operator: "=", number: item.modRevision } as const;
    const then = [{ kind: "delete", key: item.key }] as const;
    await store.transact({ compare: [...term.fence, unchanged], then }, { signal: term.signal });
  }
}

async function pruneNeverJoined(ports: MemberDutyPorts, term: HeldTerm, beforeMs: number): Promise<void> {
  const { table, keys, store } = ports;
  for (const [name, { state, record }] of table.members()) {
    const key = keys.member(name);
    const item = table.records.items().get(key);
    if (!item || state !== MemberState.JOINING || term.signal.aborted || isYounger(record?.admittedAt, beforeMs))
      continue;
    const unchanged = { key, target: "mod", operator: "=", number: item.modRevision } as const;
    await removeMember(store, keys, name, [...term.fence, unchanged]);
  }
}

/** What has no date is not old enough to be forgotten, except where nobody can say anything about it. */
function isYounger(timestamp: Timestamp | undefined, beforeMs: number): boolean {
  return timestamp === undefined || timestampMs(timestamp) > beforeMs;
}
