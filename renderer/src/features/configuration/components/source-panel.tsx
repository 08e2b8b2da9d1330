import { createClient } from "@connectrpc/connect";
import { useQuery } from "@connectrpc/connect-query";
import { ConfigurationService } from "@wardline/api/wardline/console/v1/configuration";
import { useMemo, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { failureFromDetail, type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, formatQuantity, Skeleton, visibleText } from "../../../ui/index.ts";
import { sourceName } from "../model/source-words.ts";
import { SourceForm } from "./source-form.tsx";
import { SourceProposalSheet } from "./source-proposal-sheet.tsx";
import "./configuration.css";

const ASK_EVERY_MS = 10_000;

/** A folder or a git remote whose policies are proposed, and which the workspace can be written back to. For Settings. */
export function SourcePanel() {
  const { connection } = useConsole();
  const client = useMemo(() => createClient(ConfigurationService, connection.transport), [connection]);
  const proposal = useQuery(ConfigurationService.method.getProposal, {}, { refetchInterval: ASK_EVERY_MS });
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isOpen, setOpen] = useState(false);
  const act = async (what: () => Promise<unknown>) => {
    try {
      await what();
      setFailure(null);
      await proposal.refetch();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  const status = proposal.data?.status;
  const settings = status?.settings;
  const waiting = proposal.data?.files.length ?? 0;
  return (
    <section className="configuration-panel" aria-label="Watched source">
      <h2>Watched source</h2>
      <p className="soft">
        Policies from a folder or a git remote are proposed here, merged with your drafts. You take them over; no host
        is changed by it.
      </p>
      {proposal.isPending ? <Skeleton rows={2} label="Asking for the source" /> : null}
      {proposal.error ? (
        <FailureNotice failure={shownFailure(proposal.error)} onRetry={() => void proposal.refetch()} />
      ) : null}
      {failure ? <FailureNotice failure={failure} title="Not done" /> : null}
      {proposal.data && !settings?.kind.case ? (
        <SourceForm onSet={(kind) => act(() => client.setSource({ settings: { kind } }))} />
      ) : null}
      {settings?.kind.case ? (
        <>
          <p className="wrap-anywhere">
            <code>{visibleText(sourceName(settings))}</code>{" "}
            <span className="soft">{visibleText(status?.revisionText ?? "")}</span>
          </p>
          {status?.error ? (
            <FailureNotice isCompact failure={failureFromDetail(status.error)} title="Not read" />
          ) : null}
          <p role="status">
            {waiting === 0
              ? "The workspace has all of it."
              : `${formatQuantity(waiting, "file differs", "files differ")}, ${formatQuantity(status?.conflictCount ?? 0, "conflict")}.`}
            {(status?.unpublishedCount ?? 0) > 0
              ? ` ${formatQuantity(status?.unpublishedCount ?? 0, "file of the workspace is", "files of the workspace are")} not in the source.`
              : ""}
          </p>
          <div className="configuration-buttons">
            <Button tone={waiting > 0 ? "primary" : "plain"} isDisabled={waiting === 0} onPress={() => setOpen(true)}>
              Look at the proposal…
            </Button>
            <Button onPress={() => void act(() => client.refreshSource({}))}>Look now</Button>
            <Button tone="quiet" onPress={() => void act(() => client.removeSource({}))}>
              Stop watching
            </Button>
          </div>
        </>
      ) : null}
      {isOpen && proposal.data ? (
        <SourceProposalSheet
          proposal={proposal.data}
          onClose={() => setOpen(false)}
          onTake={async (request) => {
            await client.takeProposal(request);
            await proposal.refetch();
          }}
        />
      ) : null}
    </section>
  );
}
