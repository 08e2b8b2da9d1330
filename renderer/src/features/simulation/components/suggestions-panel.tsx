import { createClient } from "@connectrpc/connect";
import { VerdictService } from "@wardline/api/wardline/console/v1/verdicts";
import { Lightbulb } from "lucide-react";
import { useMemo, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { Button, EmptyState, FailureNotice, formatQuantity, Select, Skeleton, visibleText } from "../../../ui/index.ts";
import { useRun } from "../hooks/use-run.ts";
import { EMPTY_SUGGESTIONS, leftOutWords, reduceSuggestions } from "../model/suggestions.ts";
import { WINDOW_CHOICES, type WindowChoice, windowStart } from "../model/time-windows.ts";
import { RunLine } from "./run-line.tsx";
import { SuggestionCard } from "./suggestion-card.tsx";
import "./simulation.css";

const WIDTHS = [
  "exactly what was seen",
  "label groups",
  "ranges of ports, small networks",
  "namespaces, larger networks",
  "as wide as makes sense",
];

/** The smallest policies that recorded flows would have needed. A person accepts each; nothing is applied by it. */
export function SuggestionsPanel() {
  const { connection } = useConsole();
  const goTo = useWindow((state) => state.goTo);
  const client = useMemo(() => createClient(VerdictService, connection.transport), [connection]);
  const [window, setWindow] = useState<WindowChoice>("week");
  const [width, setWidth] = useState(2);
  const [chosen, setChosen] = useState(2);
  const [turn, setTurn] = useState(0);
  const run = useRun(
    JSON.stringify([window, chosen, turn]),
    (signal) =>
      client.findSuggestions(
        { filter: { since: windowStart(window, Date.now()) }, generalize: chosen / 4 },
        { signal },
      ),
    reduceSuggestions,
    EMPTY_SUGGESTIONS,
  );
  const { progress, done } = run.state;
  const choose = () => setChosen(width);
  return (
    <div className="suggestions">
      <div className="verdict-filters">
        <Select label="Learn from" isLabelHidden value={window} onChange={setWindow} choices={WINDOW_CHOICES} />
        <label className="width-slider">
          <span>How wide</span>
          <input
            type="range"
            min={0}
            max={4}
            step={1}
            value={width}
            aria-valuetext={WIDTHS[width]}
            onChange={(event) => setWidth(Number(event.target.value))}
            onPointerUp={choose}
            onKeyUp={choose}
            onBlur={choose}
          />
          <span className="soft width-words">{WIDTHS[width]}</span>
        </label>
      </div>
      <RunLine
        status={run.status}
        read={progress?.read ?? 0n}
        total={progress?.total ?? 0n}
        what="flows"
        onCancel={run.cancel}
      >
        {done ? <span className="soft">{formatQuantity(done.suggestions.length, "suggestion")}</span> : null}
      </RunLine>
      {run.failure ? (
        <FailureNotice failure={run.failure} title="Nothing could be learned" onRetry={() => setTurn(turn + 1)} />
      ) : null}
      {run.status === "running" && !done ? <Skeleton rows={6} label="Learning from recorded flows" /> : null}
      {done && done.suggestions.length === 0 ? (
        <EmptyState
          picture={<Lightbulb size={32} />}
          title="Too little was seen to suggest anything"
          action={<Button onPress={() => goTo("flows")}>Open Flows</Button>}
        >
          Suggestions are learned from what your declared hosts and workloads recorded. A few minutes of usual work are
          enough to begin with.
        </EmptyState>
      ) : null}
      {done?.suggestions.map((suggestion) => (
        <SuggestionCard key={suggestion.path} suggestion={suggestion} />
      ))}
      {done && done.leftOut.length > 0 ? (
        <section className="left-out" aria-labelledby="left-out">
          <h3 id="left-out">Left out</h3>
          <ul>
            {done.leftOut.map((entry) => (
              <li key={entry.reason} className="wrap-anywhere">
                {formatQuantity(entry.connections, "connection")}, {formatQuantity(entry.flows, "flow")}:{" "}
                {leftOutWords(entry.reason)}
                {entry.talkers[0] ? (
                  <span className="faint">
                    {" "}
                    · for example {visibleText(entry.talkers[0].from)} → {visibleText(entry.talkers[0].to)}
                  </span>
                ) : null}
              </li>
            ))}
          </ul>
        </section>
      ) : null}
    </div>
  );
}
