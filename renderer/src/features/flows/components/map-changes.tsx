import { useQuery } from "@connectrpc/connect-query";
import { HistoryService, MapGrouping } from "@wardline/api/wardline/console/v1/history";
import { memo, useState } from "react";
import { shownFailure } from "../../../data/failure.ts";
import {
  FailureNotice,
  formatAge,
  formatQuantity,
  ScrollRegion,
  Select,
  Skeleton,
  Tag,
  TextField,
  visibleText,
} from "../../../ui/index.ts";
import { MAP_CHANGE_NAMES } from "../model/history.ts";
import { type HistoryRange, toWireQuery } from "../model/history-range.ts";

const GROUPINGS = [
  { value: String(MapGrouping.HOST), label: "hosts" },
  { value: String(MapGrouping.WORKLOAD), label: "workloads" },
  { value: String(MapGrouping.LABEL), label: "a label" },
];
const MOST_NODES = 500;

/** Who talks to whom now and did not in as long a time before, or no more. */
export const MapChanges = memo(function MapChanges({ text, range }: { text: string; range: HistoryRange }) {
  const [grouping, setGrouping] = useState(String(MapGrouping.HOST));
  const [labelKey, setLabelKey] = useState("app");
  const sinceMs = range.sinceMs ?? 0;
  const untilMs = range.untilMs ?? 0;
  const spanMs = untilMs - sinceMs;
  const part = (from: number, until: number) => ({
    query: toWireQuery(text, { sinceMs: from, untilMs: until }),
    grouping: Number(grouping),
    labelKey: grouping === String(MapGrouping.LABEL) ? labelKey : "",
    maxNodes: MOST_NODES,
  });
  const compared = useQuery(
    HistoryService.method.compareServiceMaps,
    { before: part(sinceMs - spanMs, sinceMs), after: part(sinceMs, untilMs) },
    { placeholderData: (former) => former },
  );
  return (
    <>
      <div className="history-bar">
        <Select label="Between" value={grouping} onChange={setGrouping} choices={GROUPINGS} />
        {grouping === String(MapGrouping.LABEL) ? (
          <TextField label="Label" isCode value={labelKey} onChange={setLabelKey} />
        ) : null}
        <span className="soft">
          The {formatAge(spanMs)} of the time range against the {formatAge(spanMs)} before it
        </span>
      </div>
      {compared.error ? (
        <FailureNotice failure={shownFailure(compared.error)} title="The two cannot be compared" />
      ) : null}
      {compared.isPending ? <Skeleton rows={8} label="Comparing" /> : null}
      {compared.data ? (
        <ScrollRegion className="history-scroll" label="What changed, most important first">
          {compared.data.changes.length === 0 ? (
            <p className="soft history-none">The same ends talked to each other, about as much.</p>
          ) : (
            <ul className="map-changes">
              {compared.data.changes.map((change) => (
                <li
                  key={`${change.kind} ${change.source?.id} ${change.destination?.id} ${change.protocol} ${change.port}`}
                >
                  <Tag tone={change.after?.denied?.deniedPackets ? "deny" : "info"}>
                    {MAP_CHANGE_NAMES[change.kind]}
                  </Tag>
                  <span className="wrap-anywhere">{visibleText(change.sentence)}</span>
                </li>
              ))}
            </ul>
          )}
        </ScrollRegion>
      ) : null}
      <p className="history-searched" aria-live="polite">
        {compared.data
          ? `${formatQuantity(compared.data.changes.length, "change")} · ${formatQuantity(compared.data.after?.edges.length ?? 0, "connection between two ends", "connections between two ends")} now, ${formatQuantity(compared.data.before?.edges.length ?? 0, "one", "of them")} before`
          : ""}
      </p>
    </>
  );
});
