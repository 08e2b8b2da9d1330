import { timestampMs } from "@bufbuild/protobuf/wkt";
import { AuditState, type AuditVerdict } from "@wardline/api/wardline/console/v1/audit";
import { useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { failureFromDetail, type ShownFailure, shownFailure } from "../../../data/failure.ts";
import {
  Button,
  FailureNotice,
  formatQuantity,
  Moment,
  Tag,
  TextField,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { STATES } from "../model/words.tsx";

interface VerdictListProps {
  readonly verdicts: readonly AuditVerdict[];
  /** They were just verified; else they are from the last round. */
  readonly isFresh: boolean;
  readonly onAccepted: () => void;
}

const isBad = ({ state }: AuditVerdict) =>
  state === AuditState.BROKEN || state === AuditState.TRUNCATED || state === AuditState.FORKED;

/** One line for all logs that are whole, and one for each that is not. */
export function VerdictList({ verdicts, isFresh, onAccepted }: VerdictListProps) {
  const [isOpen, setOpen] = useState(false);
  const bad = verdicts.filter(isBad);
  const whole = verdicts.filter(({ state }) => state === AuditState.VERIFIED).length;
  const shown = isOpen || isFresh ? verdicts : bad;
  if (verdicts.length === 0) return null;
  return (
    <section className="audit-verdicts" aria-label="Whether the logs are whole">
      <p role="status">
        {bad.length > 0 ? (
          <VerdictMark verdict="deny" words={`${formatQuantity(bad.length, "log")} not whole`} />
        ) : (
          <VerdictMark
            verdict={whole === verdicts.length ? "allow" : "unknown"}
            words={`${whole} of ${verdicts.length} whole`}
          />
        )}{" "}
        <Button size="small" tone="quiet" onPress={() => setOpen(!isOpen)}>
          {isOpen ? "Hide the logs" : "Show each log"}
        </Button>
      </p>
      <ul className="audit-verdict-list scroll">
        {shown.map((verdict) => (
          <VerdictLine key={verdict.hostId} verdict={verdict} onAccepted={onAccepted} />
        ))}
      </ul>
    </section>
  );
}

function VerdictLine({ verdict, onAccepted }: { verdict: AuditVerdict; onAccepted: () => void }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [reason, setReason] = useState<string | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [mark, words] = STATES[verdict.state];
  const at = verdict.atSequence > 0n ? ` at entry ${verdict.atSequence}` : "";
  const accept = async () => {
    try {
      await connection.audit.acceptAudit({ hostId: verdict.hostId, reason: reason ?? "" });
      setReason(null);
      onAccepted();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <li className="audit-verdict">
      <strong className="truncate">{visibleText(verdict.hostName)}</strong>
      <VerdictMark verdict={mark} words={`${words}${at}`} />
      <span className="soft wrap-anywhere">
        {visibleText(verdict.explanation)}{" "}
        {verdict.verifiedAt ? <Moment timeMs={timestampMs(verdict.verifiedAt)} nowMs={nowMs} /> : null}{" "}
        {verdict.acceptedBy ? (
          <Tag tone="observed">
            accepted by {visibleText(verdict.acceptedBy)}: {visibleText(verdict.acceptedReason)}
          </Tag>
        ) : null}
      </span>
      {isBad(verdict) && reason === null ? (
        <Button size="small" onPress={() => setReason("")}>
          Accept…
        </Button>
      ) : null}
      {reason !== null ? (
        <div className="audit-accept">
          <TextField
            label={`Why the log that ${visibleText(verdict.hostName)} has now is the right one`}
            value={reason}
            onChange={setReason}
            hint="What was seen before is kept beside it, with your name and this reason."
          />
          <Button onPress={() => setReason(null)}>Leave it as it is</Button>
          <Button tone="danger" isDisabled={reason.trim() === ""} onPress={() => void accept()}>
            Go on with this log
          </Button>
        </div>
      ) : null}
      {failure ? <FailureNotice failure={failure} isCompact /> : null}
      {verdict.error ? <FailureNotice failure={failureFromDetail(verdict.error)} isCompact /> : null}
    </li>
  );
}
