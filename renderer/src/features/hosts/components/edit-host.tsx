import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { useState } from "react";
import { useConsole, useHostsStream } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, Sheet, visibleText } from "../../../ui/index.ts";
import { accessProblem, toAccess, toDraft, toEnvironment, toGroups, withAddress } from "../model/access-draft.ts";
import { AccessForm } from "./access-form.tsx";
import "./add-hosts-sheet.css";

/** Another way to the machine, another name, other groups. Its policies and labels stay. */
export function EditHost({ host, onDone }: { host: Host; onDone: () => void }) {
  const { connection } = useConsole();
  const hosts = useHostsStream().value?.hosts ?? [];
  const [draft, setDraft] = useState(() => toDraft(host));
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const problem = accessProblem(withAddress(draft, draft.address));
  const save = async () => {
    const complete = withAddress(draft, draft.address);
    if (problem !== null) return;
    const environment = toEnvironment(complete);
    // What the form has no field for stays as it is.
    const access = toAccess(complete);
    if (host.access && access.identityFiles[0] === host.access.identityFiles[0])
      access.identityFiles = host.access.identityFiles;
    access.agentSocket = host.access?.agentSocket ?? "";
    try {
      await connection.fleet.updateHost({
        hostId: host.id,
        alias: complete.alias.trim(),
        access,
        groups: toGroups(complete),
        ...(environment ? { environment } : {}),
      });
      onDone();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <Sheet
      shape="dialog"
      title={`Edit ${visibleText(host.name)}`}
      isOpen
      onClose={onDone}
      footer={
        <>
          <span className="soft host-dialog-rest">{problem ?? ""}</span>
          <Button onPress={onDone}>Cancel</Button>
          <Button tone="primary" isDisabled={problem !== null} onPress={() => void save()}>
            Save
          </Button>
        </>
      }
    >
      <div className="add-hosts">
        <AccessForm
          draft={draft}
          onChange={setDraft}
          groups={[...new Set(hosts.flatMap((other) => other.groups))].sort()}
          environments={[...new Set(hosts.flatMap((other) => other.environment?.name ?? []))].sort()}
          onSubmit={() => void save()}
        />
        {failure ? <FailureNotice failure={failure} title="It was not changed" /> : null}
      </div>
    </Sheet>
  );
}
