import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Anomaly } from "@wardline/api/wardline/console/v1/anomalies";
import { FeedbackKind } from "@wardline/api/wardline/v1/anomaly";
import { useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, Moment, Notice, ScrollRegion, TextField, visibleText } from "../../../ui/index.ts";
import { QuarantineSheet } from "../../quarantine/index.ts";
import { isOpen } from "../model/open.ts";

type Step = "none" | "draft" | "quarantine" | "normal" | "confirmed";

interface FindingActionsProps {
  readonly anomaly: Anomaly | null | undefined;
  /** YAML; empty = no policy would help. */
  readonly draft: string;
  readonly draftName: string;
}

/** What a person may want to do. Each opens on what it would change, for whom, and how to get back. */
export function FindingActions({ anomaly, draft, draftName }: FindingActionsProps) {
  const [step, setStep] = useState<Step>("none");
  const finding = anomaly?.finding;
  if (!anomaly || !finding) return null;
  const subjectKey = finding.actions
    .map(({ action }) => (action.case === "quarantineSubjectKey" ? action.value : null))
    .find((key) => key !== null);
  const close = () => setStep("none");
  return (
    <section className="finding-section" aria-labelledby="finding-actions">
      <h3 id="finding-actions">What to do</h3>
      <Judgement anomaly={anomaly} />
      {step === "none" || step === "quarantine" ? (
        <span className="finding-buttons">
          {draft ? <Button onPress={() => setStep("draft")}>Draft a policy that denies it…</Button> : null}
          {subjectKey === undefined ? null : <Button onPress={() => setStep("quarantine")}>Quarantine…</Button>}
          <Button onPress={() => setStep("normal")}>It is normal here…</Button>
          <Button onPress={() => setStep("confirmed")}>It is not…</Button>
        </span>
      ) : null}
      {step === "draft" ? <DraftForm draft={draft} draftName={draftName} onDone={close} /> : null}
      {step === "quarantine" ? (
        <QuarantineSheet
          hostId={anomaly.hostId}
          host={finding.host}
          subjectKey={subjectKey ?? ""}
          reason={`Finding ${finding.id}: ${finding.sentence}`}
          onClose={close}
        />
      ) : null}
      {step === "normal" || step === "confirmed" ? <FeedbackForm anomaly={anomaly} step={step} onDone={close} /> : null}
    </section>
  );
}

/** What was said of it, by whom, and the way to take it back. */
function Judgement({ anomaly }: { anomaly: Anomaly }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const latest = anomaly.finding?.feedback[0];
  if (!latest || isOpen(anomaly)) return null;
  const isNormal = latest.kind === FeedbackKind.NORMAL;
  const undo = () =>
    connection.anomalies
      .giveAnomalyFeedback({
        hostId: anomaly.hostId,
        findingId: anomaly.finding?.id ?? "",
        kind: FeedbackKind.UNDO,
        reason: "Taken back in the console",
      })
      .catch((error: unknown) => setFailure(shownFailure(error)));
  return (
    <>
      <Notice
        tone={isNormal ? "unknown" : "deny"}
        action={
          <Button size="small" onPress={() => void undo()}>
            Take it back
          </Button>
        }
      >
        <strong>
          {visibleText(latest.actor)} {isNormal ? "called it normal here" : "confirmed that it is not normal"}
        </strong>
        <span className="soft">
          {visibleText(latest.reason)}
          {latest.time ? (
            <>
              {" "}
              · <Moment timeMs={timestampMs(latest.time)} nowMs={nowMs} />
            </>
          ) : null}
        </span>
      </Notice>
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
    </>
  );
}

function DraftForm({ draft, draftName, onDone }: { draft: string; draftName: string; onDone: () => void }) {
  const { connection } = useConsole();
  const openFile = useWindow((state) => state.openFile);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const create = async () => {
    setFailure(null);
    try {
      const path = draftName.includes("/") ? draftName : `policies/${draftName}`;
      await connection.policies.saveFile({ path, text: draft, baseRevision: 0n });
      openFile(path);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <div className="finding-form">
      <p>
        This becomes the draft <code>{visibleText(draftName)}</code>. Nothing is enforced until you review it, see who
        loses access, and apply it.
      </p>
      <ScrollRegion className="finding-draft" label="The draft">
        <pre>{draft}</pre>
      </ScrollRegion>
      {failure ? <FailureNotice isCompact failure={failure} title="No draft was made" /> : null}
      <span className="finding-buttons">
        <Button tone="primary" onPress={() => void create()}>
          Make the draft and open it
        </Button>
        <Button onPress={onDone}>Cancel</Button>
      </span>
    </div>
  );
}

function FeedbackForm({
  anomaly,
  step,
  onDone,
}: {
  anomaly: Anomaly;
  step: "normal" | "confirmed";
  onDone: () => void;
}) {
  const { connection } = useConsole();
  const [reason, setReason] = useState("");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const isNormal = step === "normal";
  const host = visibleText(anomaly.finding?.host ?? "");
  const say = async () => {
    setFailure(null);
    try {
      await connection.anomalies.giveAnomalyFeedback({
        hostId: anomaly.hostId,
        findingId: anomaly.finding?.id ?? "",
        kind: isNormal ? FeedbackKind.NORMAL : FeedbackKind.CONFIRMED,
        reason: reason.trim(),
      });
      onDone();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <div className="finding-form">
      <p>
        {isNormal
          ? `${host} will not report the like again (same kind, process, peer and port, up to about this much) and may learn from it. It is written to the host's audit log, and can be taken back.`
          : `${host} will never learn from this traffic. It is written to the host's audit log, and can be taken back.`}
      </p>
      <TextField label="Why" value={reason} onChange={setReason} onSubmit={() => void say()} />
      {failure ? <FailureNotice isCompact failure={failure} title="Nothing was changed" /> : null}
      <span className="finding-buttons">
        <Button tone="primary" onPress={() => void say()}>
          {isNormal ? "Call it normal here" : "Confirm that it is not normal"}
        </Button>
        <Button onPress={onDone}>Cancel</Button>
      </span>
    </div>
  );
}
