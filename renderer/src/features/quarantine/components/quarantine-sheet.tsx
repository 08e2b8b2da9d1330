import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, ChoiceCards, FailureNotice, Sheet, shortKey, TextField, visibleText } from "../../../ui/index.ts";
import "./quarantine-sheet.css";

interface QuarantineSheetProps {
  /** Id or name. */
  readonly hostId: string;
  readonly host: string;
  /** Who is suspected; the host itself when it begins with `Host/` or is empty. */
  readonly subjectKey: string;
  /** Why, as it goes to the host's audit log unless somebody writes another reason. */
  readonly reason: string;
  readonly onClose: () => void;
}

const MOST_REASON = 400;

/** Cuts a host or one of its workloads off, after saying what that does and how to get back. */
export function QuarantineSheet({ hostId, host, subjectKey, reason, onClose }: QuarantineSheetProps) {
  const { connection } = useConsole();
  const hasWorkload = subjectKey !== "" && !subjectKey.startsWith("Host/");
  const [whom, setWhom] = useState<"workload" | "host">(hasWorkload ? "workload" : "host");
  const [allowFrom, setAllowFrom] = useState("");
  const [because, setBecause] = useState(reason);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const isHost = whom === "host";
  const name = visibleText(isHost ? host : shortKey(subjectKey));
  const cut = async () => {
    setFailure(null);
    setBusy(true);
    try {
      await connection.hostClient.setQuarantine({
        hostId,
        subject: isHost ? "" : subjectKey,
        lifted: false,
        managementCidrs: isHost ? allowFrom.split(/[\s,]+/).filter((part) => part !== "") : [],
        managementPorts: [],
        reason: because.slice(0, MOST_REASON),
      });
      onClose();
    } catch (error) {
      setFailure(shownFailure(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Sheet
      isOpen
      shape="dialog"
      title={`Quarantine ${name}`}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <span className="quarantine-space" />
          <Button tone="danger" isDisabled={isBusy} onPress={() => void cut()}>
            Cut {name} off
          </Button>
        </>
      }
    >
      <div className="quarantine-form">
        {hasWorkload ? (
          <ChoiceCards<"workload" | "host">
            label="Whom"
            value={whom}
            onChange={setWhom}
            choices={[
              { value: "workload", label: visibleText(shortKey(subjectKey)), detail: "The rest of the host goes on" },
              { value: "host", label: visibleText(host), detail: "The whole host, with everything on it" },
            ]}
          />
        ) : null}
        <p>
          <strong>{name} is cut off at once</strong>: every connection from and to it ends
          {isHost ? ", but for SSH from the addresses below" : "; the rest of the host goes on"}. It stays so until
          somebody lifts the quarantine: <code>wardline quarantine {isHost ? "host" : name} --lift</code>.
        </p>
        {isHost ? (
          <TextField
            label="SSH stays open for"
            hint="Addresses or CIDRs. A host that this console would lose is refused unless its own address is among them."
            isCode
            value={allowFrom}
            onChange={setAllowFrom}
          />
        ) : null}
        <TextField label="Why" value={because} onChange={setBecause} />
        {failure ? <FailureNotice isCompact failure={failure} title="Nothing was cut off" /> : null}
      </div>
    </Sheet>
  );
}
