import type { HealingRun } from "@wardline/api/wardline/v1/mesh";
import { X } from "lucide-react";
import { useConsoleNow } from "../../../data/context.tsx";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import { formatAge, IconButton, Moment, VerdictMark, visibleText } from "../../../ui/index.ts";
import { FAULT_EXPLANATIONS, FAULT_NAMES, RUN_STATES, repairTimeText } from "../model/healing-words.ts";
import { placeOfTarget } from "../model/target.ts";
import { CandidateList } from "./candidate-list.tsx";
import { RunDecision } from "./run-decision.tsx";
import { RunSteps } from "./run-steps.tsx";

/** One fault: the cause first, then what can be decided, then what could be done, then every step with its evidence. */
export function RunDetail({ hostId, run, onClose }: { hostId: string; run: HealingRun; onClose: () => void }) {
  const openMesh = useWindow((state) => state.openMesh);
  const state = RUN_STATES[run.state];
  const place = placeOfTarget(run.target);
  return (
    <aside className="mesh-panel run-detail scroll" aria-label="Healing run" tabIndex={-1}>
      <header className="mesh-panel-head">
        <span className="mesh-line">
          <VerdictMark verdict={state.shape} words={state.words} />
          <span title={FAULT_EXPLANATIONS[run.fault]}>{FAULT_NAMES[run.fault]}</span>
        </span>
        <IconButton label="Close the run" keys="Esc" onPress={onClose}>
          <X size={16} aria-hidden="true" />
        </IconButton>
      </header>
      <h2 className="run-cause wrap-anywhere">{visibleText(run.cause)}</h2>
      <p className="soft">
        {FAULT_EXPLANATIONS[run.fault]} {confidenceText(run.confidence)}
      </p>
      <Times run={run} />
      {place === null ? null : (
        <p>
          <button type="button" className="link" onClick={() => openMesh(place)}>
            Show it in the topology
          </button>
        </p>
      )}
      <RunDecision hostId={hostId} run={run} />
      <CandidateList candidates={run.candidates} />
      <RunSteps run={run} />
    </aside>
  );
}

function confidenceText(confidence: number): string {
  if (confidence <= 0) return "";
  return `It explains what is seen with ${Math.round(confidence * 100)} % confidence.`;
}

function Times({ run }: { run: HealingRun }) {
  const nowMs = useConsoleNow();
  const firstMs = optionalMs(run.firstSymptomAt);
  const detectedMs = optionalMs(run.detectedAt);
  const endedMs = optionalMs(run.endedAt);
  const repaired = repairTimeText(run.timeToRepair);
  return (
    <dl className="mesh-facts">
      <dt>First symptom</dt>
      <dd>{firstMs === null ? "not known" : <Moment timeMs={firstMs} form="full" />}</dd>
      <dt>Recognised</dt>
      <dd>
        {detectedMs === null ? (
          "not known"
        ) : firstMs === null ? (
          <Moment timeMs={detectedMs} form="full" />
        ) : (
          `${((detectedMs - firstMs) / 1000).toFixed(1)} s after it`
        )}
      </dd>
      <dt>Repaired</dt>
      <dd>
        {repaired ? (
          `in ${repaired}, from the first symptom to the end of verification`
        ) : endedMs === null ? (
          `not yet${firstMs === null ? "" : `: ${formatAge(nowMs - firstMs)} so far`}`
        ) : (
          <>
            no; it ended <Moment timeMs={endedMs} form="full" />
          </>
        )}
      </dd>
      <dt>Decides</dt>
      <dd className="wrap-anywhere">
        {run.coordinator ? visibleText(run.coordinator) : "nobody: the cluster has no leader"}
        {run.term > 0n ? `, leader in term ${run.term}` : ""}
      </dd>
      {run.approvedBy ? (
        <>
          <dt>Decided by</dt>
          <dd className="wrap-anywhere">{visibleText(run.approvedBy)}</dd>
        </>
      ) : null}
    </dl>
  );
}
