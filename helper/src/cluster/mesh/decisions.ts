/** What people decided on some member, judged and told to the loop. */
import { HealingDecision } from "@wardline/api/wardline/agent/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HealingChange, HealingLoop } from "@wardline/domain/mesh/healing";
import type { Logger } from "pino";
import type { Keys } from "../keys.ts";
import { sentenceOf } from "../leadership/waiting.ts";
import type { MembershipView } from "../ports.ts";
import type { KeyValue } from "../store/clusterStore.ts";
import { decodeDecision, type StoredDecision } from "./records.ts";

export interface DecisionPorts {
  readonly keys: Keys;
  readonly membership: Pick<MembershipView, "members">;
  readonly log: Pick<Logger, "warn">;
}

/** A decision that was written while nobody led for so long is not what somebody wants now. */
const VALID_MS = 300_000;
const PATIENCE_MS = 10_000;
const MAX_AT_ONCE = 64;

export interface ReadDecisions {
  /** Of what was read, also of what counts for nothing: they go with what came of it. */
  readonly keys: readonly string[];
  readonly changes: readonly HealingChange[];
}

/** In the order in which they were written. */
export function readDecisions(
  ports: DecisionPorts,
  loop: Pick<HealingLoop, "decide" | "resetKnowledge">,
  items: ReadonlyMap<string, KeyValue>,
  nowMs: number,
): ReadDecisions {
  const { keys, log } = ports;
  const written = [...items.values()].filter(({ key }) => key.startsWith(keys.meshDecisions));
  written.sort((one, other) => (one.modRevision < other.modRevision ? -1 : 1));
  const read: string[] = [];
  const changes: HealingChange[] = [];
  for (const item of written.slice(0, MAX_AT_ONCE)) {
    const decision = decodeDecision(item.value);
    try {
      const change = decision && take(ports, loop, item.key, decision, nowMs);
      if (change) changes.push(change);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.code === ErrorCode.NOTHING_PENDING && isFresh(decision, nowMs)) continue;
      log.warn({ problem: sentenceOf(error) }, "a decision on healing was not taken");
    }
    read.push(item.key);
  }
  return { keys: read, changes };
}

/** What is gone through without effect first may be under way at this very moment: that ends soon. */
function isFresh(decision: StoredDecision | null, nowMs: number): boolean {
  return decision !== null && Math.abs(nowMs - decision.atMs) < PATIENCE_MS;
}

/** Of nobody, or of long ago: it counts for nothing, `null`. */
function take(
  { keys, membership }: DecisionPorts,
  loop: Pick<HealingLoop, "decide" | "resetKnowledge">,
  key: string,
  decision: StoredDecision,
  nowMs: number,
): HealingChange | null {
  const path = key.slice(keys.meshDecisions.length);
  const name = path.slice(0, path.indexOf("/"));
  const member = membership.members().find(({ record }) => record?.name === name)?.record;
  if (!member || Math.abs(nowMs - decision.atMs) > VALID_MS) return null;
  if (decision.kind === "forget") return member.candidate ? loop.resetKnowledge() : null;
  const { runId, reason, candidate } = decision;
  const verb = decision.decision === HealingDecision.APPROVE ? "approve" : "stop";
  // Where it comes from is known from the key that only this member may write.
  const by = `${decision.actor} on ${name}`;
  return loop.decide({ runId, decision: verb, by, reason, ...(candidate === null ? {} : { candidate }) }, nowMs);
}
