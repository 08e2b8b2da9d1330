import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { RuleCounter } from "@wardline/api/wardline/v1/host";
import { useConsoleNow, useFlowStream } from "../../../data/context.tsx";
import { formatBytes, formatCount, Moment, visibleText } from "../../../ui/index.ts";

const SHOWN = 200;

/** Packets per rule since the tables were loaded. Names come from flows that the window has seen; ids never change. */
export function CounterTable({ counters }: { counters: readonly RuleCounter[] }) {
  const nowMs = useConsoleNow();
  const rows = useFlowStream().value?.rows ?? [];
  const names = new Map<string, string>();
  for (const row of rows) {
    if (row.decision && !names.has(row.decision.id)) names.set(row.decision.id, row.decision.summary);
    if (names.size >= counters.length) break;
  }
  const sorted = [...counters].sort((a, b) => (a.packets < b.packets ? 1 : a.packets > b.packets ? -1 : 0));
  return (
    <section className="host-section" aria-labelledby="host-counters">
      <h2 id="host-counters">Counters by rule</h2>
      {counters.length === 0 ? <p className="soft">The host reports no counters: no tables are loaded.</p> : null}
      {counters.length > 0 ? (
        <table className="counters">
          <thead>
            <tr>
              <th scope="col">Rule</th>
              <th scope="col">Packets</th>
              <th scope="col">Bytes</th>
              <th scope="col">Last seen</th>
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, SHOWN).map((counter) => (
              <tr key={counter.decisionId}>
                <td className="wrap-anywhere">
                  {names.has(counter.decisionId) ? `${visibleText(names.get(counter.decisionId) ?? "")} ` : ""}
                  <code className="faint">{visibleText(counter.decisionId)}</code>
                </td>
                <td>{formatCount(counter.packets)}</td>
                <td>{formatBytes(counter.bytes)}</td>
                <td>
                  {counter.lastSeen && counter.packets > 0n ? (
                    <Moment timeMs={timestampMs(counter.lastSeen)} nowMs={nowMs} />
                  ) : (
                    <span className="faint">never hit</span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
      {sorted.length > SHOWN ? (
        <p className="soft">and {formatCount(sorted.length - SHOWN)} with fewer packets</p>
      ) : null}
    </section>
  );
}
