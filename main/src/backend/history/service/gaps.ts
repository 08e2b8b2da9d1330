/** What is missing of a stretch of time, host by host: shown between the rows where it is missing. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { HistoryGapCause, type HistoryGapSchema } from "@wardline/api/wardline/console/v1/history";
import type { FlowQuery } from "@wardline/domain/flows";
import type { Clock } from "../../ports.ts";
import type { CollectedHosts } from "../collected-hosts.ts";
import type { LossesLog } from "../losses-log.ts";

export interface GapsPorts {
  readonly collected: Pick<CollectedHosts, "hosts">;
  readonly lossesLog: LossesLog;
  readonly clock: Clock;
}

export type WireGap = MessageInitShape<typeof HistoryGapSchema>;

const MOST_GAPS = 1_000;
/** A host that is read writes at least so often; between its windows nothing is missing yet. */
const SILENT_AFTER_MS = 60_000;

export function gapsOf({ collected, lossesLog, clock }: GapsPorts, { sinceMs, untilMs }: FlowQuery): WireGap[] {
  const nowMs = clock.nowMs();
  const since = sinceMs ?? 0;
  const until = untilMs ?? nowMs;
  const lost = lossesLog.between(since, until, MOST_GAPS).map((loss) => ({
    hostId: loss.hostId,
    host: loss.host,
    cause: loss.batches > 0 ? HistoryGapCause.NOT_READ_IN_TIME : HistoryGapCause.HOST_LOST_EVENTS,
    since: timestampFromMs(loss.sinceMs),
    until: timestampFromMs(loss.untilMs),
    events: BigInt(loss.events),
    batches: BigInt(loss.batches),
  }));
  const silent = collected.hosts().flatMap(({ hostId, host, lastRecordAt, problem }): WireGap[] => {
    const lastMs = lastRecordAt ? timestampMs(lastRecordAt) : null;
    if (!problem || lastMs === null || nowMs - lastMs < SILENT_AFTER_MS || lastMs >= until) return [];
    const times = { since: timestampFromMs(lastMs), until: timestampFromMs(nowMs) };
    return [{ hostId, host, cause: HistoryGapCause.SILENT, ...times }];
  });
  return [...silent, ...lost].slice(0, MOST_GAPS);
}
