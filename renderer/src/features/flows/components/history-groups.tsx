import { FlowDimension, FlowMeasure, type GroupRecordsResponse } from "@wardline/api/wardline/console/v1/history";
import { memo, useEffect, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import {
  FailureNotice,
  formatBytes,
  formatCount,
  formatQuantity,
  ScrollRegion,
  Select,
  Skeleton,
  visibleText,
} from "../../../ui/index.ts";
import { type HistoryRange, toWireQuery } from "../hooks/use-history-search.ts";
import {
  DIMENSION_NAMES,
  groupText,
  MEASURE_NAMES,
  measureOf,
  measureText,
  searchedText,
  termOf,
} from "../model/history.ts";

const DIMENSIONS = [
  FlowDimension.PROCESS,
  FlowDimension.PEER,
  FlowDimension.PORT,
  FlowDimension.HOST,
  FlowDimension.DESTINATION,
  FlowDimension.SOURCE,
  FlowDimension.POLICY,
  FlowDimension.SUBJECT,
  FlowDimension.USER,
  FlowDimension.VERDICT,
  FlowDimension.DIRECTION,
  FlowDimension.PROTOCOL,
] as const;
const MEASURES = [FlowMeasure.CONNECTIONS, FlowMeasure.BYTES, FlowMeasure.DENIED_PACKETS] as const;
const LIMIT = 100;

interface HistoryGroupsProps {
  readonly text: string;
  readonly range: HistoryRange;
  readonly onAdd: (term: string) => void;
  readonly onAsk: (text: string) => void;
}

/** Who did most of it. */
export const HistoryGroups = memo(function HistoryGroups({ text, range, onAdd }: HistoryGroupsProps) {
  const { connection } = useConsole();
  const [first, setFirst] = useState<string>(String(FlowDimension.PROCESS));
  const [second, setSecond] = useState<string>(String(FlowDimension.PEER));
  const [measure, setMeasure] = useState<string>(String(FlowMeasure.CONNECTIONS));
  const [answer, setAnswer] = useState<GroupRecordsResponse | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const { sinceMs, untilMs } = range;
  useEffect(() => {
    const running = new AbortController();
    const by = [...new Set([Number(first), Number(second)])].filter((dimension) => dimension !== 0);
    setFailure(null);
    const read = async () => {
      try {
        const query = toWireQuery(text, { sinceMs, untilMs });
        const request = { query, by, order: Number(measure), limit: LIMIT };
        for await (const message of connection.history.groupRecords(request, { signal: running.signal }))
          setAnswer(message);
      } catch (error) {
        if (!running.signal.aborted) setFailure(shownFailure(error));
      }
    };
    void read();
    return () => running.abort();
  }, [connection, text, sinceMs, untilMs, first, second, measure]);
  const by = [...new Set([Number(first), Number(second)])].filter((dimension) => dimension !== 0) as FlowDimension[];
  const order = Number(measure) as FlowMeasure;
  const largest = measureOf(answer?.groups[0]?.sums, order);
  const choices = DIMENSIONS.map((dimension) => ({ value: String(dimension), label: DIMENSION_NAMES[dimension] }));
  return (
    <>
      <div className="history-bar">
        <Select label="By" value={first} onChange={setFirst} choices={choices} />
        <Select
          label="And"
          value={second}
          onChange={setSecond}
          choices={[{ value: "0", label: "nothing more" }, ...choices]}
        />
        <Select
          label="Most"
          value={measure}
          onChange={setMeasure}
          choices={MEASURES.map((each) => ({ value: String(each), label: MEASURE_NAMES[each] }))}
        />
      </div>
      {failure ? <FailureNotice failure={failure} title="The history cannot answer that" /> : null}
      {answer === null && !failure ? <Skeleton rows={8} label="Summing up" /> : null}
      {answer ? (
        <>
          <ScrollRegion className="history-scroll" label="Sums, largest first">
            <table className="history-table">
              <thead>
                <tr>
                  {by.map((dimension) => (
                    <th key={dimension} scope="col">
                      {DIMENSION_NAMES[dimension]}
                    </th>
                  ))}
                  <th scope="col" className="history-share">
                    {MEASURE_NAMES[order]}
                  </th>
                  {order === FlowMeasure.CONNECTIONS ? null : <th scope="col">Connections</th>}
                  {order === FlowMeasure.DENIED_PACKETS ? null : <th scope="col">Denied packets</th>}
                  <th scope="col">Bytes there</th>
                  <th scope="col">Bytes back</th>
                </tr>
              </thead>
              <tbody>
                {answer.groups.map(({ values, names, sums }) => (
                  <tr key={values.join("\n")}>
                    {by.map((dimension, index) => {
                      const value = values[index] ?? "";
                      const term = termOf(dimension, value);
                      const shown = (
                        <>
                          {names[index] ? <>{visibleText(names[index])} </> : null}
                          <span className={names[index] ? "faint" : undefined}>
                            {visibleText(groupText(dimension, value))}
                          </span>
                        </>
                      );
                      return (
                        <td key={dimension}>
                          {term ? (
                            <button type="button" className="history-value" onClick={() => onAdd(term)}>
                              {shown}
                            </button>
                          ) : (
                            shown
                          )}
                        </td>
                      );
                    })}
                    <td className="history-share">
                      <span
                        className="history-share-bar"
                        aria-hidden="true"
                        style={{ width: `${largest > 0 ? (measureOf(sums, order) / largest) * 100 : 0}%` }}
                      />
                      <span className="history-share-text">{measureText(measureOf(sums, order), order)}</span>
                    </td>
                    {order === FlowMeasure.CONNECTIONS ? null : (
                      <td className="number">{formatCount(sums?.connections ?? 0n)}</td>
                    )}
                    {order === FlowMeasure.DENIED_PACKETS ? null : (
                      <td className="number">{formatCount(sums?.deniedPackets ?? 0n)}</td>
                    )}
                    <td className="number">{formatBytes(sums?.originatorBytes ?? 0n)}</td>
                    <td className="number">{formatBytes(sums?.responderBytes ?? 0n)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </ScrollRegion>
          <p className="history-searched" aria-live="polite">
            {formatCount(answer.groups.length)} of {formatQuantity(answer.groupCount, "group")}
            {answer.isFinal ? "" : " so far"}
            {answer.searched ? ` · ${searchedText(answer.searched)}` : ""}
          </p>
        </>
      ) : null}
    </>
  );
});
