/** Duties of the leader that keep the store small. */
import { termsToForget } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { bootMs, type Clock } from "../../agent/clock.ts";
import type { Keys } from "../keys.ts";
import type { HeldTerm, LeaderDuty } from "../ports.ts";
import type { ClusterStore, Operation } from "../store/clusterStore.ts";
import { waitFor } from "./waiting.ts";

export interface DutyPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Work that is done at once and then again and again, a tenth earlier or later each time. */
export function periodicDuty(
  name: string,
  everyMs: number,
  { clock, random }: Pick<DutyPorts, "clock" | "random">,
  work: (term: HeldTerm) => Promise<void>,
): LeaderDuty {
  return {
    name,
    async run(term) {
      while (!term.signal.aborted) {
        await work(term);
        await waitFor(clock, everyMs * (0.9 + random() / 5), term.signal);
      }
    },
  };
}

/** Operations of one transaction; etcd's own limit is 128. */
const BATCH = 100;

/** Deletes under the fence, a hundred keys at a time. NOT_LEADER when the term is over. */
export async function deleteFenced(store: ClusterStore, term: HeldTerm, keys: readonly string[]): Promise<void> {
  for (let from = 0; from < keys.length; from += BATCH) {
    const then: Operation[] = keys.slice(from, from + BATCH).map((key) => ({ kind: "delete", key }));
    const { succeeded } = await store.transact({ compare: term.fence, then }, { signal: term.signal });
    if (!succeeded) throw new Failure({ code: ErrorCode.NOT_LEADER, message: `Term ${term.number} is over.` });
  }
}

export const KEPT_TERMS = 256;
const PRUNE_TERMS_EVERY_MS = 600_000;

/** Keeps the newest terms. */
export function pruneTerms(ports: DutyPorts, keep = KEPT_TERMS): LeaderDuty {
  const { store, keys } = ports;
  return periodicDuty("prune terms", PRUNE_TERMS_EVERY_MS, ports, async (term) => {
    const { items } = await store.range(keys.terms, { keysOnly: true, signal: term.signal });
    const numbered = new Map(items.map(({ key }) => [numberOf(key, keys.terms), key]));
    const forgotten = termsToForget([...numbered.keys()], keep);
    await deleteFenced(
      store,
      term,
      forgotten.flatMap((number) => numbered.get(number) ?? []),
    );
  });
}

function numberOf(key: string, prefix: string): bigint {
  const digits = key.slice(prefix.length);
  // What is no number is not one of ours, and the first to go.
  return /^\d{1,20}$/.test(digits) ? BigInt(digits) : -1n;
}

export interface HistoryKept {
  /** A watcher that was away for less goes on where it was. */
  readonly forMs: number;
  /** And at least this many revisions, however old. */
  readonly revisions: bigint;
}

const HISTORY_KEPT: HistoryKept = { forMs: 600_000, revisions: 1_000n };
const COMPACT_EVERY_MS = 60_000;

/** Drops the store's history that is older than what `kept` promises. */
export function compactHistory(ports: DutyPorts, kept = HISTORY_KEPT): LeaderDuty {
  const { store, keys, clock } = ports;
  return {
    name: "compact history",
    async run(term) {
      // What a new leader has not seen the age of is young.
      const seen: { readonly revision: bigint; readonly atMs: number }[] = [];
      let compacted = 0n;
      const look = async (): Promise<void> => {
        const { revision } = await store.get(keys.leader, { signal: term.signal });
        seen.push({ revision, atMs: bootMs(clock) });
        let old = 0n;
        while (seen[0] && seen[0].atMs <= bootMs(clock) - kept.forMs) old = seen.shift()!.revision;
        const target = old < revision - kept.revisions ? old : revision - kept.revisions;
        if (target <= compacted) return;
        await store.compact(target, { signal: term.signal }).catch(unlessCompacted);
        compacted = target;
      };
      await periodicDuty("compact history", COMPACT_EVERY_MS, ports, look).run(term);
    },
  };
}

/** The store, or a leader before this one, was faster. */
function unlessCompacted(error: unknown): void {
  if (!(error instanceof Failure) || error.code !== ErrorCode.COMPACTED) throw error;
}

/** Both, as they are meant. */
export function leadershipDuties(ports: DutyPorts): readonly LeaderDuty[] {
  return [pruneTerms(ports), compactHistory(ports)];
}
