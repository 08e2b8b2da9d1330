import { useQuery } from "@connectrpc/connect-query";
import { FlowService } from "@wardline/api/wardline/console/v1/flows";
import { Check } from "lucide-react";
import { useState } from "react";
import { useHostsStream, useWorkspaceStream } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { Button } from "../../../ui/index.ts";
import { firstSteps, type Step, type StepId } from "../model/steps.ts";
import "./first-run.css";

const ASK_EVERY_MS = 3_000;

/** Leads an empty console to a policy that is tried out. Goes away by itself once a host has a generation. */
export function FirstRunGuide() {
  const hosts = useHostsStream().value?.hosts;
  const files = useWorkspaceStream().value?.files;
  const [isAway, setAway] = useState(false);
  const isEmpty = hosts?.every(({ status }) => (status?.enforced?.number ?? 0n) === 0n) === true;
  const flows = useQuery(
    FlowService.method.queryFlows,
    { limit: 1 },
    { refetchInterval: ASK_EVERY_MS, enabled: isEmpty && !isAway },
  );
  const steps = firstSteps({
    hosts: hosts ?? [],
    files: files ?? [],
    connections: flows.data ? Number(flows.data.total) : null,
  });
  if (!hosts || !files || steps === null || isAway) return null;
  return (
    <section className="first-run" aria-labelledby="first-run-title">
      <header className="first-run-head">
        <h1 id="first-run-title">Start here</h1>
        <p className="soft">Four steps to a policy that is tried out. Until you enforce, nothing is dropped.</p>
        <Button size="small" tone="quiet" onPress={() => setAway(true)}>
          Not now
        </Button>
      </header>
      <ol className="first-run-steps">
        {steps.map((step, index) => (
          <li
            key={step.id}
            className="first-run-step"
            data-state={step.state}
            aria-current={step.state === "now" ? "step" : undefined}
          >
            <span className="first-run-number" aria-hidden="true">
              {step.state === "done" ? <Check size={14} /> : index + 1}
            </span>
            <div className="first-run-text wrap-anywhere">
              <h2>
                {step.title}
                <span className="visually-hidden">{step.state === "done" ? ", done" : ""}</span>
              </h2>
              <p className="soft">{step.text}</p>
              <StepActions step={step} />
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
}

function StepActions({ step }: { step: Step }) {
  const { goTo, show } = useWindow();
  const actions: Record<StepId, React.ReactNode> = {
    agent: step.state === "now" ? <Button onPress={() => goTo("hosts")}>Open hosts</Button> : null,
    watch: <Button onPress={() => goTo("flows")}>See its connections</Button>,
    draft:
      step.state === "later" ? null : (
        <>
          <Button tone={step.state === "now" ? "primary" : "plain"} onPress={() => show("suggestions")}>
            Suggest from what was seen
          </Button>
          <Button onPress={() => goTo("policies")}>
            {step.state === "done" ? "Open the policies" : "Begin with a sample"}
          </Button>
        </>
      ),
    stage:
      step.state === "now" ? (
        <Button tone="primary" onPress={() => show("ship")}>
          Review and observe
        </Button>
      ) : null,
  };
  return actions[step.id] === null ? null : <div className="first-run-actions">{actions[step.id]}</div>;
}
