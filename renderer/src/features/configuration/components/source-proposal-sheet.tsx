import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type GetProposalResponse,
  ProposedAction,
  type ProposedFile,
  type TakeProposalRequestSchema,
} from "@wardline/api/wardline/console/v1/configuration";
import { Suspense, useState } from "react";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import {
  Button,
  FailureNotice,
  formatQuantity,
  Sheet,
  Skeleton,
  Tag,
  TextField,
  visibleText,
} from "../../../ui/index.ts";
import { MeaningList, MergeSheet, TextDiff } from "../../policies/index.ts";
import { ACTION_WORDS } from "../model/source-words.ts";

interface SourceProposalSheetProps {
  readonly proposal: GetProposalResponse;
  readonly onClose: () => void;
  readonly onTake: (request: MessageInitShape<typeof TakeProposalRequestSchema>) => Promise<void>;
}

/** What a source has that the workspace has not: text and meaning, and a merge for what both changed. */
export function SourceProposalSheet({ proposal, onClose, onTake }: SourceProposalSheetProps) {
  const [shownPath, setShownPath] = useState(proposal.files[0]?.path ?? "");
  const [resolved, setResolved] = useState<ReadonlyMap<string, string>>(new Map());
  const [merging, setMerging] = useState<ProposedFile | null>(null);
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const open = proposal.files.filter(({ action, path }) => action === ProposedAction.CONFLICT && !resolved.has(path));
  const takable = proposal.files.length - open.length;
  const shown = proposal.files.find(({ path }) => path === shownPath);
  const take = async () => {
    try {
      await onTake({
        proposalId: proposal.proposalId,
        resolved: [...resolved].map(([path, text]) => ({ path, text })),
        reason: reason.trim(),
        ticket: ticket.trim(),
      });
      onClose();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <Sheet
      shape="drawer"
      isOpen
      title="What the source has"
      onClose={onClose}
      footer={
        <>
          <span className="soft" role="status">
            {open.length > 0 ? `${formatQuantity(open.length, "conflict")} left out until merged. ` : ""}No host is
            changed.
          </span>
          <span className="editor-space" />
          <Button onPress={onClose}>Cancel</Button>
          <Button tone="primary" isDisabled={takable === 0} onPress={() => void take()}>
            Take over {formatQuantity(takable, "file")}
          </Button>
        </>
      }
    >
      <div className="sheet-form">
        {failure ? <FailureNotice failure={failure} title="Not taken over" /> : null}
        {proposal.meaning ? <MeaningList meaning={proposal.meaning} /> : null}
        <ul className="configuration-changes" aria-label="Files that differ">
          {proposal.files.map((file) => {
            const { word, tone } = ACTION_WORDS[file.action];
            return (
              <li key={file.path} className="source-file">
                <Tag tone={resolved.has(file.path) ? "allow" : tone}>{resolved.has(file.path) ? "merged" : word}</Tag>
                <button
                  type="button"
                  className="link"
                  aria-pressed={file.path === shownPath}
                  onClick={() => setShownPath(file.path)}
                >
                  {visibleText(file.path)}
                </button>
                {file.action === ProposedAction.CONFLICT ? (
                  <Button size="small" onPress={() => setMerging(file)}>
                    Merge…
                  </Button>
                ) : null}
              </li>
            );
          })}
        </ul>
        {shown ? (
          <Suspense fallback={<Skeleton rows={5} label="Comparing" />}>
            <TextDiff
              key={`${shown.path} ${resolved.has(shown.path)}`}
              oldText={shown.mine ?? ""}
              newText={resolved.get(shown.path) ?? shown.result ?? shown.theirs ?? ""}
              label={`Change of ${visibleText(shown.path)}`}
            />
          </Suspense>
        ) : null}
        <TextField label="Why" value={reason} onChange={setReason} placeholder="kept with the version" />
        <TextField label="Ticket" value={ticket} onChange={setTicket} placeholder="if there is one" />
      </div>
      <Suspense fallback={null}>
        {merging ? (
          <MergeSheet
            isOpen
            path={merging.path}
            base={merging.base ?? null}
            mine={merging.mine ?? ""}
            theirs={merging.theirs ?? ""}
            names={{ mine: "your draft", theirs: "the source" }}
            onClose={() => setMerging(null)}
            onMerged={(text) => {
              setResolved(new Map(resolved).set(merging.path, text));
              setShownPath(merging.path);
              setMerging(null);
            }}
          />
        ) : null}
      </Suspense>
    </Sheet>
  );
}
