import { createClient } from "@connectrpc/connect";
import { useQueryClient } from "@tanstack/react-query";
import {
  ConfigurationService,
  type PreviewConfigurationResponse,
  SignerState,
} from "@wardline/api/wardline/console/v1/configuration";
import { useEffect, useMemo, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import {
  Button,
  Checkbox,
  FailureNotice,
  formatQuantity,
  Sheet,
  Skeleton,
  TextField,
  visibleText,
} from "../../../ui/index.ts";
import { ConfigurationPreview } from "./configuration-preview.tsx";
import "./configuration.css";

/** Who signed an archive, what it would change, and only then the import. */
export function ImportConfigurationSheet({ archive, onClose }: { archive: Uint8Array | null; onClose: () => void }) {
  const { connection } = useConsole();
  const queryClient = useQueryClient();
  const client = useMemo(() => createClient(ConfigurationService, connection.transport), [connection]);
  const [removesMissing, setRemoving] = useState(false);
  const [isAccepted, setAccepted] = useState(false);
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [preview, setPreview] = useState<PreviewConfigurationResponse | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [done, setDone] = useState<readonly string[] | null>(null);

  useEffect(() => {
    setPreview(null);
    setFailure(null);
    setDone(null);
    setAccepted(false);
    if (!archive) return;
    const controller = new AbortController();
    client
      .previewConfiguration({ archive: archive.slice(), removesMissing }, { signal: controller.signal })
      .then(setPreview)
      .catch((error: unknown) => {
        if (!controller.signal.aborted) setFailure(shownFailure(error));
      });
    return () => controller.abort();
  }, [archive, client, removesMissing]);

  const isUnknown = preview?.signer?.state === SignerState.UNKNOWN;
  const run = async () => {
    if (!archive || !preview) return;
    try {
      const acceptFingerprint = isUnknown ? (preview.signer?.fingerprint ?? "") : "";
      const request = { archive: archive.slice(), removesMissing, previewId: preview.previewId, acceptFingerprint };
      const { leftToDo } = await client.importConfiguration({
        ...request,
        reason: reason.trim(),
        ticket: ticket.trim(),
      });
      setDone(leftToDo);
      await queryClient.invalidateQueries();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  const count = preview?.changeCount ?? 0;
  const mayImport = preview !== null && count > 0 && done === null && (!isUnknown || isAccepted);
  return (
    <Sheet
      shape="dialog"
      isOpen={archive !== null}
      onClose={onClose}
      title="Import a configuration"
      footer={
        <>
          <span className="soft">No host is changed by this.</span>
          <span className="editor-space" />
          <Button onPress={onClose}>{done ? "Close" : "Cancel"}</Button>
          <Button tone="primary" isDisabled={!mayImport} onPress={() => void run()}>
            {count === 0 ? "Nothing to import" : `Import ${formatQuantity(count, "change")}`}
          </Button>
        </>
      }
    >
      <div className="sheet-form">
        {failure ? <FailureNotice failure={failure} /> : null}
        {!preview && !failure ? <Skeleton rows={5} label="Checking the archive" /> : null}
        {preview ? <ConfigurationPreview preview={preview} /> : null}
        {preview && isUnknown ? (
          <Checkbox isSelected={isAccepted} onChange={setAccepted}>
            I compared the fingerprint with the person who exported it
          </Checkbox>
        ) : null}
        {preview || failure ? (
          <Checkbox isSelected={removesMissing} onChange={setRemoving}>
            Remove what the archive has not
          </Checkbox>
        ) : null}
        {preview && count > 0 && !done ? (
          <>
            <TextField label="Why" value={reason} onChange={setReason} placeholder="kept with the version" />
            <TextField label="Ticket" value={ticket} onChange={setTicket} placeholder="if there is one" />
          </>
        ) : null}
        {done ? (
          <div role="status">
            <p>Imported. What was here before is kept as a version.</p>
            <ul>
              {done.map((sentence) => (
                <li key={sentence}>{visibleText(sentence)}</li>
              ))}
            </ul>
          </div>
        ) : null}
      </div>
    </Sheet>
  );
}
