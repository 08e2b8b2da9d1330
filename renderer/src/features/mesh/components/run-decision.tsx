import { HealingDecision } from "@wardline/api/wardline/agent/v1/mesh";
import { type HealingRun, HealingState } from "@wardline/api/wardline/v1/mesh";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { ENVIRONMENT_TONES } from "../../../data/hosts-snapshot.ts";
import { Button, EnvironmentTag, FailureNotice, Notice, Select, TextField, visibleText } from "../../../ui/index.ts";
import { usePermission } from "../hooks/use-permission.ts";
import { candidateSentence } from "../model/healing-words.ts";
import { escalationText, groupOf } from "../model/needs.ts";

/** Approve what waits, or stop what goes on; each says first what follows. */
export function RunDecision({ hostId, run }: { hostId: string; run: HealingRun }) {
  const [open, setOpen] = useState<"none" | "approve" | "stop">("none");
  const { refusal } = usePermission(hostId, "operator");
  const isWaiting = run.state === HealingState.WAITING_FOR_APPROVAL;
  if (groupOf(run) === "ended") return null;
  return (
    <section className="mesh-section" aria-label="Your decision">
      {run.state === HealingState.ESCALATED ? (
        <Notice tone="deny">
          {escalationText(run)}. Look at the evidence below and at the host itself; the run ends when the symptom is
          gone, or when you stop it.
        </Notice>
      ) : null}
      {open === "none" ? (
        <p className="run-buttons">
          {isWaiting ? (
            <Button tone="primary" isDisabled={refusal !== ""} onPress={() => setOpen("approve")}>
              Approve…
            </Button>
          ) : null}
          <Button isDisabled={refusal !== ""} onPress={() => setOpen("stop")}>
            Stop…
          </Button>
        </p>
      ) : (
        <DecisionForm hostId={hostId} run={run} kind={open} onDone={() => setOpen("none")} />
      )}
      {refusal ? <p className="soft">{refusal}</p> : null}
    </section>
  );
}

interface DecisionFormProps {
  readonly hostId: string;
  readonly run: HealingRun;
  readonly kind: "approve" | "stop";
  readonly onDone: () => void;
}

function DecisionForm({ hostId, run, kind, onDone }: DecisionFormProps) {
  const { connection } = useConsole();
  const { host } = usePermission(hostId, "operator");
  const free = run.candidates
    .map((candidate, index) => ({ candidate, index }))
    .filter((each) => each.candidate.heldBack === "");
  const [chosen, setChosen] = useState(String(free[0]?.index ?? 0));
  const [reason, setReason] = useState("");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const candidate = run.candidates[Number(chosen)];
  const isApprove = kind === "approve";
  const decide = async () => {
    if (isBusy) return;
    setBusy(true);
    setFailure(null);
    try {
      await connection.mesh.decideMeshHealing({
        hostId,
        request: {
          runId: run.id,
          decision: isApprove ? HealingDecision.APPROVE : HealingDecision.STOP,
          ...(isApprove ? { candidate: Number(chosen) } : {}),
          reason: reason.trim(),
        },
      });
      onDone();
    } catch (error) {
      setFailure(shownFailure(error));
      setBusy(false);
    }
  };
  return (
    <div className="run-form">
      {host?.environment ? (
        <EnvironmentTag name={host.environment.name} color={ENVIRONMENT_TONES[host.environment.color]} />
      ) : null}
      {isApprove && free.length > 1 ? (
        <Select
          label="What is done"
          value={chosen}
          onChange={setChosen}
          choices={free.map((each) => ({ value: String(each.index), label: candidateSentence(each.candidate) }))}
        />
      ) : null}
      {isApprove && candidate ? (
        <p className="wrap-anywhere">
          <strong>{candidateSentence(candidate)}.</strong> {visibleText(candidate.blastRadius)} It counts as healed when
          the symptom stayed away for the hold time; if it does not help it is taken back where that is possible.
        </p>
      ) : null}
      {isApprove ? null : (
        <p>
          Nothing more is done about this fault. What was done already stays as it is. If the symptom comes back it is
          told anew.
        </p>
      )}
      <TextField label="Why (for the audit log)" value={reason} onChange={setReason} onSubmit={() => void decide()} />
      {failure ? <FailureNotice isCompact failure={failure} title="Nothing was decided" /> : null}
      <p className="run-buttons run-buttons-apart">
        <Button onPress={onDone}>Cancel</Button>
        <Button tone={isApprove ? "primary" : "danger"} onPress={() => void decide()}>
          {isApprove ? "Approve and do it" : "Stop this run"}
        </Button>
      </p>
    </div>
  );
}
