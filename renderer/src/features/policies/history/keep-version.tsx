import { createClient } from "@connectrpc/connect";
import { useQueryClient } from "@tanstack/react-query";
import { VersionKind, VersionService } from "@wardline/api/wardline/console/v1/versions";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, formatQuantity, TextField } from "../../../ui/index.ts";

/** Keeps the workspace as it stands, with a reason to find it by. Nothing is applied and no draft is changed. */
export function KeepVersion() {
  const { connection, drafts } = useConsole();
  const queryClient = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [said, setSaid] = useState("");
  const keep = async () => {
    if (isBusy || reason.trim() === "") return;
    setBusy(true);
    setFailure(null);
    try {
      // What is kept is the workspace: what this window has not sent yet goes there first.
      await Promise.all(drafts.unsaved().map(({ path }) => drafts.save(path)));
      const left = drafts.unsaved().length;
      const { version, added } = await createClient(VersionService, connection.transport).keepVersion({
        ...{ kind: VersionKind.KEPT, reason: reason.trim(), ticket: ticket.trim() },
      });
      const number = version ? ` as #${version.number}` : "";
      setSaid(
        `${added ? `Kept${number}.` : `Nothing has changed since: it is kept already${number}.`}${
          left > 0 ? ` ${formatQuantity(left, "draft")} not saved yet ${left === 1 ? "is" : "are"} not in it.` : ""
        }`,
      );
      setOpen(false);
      setReason("");
      setTicket("");
      await queryClient.invalidateQueries();
    } catch (error) {
      setFailure(shownFailure(error));
    }
    setBusy(false);
  };
  return (
    <div className="history-keep">
      {isOpen ? (
        <>
          <TextField label="Why keep it" value={reason} onChange={setReason} placeholder="kept with the version" />
          <TextField label="Ticket" value={ticket} onChange={setTicket} placeholder="if there is one" />
          <span className="history-buttons">
            <Button tone="primary" size="small" isDisabled={reason.trim() === ""} onPress={() => void keep()}>
              Keep it
            </Button>
            <Button size="small" onPress={() => setOpen(false)}>
              Cancel
            </Button>
          </span>
        </>
      ) : (
        <Button
          size="small"
          onPress={() => {
            setSaid("");
            setOpen(true);
          }}
        >
          Keep this version…
        </Button>
      )}
      {failure ? <FailureNotice isCompact failure={failure} title="It was not kept" /> : null}
      <p role="status" className="soft">
        {said}
      </p>
    </div>
  );
}
