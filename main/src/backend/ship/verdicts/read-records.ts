/** Flow records of a window, as the verdict table counts them. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { VerdictColumn } from "@wardline/api/wardline/console/v1/verdicts";
import { type Decision, DecisionReason, Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import type { FlowQuery } from "@wardline/domain/flows";
import { BUILTIN_DECISIONS } from "@wardline/domain/policy";
import type { ReportedRecord } from "@wardline/domain/policy/verdicts";
import type { FlowHistory, SearchProgress, StoredRecord } from "../../history/flow-history.ts";
import { readText } from "../../history/service/read-query.ts";

const PAGE = 5_000;
/** The newest are read; what a window has more is said. */
export const MAX_RECORDS = 2_000_000;

export interface RecordPage {
  readonly records: readonly StoredRecord[];
  readonly progress: SearchProgress;
  readonly isCut: boolean;
}

/** Newest first. @throws Failure of the store */
export async function* readRecords(
  history: FlowHistory,
  window: { readonly sinceMs: number; readonly untilMs: number },
  signal: AbortSignal,
): AsyncGenerator<RecordPage> {
  const query: FlowQuery = { ...readText("", window.untilMs), ...window };
  let pageToken = "";
  let read = 0;
  do {
    const limit = Math.min(PAGE, MAX_RECORDS - read);
    const options = { limit, pageToken, labels: () => ({ subjectKeys: [], addresses: [] }) };
    pageToken = "";
    for await (const { records, progress, nextPageToken } of history.search(query, options, signal)) {
      read += records.length;
      pageToken = nextPageToken;
      yield { records, progress, isCut: read >= MAX_RECORDS && nextPageToken !== "" };
    }
  } while (pageToken !== "" && read < MAX_RECORDS && !signal.aborted);
}

/** `null` = several flows that the host put together, of which nobody knows the ends. */
export function toReported({ hostId, record }: StoredRecord): ReportedRecord | null {
  if (record.foldedFlows > 0 || record.sourceAddress === "" || record.destinationAddress === "") return null;
  const isDenied = record.enforced === Verdict.DENY;
  return {
    hostId,
    direction: record.direction === Direction.EGRESS ? "egress" : "ingress",
    sourceAddress: record.sourceAddress,
    destinationAddress: record.destinationAddress,
    protocol: record.protocol,
    port: record.destinationPort,
    subjectKey: record.subjectKey,
    verdict: verdictOf(record.verdict, record.enforced),
    decision: record.decision?.id ?? "",
    policyKeys: record.decision?.policyKeys ?? [],
    generation: Number(record.generation),
    count: Number(isDenied ? record.deniedPackets : record.started),
    firstSeenMs: record.firstSeen ? timestampMs(record.firstSeen) : 0,
    lastSeenMs: record.lastSeen ? timestampMs(record.lastSeen) : 0,
  };
}

/** What passed before any policy was loaded: no generation decided, and that is known. */
export function isNoPolicy(decision: Decision | null): boolean {
  return decision?.reason === DecisionReason.BUILTIN && decision.summary.endsWith(`: ${BUILTIN_DECISIONS.none.label}`);
}

function verdictOf(verdict: Verdict, enforced: Verdict): ReportedRecord["verdict"] {
  if (enforced === Verdict.DENY) return "deny";
  if (verdict === Verdict.DENY) return "observed";
  return verdict === Verdict.ALLOW || enforced === Verdict.ALLOW ? "allow" : "unknown";
}

/** Hosts name them: whoever names more is not described. */
const MOST_DECISIONS = 100_000;

/** The decisions that records name, once each. */
export class RecordedDecisions {
  readonly #byId = new Map<string, Decision>();
  static readonly column = VerdictColumn.REPORTED;

  note({ record }: StoredRecord): void {
    const { decision } = record;
    if (!decision || decision.id === "" || this.#byId.size >= MOST_DECISIONS) return;
    if (!this.#byId.has(decision.id)) this.#byId.set(decision.id, decision);
  }

  find(id: string): Decision | null {
    return this.#byId.get(id) ?? null;
  }
}
