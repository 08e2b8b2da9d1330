import { FlowClass } from "@wardline/api/wardline/console/v1/policies";
import { PlayCircle } from "lucide-react";
import { useState } from "react";
import { useConsole, useHostsStream } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  Checkbox,
  EmptyState,
  FailureNotice,
  formatCount,
  Select,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { useRun } from "../hooks/use-run.ts";
import { useSimulateKey } from "../hooks/use-simulate-key.ts";
import { CLASSES, EMPTY_SIMULATION, flowsOf, reduceSimulation } from "../model/simulation.ts";
import { WINDOW_CHOICES, type WindowChoice, windowStart } from "../model/time-windows.ts";
import { RunLine } from "./run-line.tsx";
import { SimulationGroups } from "./simulation-groups.tsx";

const SAMPLES = [
  { value: "1", label: "Every flow" },
  { value: "10", label: "Every 10th flow" },
  { value: "100", label: "Every 100th flow" },
] as const;

interface Asked {
  readonly window: WindowChoice;
  readonly sample: (typeof SAMPLES)[number]["value"];
  readonly hostId: string;
  readonly comparesEnforced: boolean;
}

/** Recorded flows, decided again by the draft. */
export function SimulationTab() {
  const { connection } = useConsole();
  const scopeHostId = useWindow((state) => state.scopeHostId);
  const hosts = useHostsStream().value?.hosts ?? [];
  const [asked, setAsked] = useState<Asked>({
    window: "day",
    sample: "1",
    hostId: scopeHostId ?? "",
    comparesEnforced: false,
  });
  const [runOf, setRunOf] = useState<{ readonly asked: Asked; readonly turn: number } | null>(null);
  const [shown, setShown] = useState<FlowClass>(FlowClass.NEWLY_BLOCKED);
  const change = (part: Partial<Asked>) => setAsked({ ...asked, ...part });
  const start = () => setRunOf({ asked, turn: (runOf?.turn ?? 0) + 1 });
  const run = useRun(
    runOf === null ? null : JSON.stringify(runOf),
    (signal) =>
      connection.policies.simulatePolicies(
        {
          filter: {
            since: windowStart(runOf?.asked.window ?? "day", Date.now()),
            hostIds: runOf?.asked.hostId ? [runOf.asked.hostId] : [],
          },
          sampleEvery: Number(runOf?.asked.sample ?? 1),
          compareEnforced: runOf?.asked.comparesEnforced ?? false,
          maxGroups: 500,
        },
        { signal },
      ),
    reduceSimulation,
    EMPTY_SIMULATION,
  );
  useSimulateKey(start);
  const { counts, groups, done } = run.state;
  const hasBase = (counts?.base.length ?? 0) > 0;
  const classCounts = (hasBase ? counts?.base : counts?.recorded) ?? [];
  const inClass = groups.filter((group) => (hasBase ? group.baseClass : group.recordedClass) === shown);
  const other = done ? flowsOf(hasBase ? done.otherBase : done.otherRecorded, shown) : 0n;
  return (
    <div className="simulation">
      <div className="verdict-filters">
        <Select
          label="Flows of"
          isLabelHidden
          value={asked.window}
          onChange={(window) => change({ window })}
          choices={WINDOW_CHOICES}
        />
        <Select
          label="Recorded by"
          isLabelHidden
          value={asked.hostId || "every"}
          onChange={(id) => change({ hostId: id === "every" ? "" : id })}
          choices={[
            { value: "every", label: "Every host" },
            ...hosts.map(({ id, name }) => ({ value: id, label: visibleText(name) })),
          ]}
        />
        <Select
          label="Sample"
          isLabelHidden
          value={asked.sample}
          onChange={(sample) => change({ sample })}
          choices={SAMPLES}
        />
        <Checkbox isSelected={asked.comparesEnforced} onChange={(comparesEnforced) => change({ comparesEnforced })}>
          Against what this machine enforces today, not what was recorded
        </Checkbox>
        <Button tone="primary" keys="Ctrl+Enter" onPress={start} isDisabled={run.status === "running"}>
          Simulate the draft
        </Button>
      </div>
      {run.status === "idle" ? (
        <EmptyState
          picture={<PlayCircle size={32} />}
          title="What would the draft have done?"
          action={<Button onPress={start}>Simulate the last 24 hours</Button>}
        >
          Every recorded flow is decided again by the saved draft. Nothing is sent to a host.
        </EmptyState>
      ) : (
        <>
          <RunLine
            status={run.status}
            read={counts?.read ?? 0n}
            total={counts?.total ?? 0n}
            what="flows"
            onCancel={run.cancel}
          >
            {counts && counts.sampledOut > 0n ? (
              <span className="soft">a sample: {formatCount(counts.judged)} were decided, the others only counted</span>
            ) : null}
          </RunLine>
          {run.failure ? (
            <FailureNotice failure={run.failure} title="The simulation ended early" onRetry={start} />
          ) : null}
          <fieldset className="class-tiles">
            <legend className="visually-hidden">What becomes of them</legend>
            {CLASSES.map(({ value, name, shape, means }) => (
              <button
                key={value}
                type="button"
                className="class-tile"
                aria-pressed={shown === value}
                title={means}
                onClick={() => setShown(value)}
              >
                <VerdictMark verdict={shape} words={name} />
                <strong>{formatCount(flowsOf(classCounts, value))}</strong>
              </button>
            ))}
          </fieldset>
          {counts && counts.observed > 0n ? (
            <p className="soft">
              {formatCount(counts.observed)} of the allowed ones would be denied by policies in observe mode.
            </p>
          ) : null}
          <SimulationGroups
            key={shown}
            groups={inClass}
            leftOut={other}
            isRunning={run.status === "running"}
            about={CLASSES.find(({ value }) => value === shown)?.means ?? ""}
          />
        </>
      )}
    </div>
  );
}
