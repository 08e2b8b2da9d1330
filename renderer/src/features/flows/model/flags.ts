/** Rows that are evidence of a finding: those that its own query finds, which the host wrote when it found it. */
import type { AnomalyList } from "@wardline/api/wardline/console/v1/anomalies";
import type { HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { FeedbackKind, type Finding } from "@wardline/api/wardline/v1/anomaly";
import { type FlowQuery, matchesQuery, NO_LABELS, parseFlowQuery } from "@wardline/domain/flows";
import { fromWireFlowRecord } from "@wardline/domain/wire";

export interface Flags {
  readonly findingOf: (item: HistoryRecord) => Finding | undefined;
}

/** The list has at most 500; those that a person called normal are none. */
export function flagsOf(list: AnomalyList | null): Flags {
  const byHost = new Map<string, { readonly finding: Finding; readonly query: FlowQuery }[]>();
  for (const { finding } of list?.anomalies ?? []) {
    if (!finding || finding.evidenceQuery === "") continue;
    if (finding.feedback[0]?.kind === FeedbackKind.NORMAL) continue;
    const { query } = parseFlowQuery(finding.evidenceQuery, { nowMs: 0 });
    if (!query) continue;
    const former = byHost.get(finding.host);
    if (former) former.push({ finding, query });
    else byHost.set(finding.host, [{ finding, query }]);
  }
  const known = new WeakMap<HistoryRecord, Finding | null>();
  const findingOf = (item: HistoryRecord) => {
    const candidates = byHost.get(item.host);
    if (!candidates || !item.record) return undefined;
    const former = known.get(item);
    if (former !== undefined) return former ?? undefined;
    const record = fromWireFlowRecord(item.record, item.host);
    const found = candidates.find(({ query }) => matchesQuery(query, record, NO_LABELS))?.finding;
    known.set(item, found ?? null);
    return found;
  };
  return { findingOf };
}
