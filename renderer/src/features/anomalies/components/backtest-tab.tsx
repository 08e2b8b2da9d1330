import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { BacktestResponse, BacktestRun } from "@wardline/api/wardline/console/v1/anomalies";
import { useEffect, useRef, useState } from "react";
import { useActivity, useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatCount,
  formatQuantity,
  Moment,
  Notice,
  Select,
  SeverityMark,
  TextField,
  visibleText,
} from "../../../ui/index.ts";
import { DETECTOR_NAMES } from "../model/words.ts";

const SPANS = [
  { value: "3600000", label: "The last hour" },
  { value: "86400000", label: "The last day" },
  { value: "604800000", label: "The last 7 days" },
  { value: "2592000000", label: "The last 30 days" },
] as const;
type Span = (typeof SPANS)[number]["value"];

interface Knobs {
  readonly perDay: string;
  readonly learningHours: string;
}

const USUAL: Knobs = { perDay: "0.5", learningHours: "24" };

function settingsOf({ perDay, learningHours }: Knobs) {
  return { targetFalseAlarmsPerDay: Number(perDay), disabled: [], learningHours: Number(learningHours) };
}

function problemOf({ perDay, learningHours }: Knobs): string | null {
  const rate = Number(perDay);
  const hours = Number(learningHours);
  if (!(rate >= 0.01 && rate <= 100)) return "False alarms a day: 0.01 to 100.";
  if (!(Number.isInteger(hours) && hours >= 1 && hours <= 168)) return "Hours of learning: 1 to 168.";
  return null;
}

/** What the detectors would have said of recorded history, with one setting or two. Changes nothing. */
export function BacktestTab() {
  const { connection } = useConsole();
  const { scopeHostId } = useWindow();
  const nowMs = useConsoleNow();
  const models = useActivity().anomalies?.models ?? [];
  const [span, setSpan] = useState<Span>("86400000");
  const [first, setFirst] = useState<Knobs>(USUAL);
  const [other, setOther] = useState<Knobs | null>(null);
  const [answer, setAnswer] = useState<BacktestResponse | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const running = useRef<AbortController | null>(null);
  const [isRunning, setRunning] = useState(false);
  useEffect(() => () => running.current?.abort(), []);
  const problem = problemOf(first) ?? (other ? problemOf(other) : null);
  const run = async () => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    setFailure(null);
    setAnswer(null);
    setRunning(true);
    try {
      const request = {
        hostIds: scopeHostId === null ? [] : [scopeHostId],
        since: timestampFromMs(nowMs - Number(span)),
        until: timestampFromMs(nowMs),
        settings: settingsOf(first),
        ...(other ? { otherSettings: settingsOf(other) } : {}),
      };
      for await (const message of connection.anomalies.backtest(request, { signal: own.signal })) setAnswer(message);
    } catch (error) {
      if (!own.signal.aborted) setFailure(shownFailure(error));
    } finally {
      if (running.current === own) setRunning(false);
    }
  };
  const host = models.find(({ hostId }) => hostId === scopeHostId)?.host;
  return (
    <div className="backtest scroll">
      <p className="soft">
        The detectors run over what was recorded{host ? ` of ${visibleText(host)}` : " of every host"}, as if it were
        now. Nothing is changed, nobody is told.
      </p>
      <div className="backtest-form">
        <Select label="Time" value={span} onChange={setSpan} choices={SPANS} />
        <Setting name="With" knobs={first} onChange={setFirst} />
        {other ? <Setting name="Beside it" knobs={other} onChange={setOther} /> : null}
      </div>
      {problem ? <p className="backtest-problem">{problem}</p> : null}
      <span className="finding-buttons">
        <Button tone="primary" isDisabled={problem !== null || isRunning} onPress={() => void run()}>
          {isRunning ? "Running…" : "Run over history"}
        </Button>
        {isRunning ? <Button onPress={() => running.current?.abort()}>Stop</Button> : null}
        {other ? (
          <Button onPress={() => setOther(null)}>Only one setting</Button>
        ) : (
          <Button onPress={() => setOther({ ...first, perDay: "0.1" })}>Compare with another setting</Button>
        )}
      </span>
      {failure ? <FailureNotice failure={failure} title="The history could not be run" /> : null}
      {answer ? <Answer answer={answer} isRunning={isRunning} hasOther={other !== null} /> : null}
    </div>
  );
}

function Setting({ name, knobs, onChange }: { name: string; knobs: Knobs; onChange: (knobs: Knobs) => void }) {
  return (
    <fieldset className="backtest-setting">
      <legend>{name}</legend>
      <TextField
        label="False alarms a host and day"
        value={knobs.perDay}
        onChange={(perDay) => onChange({ ...knobs, perDay })}
      />
      <TextField
        label="Hours of learning"
        value={knobs.learningHours}
        onChange={(learningHours) => onChange({ ...knobs, learningHours })}
      />
    </fieldset>
  );
}

function Answer({ answer, isRunning, hasOther }: { answer: BacktestResponse; isRunning: boolean; hasOther: boolean }) {
  return (
    <section className="backtest-answer" aria-label="What would have been found">
      <p aria-live="polite">
        {isRunning
          ? `${Math.floor(answer.progress * 100)} % · ${formatQuantity(answer.records, "record")} so far`
          : `${formatQuantity(answer.records, "record")} looked at${answer.run ? "" : "; stopped before the end"}`}
      </p>
      {isRunning ? <progress max={1} value={answer.progress} aria-label="Backtest" /> : null}
      {answer.gaps.map((gap) => (
        <Notice key={gap} tone="observed">
          {visibleText(gap)}
        </Notice>
      ))}
      <div className="backtest-runs">
        {answer.run ? <Run title={hasOther ? "With" : "Found"} run={answer.run} onlyHere={answer.onlyFirst} /> : null}
        {answer.otherRun ? <Run title="Beside it" run={answer.otherRun} onlyHere={answer.onlyOther} /> : null}
      </div>
    </section>
  );
}

function Run({ title, run, onlyHere }: { title: string; run: BacktestRun; onlyHere: readonly string[] }) {
  const only = new Set(onlyHere);
  return (
    <div className="backtest-run">
      <h3>
        {title}: {formatQuantity(run.findingCount, "finding")}
      </h3>
      <p className="soft">
        {run.findingsPerHostDay.toFixed(2)} a host and day
        {run.byDetector.length > 0
          ? ` · ${run.byDetector.map(({ detector, count }) => `${DETECTOR_NAMES[detector]} ${formatCount(count)}`).join(", ")}`
          : ""}
      </p>
      <ul className="backtest-findings">
        {run.findings.map((finding) => (
          <li key={`${finding.host} ${finding.id}`}>
            <span className="finding-row-head">
              <SeverityMark severity={finding.severity} />
              <span className="faint">
                {finding.beganAt ? <Moment timeMs={timestampMs(finding.beganAt)} form="full" /> : null}
              </span>
              {only.has(finding.id) ? <strong>only here</strong> : null}
            </span>
            <span className="wrap-anywhere">{visibleText(finding.sentence)}</span>
          </li>
        ))}
      </ul>
      {run.findingCount > BigInt(run.findings.length) ? (
        <p className="faint">
          {formatCount(run.findingCount - BigInt(run.findings.length))} more are counted and not listed.
        </p>
      ) : null}
    </div>
  );
}
