import { type ClusterStatus, TermEnd } from "@wardline/api/wardline/v1/cluster";
import { useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { durationMs, optionalMs } from "../../../data/hosts-snapshot.ts";
import { formatAge, formatClock, formatQuantity, Moment, Select, visibleText } from "../../../ui/index.ts";
import { layTimeline } from "../model/timeline.ts";
import { TERM_ENDS } from "../model/words.ts";

const SPANS = [
  { value: "900000", label: "15 minutes" },
  { value: "3600000", label: "1 hour" },
  { value: "86400000", label: "1 day" },
  { value: "604800000", label: "7 days" },
] as const;
type Span = (typeof SPANS)[number]["value"];

/** Who led when: a lane for each host that did, the times without a leader across all of them, and the same as a table. */
export function LeaderTimeline({ status }: { status: ClusterStatus }) {
  const nowMs = useConsoleNow();
  const [span, setSpan] = useState<Span>("3600000");
  const timeline = layTimeline(status.terms, nowMs, Number(span));
  return (
    <section className="cluster-section" aria-labelledby="cluster-terms">
      <div className="cluster-section-head">
        <h2 id="cluster-terms">Leaders</h2>
        <Select label="Time shown" isLabelHidden value={span} onChange={setSpan} choices={SPANS} />
      </div>
      {timeline.lanes.length === 0 ? (
        <p className="soft">No term falls into this time.</p>
      ) : (
        <div className="timeline" aria-hidden="true">
          {timeline.lanes.map(({ leader, bars }) => (
            <div key={leader} className="timeline-lane">
              <span className="timeline-name truncate">{visibleText(leader)}</span>
              <div className="timeline-bars">
                {bars.map((bar) => (
                  <span
                    key={String(bar.term.number)}
                    className="timeline-bar"
                    data-open={bar.isOpen ? "" : undefined}
                    style={{ left: `${bar.start * 100}%`, width: `${Math.max(0.2, (bar.end - bar.start) * 100)}%` }}
                    title={`Term ${bar.term.number}`}
                  >
                    {bar.end - bar.start > 0.08 ? `term ${bar.term.number}` : ""}
                  </span>
                ))}
                {timeline.gaps.map((gap) => (
                  <span
                    key={gap.start}
                    className="timeline-gap"
                    style={{ left: `${gap.start * 100}%`, width: `${Math.max(0.15, (gap.end - gap.start) * 100)}%` }}
                    title={`Nobody led for ${(gap.lengthMs / 1000).toFixed(1)} s`}
                  />
                ))}
              </div>
            </div>
          ))}
          <div className="timeline-scale faint">
            <span>{formatClock(timeline.fromMs)}</span>
            <span>now</span>
          </div>
        </div>
      )}
      <details className="cluster-details">
        <summary>{formatQuantity(status.terms.length, "term")} as a table</summary>
        <table className="cluster-table">
          <thead>
            <tr>
              <th scope="col">Term</th>
              <th scope="col">Leader</th>
              <th scope="col">From</th>
              <th scope="col">Lasted</th>
              <th scope="col">Ended because</th>
              <th scope="col">Nobody led before it for</th>
            </tr>
          </thead>
          <tbody>
            {status.terms.map((term) => {
              const startMs = optionalMs(term.startedAt);
              const endMs = optionalMs(term.endedAt);
              const gapMs = durationMs(term.gap);
              return (
                <tr key={String(term.number)}>
                  <td>{String(term.number)}</td>
                  <td className="wrap-anywhere">{visibleText(term.leader)}</td>
                  <td>{startMs === null ? "–" : <Moment timeMs={startMs} form="full" />}</td>
                  <td>{startMs === null ? "–" : formatAge((endMs ?? nowMs) - startMs)}</td>
                  <td>{term.end === TermEnd.UNSPECIFIED && endMs === null ? "it lasts" : TERM_ENDS[term.end]}</td>
                  <td>{gapMs > 0 ? `${(gapMs / 1000).toFixed(1)} s` : "–"}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </details>
    </section>
  );
}
