import {
  type ClusterView,
  DocumentChange,
  type PlannedDocument,
  type PlanSyncResponse,
} from "@wardline/api/wardline/console/v1/cluster";
import { Suspense, useCallback, useEffect, useRef, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import {
  Button,
  FailureNotice,
  formatQuantity,
  Notice,
  Select,
  Sheet,
  Skeleton,
  TextField,
  visibleText,
} from "../../../ui/index.ts";
import { MergeSheet } from "../../policies/index.ts";
import { inOrder, mayMerge, stillHold, undecided, writtenCount } from "../model/sync-plan.ts";
import { PlannedDocumentRow } from "./planned-document.tsx";

const DEADLINES = [
  { value: "60", label: "1 minute" },
  { value: "300", label: "5 minutes" },
  { value: "900", label: "15 minutes" },
  { value: "0", label: "No confirmation", detail: "each host still returns when it loses the cluster by it" },
] as const;
type Deadline = (typeof DEADLINES)[number]["value"];

/** The workspace against the cluster, document by document: what would be written, merged, and what two people disagree on. */
export function SyncSheet({ cluster, onDone }: { cluster: ClusterView; onDone: () => void }) {
  const { connection } = useConsole();
  const clusterName = cluster.status?.clusterName ?? "";
  const memberCount = cluster.status?.members.length ?? 0;
  const [plan, setPlan] = useState<PlanSyncResponse | null>(null);
  const [deletesMissing, setDeletesMissing] = useState(false);
  const [choices, setChoices] = useState<ReadonlyMap<string, string>>(new Map());
  const [reason, setReason] = useState("");
  const [deadline, setDeadline] = useState<Deadline>("300");
  const [mode, setMode] = useState<"enforce" | "observe">("enforce");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [merging, setMerging] = useState<PlannedDocument | null>(null);
  const planned = useRef<readonly PlannedDocument[]>([]);
  /** Asks anew; what was decided about texts that are others now is open again. */
  const replan = useCallback(async () => {
    const next = await connection.clusters.planSync({ clusterName, deleteMissing: deletesMissing });
    const before = planned.current;
    planned.current = next.documents;
    setChoices((chosen) => stillHold(chosen, before, next.documents));
    setPlan(next);
    return next;
  }, [connection, clusterName, deletesMissing]);
  const makePlan = useCallback(async () => {
    setPlan(null);
    setFailure(null);
    try {
      await replan();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  }, [replan]);
  useEffect(() => void makePlan(), [makePlan]);
  const documents = plan?.documents ?? [];
  const open = undecided(documents, choices);
  const written = writtenCount(documents);
  const behind = documents.filter(({ change }) => change === DocumentChange.BEHIND).length;
  const sync = async () => {
    // Not by a disabled button: that would take the focus out of the dialog.
    if (isBusy) return;
    if (!plan) return;
    setBusy(true);
    setFailure(null);
    try {
      await connection.clusters.sync({
        planId: plan.planId,
        reason: reason.trim(),
        choices: [...choices].map(([key, text]) => ({ key, text })),
        ...(deadline === "0" ? {} : { confirmWithin: { seconds: BigInt(deadline) } }),
        observeOnly: mode === "observe",
      });
      onDone();
    } catch (error) {
      const shown = shownFailure(error);
      setFailure(shown);
      if (isMovedOn(shown)) await showClash();
    }
    setBusy(false);
  };
  /** Somebody else wrote: what both changed now is merged at once. When it cannot be planned, the failure has the way on. */
  const showClash = async () => {
    try {
      const next = await replan();
      const open = undecided(next.documents, stillHold(choices, documents, next.documents));
      setMerging(next.documents.find((document) => open.includes(document.key) && mayMerge(document)) ?? null);
    } catch {
      setPlan(null);
    }
  };
  const pull = async () => {
    if (!plan || isBusy) return;
    setBusy(true);
    setFailure(null);
    try {
      await connection.clusters.pullDocuments({ planId: plan.planId });
      await makePlan();
    } catch (error) {
      setFailure(shownFailure(error));
    }
    setBusy(false);
  };
  const isMoved = failure !== null && isMovedOn(failure);
  return (
    <Sheet
      shape="drawer"
      title={`Sync the workspace to ${visibleText(clusterName)}`}
      isOpen
      onClose={onDone}
      footer={
        <>
          <Button onPress={onDone}>Cancel</Button>
          <Button
            tone="primary"
            isDisabled={!plan || written === 0 || open.length > 0 || reason.trim() === ""}
            onPress={() => void sync()}
          >
            {mode === "enforce" ? "Enforce" : "Observe"} {formatQuantity(written, "change")} on{" "}
            {formatQuantity(memberCount, "host")}
          </Button>
        </>
      }
    >
      <div className="cluster-form">
        {failure ? (
          <FailureNotice
            failure={failure}
            title={isMoved ? "Somebody wrote to the cluster since: nothing was written" : "It was not synced"}
            onRetry={() => void makePlan()}
            retryLabel="Plan again"
          />
        ) : null}
        {plan === null && !failure ? <Skeleton label="Comparing the workspace with the cluster" /> : null}
        {plan ? (
          <>
            {open.length > 0 ? (
              <Notice tone="deny">
                {formatQuantity(open.length, "document was", "documents were")} changed here and by somebody else in the
                same place. Choose what is written before you go on.
              </Notice>
            ) : null}
            {written === 0 ? <Notice tone="allow">The cluster has everything that the workspace has.</Notice> : null}
            {behind > 0 ? (
              <Notice
                tone="info"
                action={
                  <Button size="small" onPress={() => void pull()}>
                    Take them into the workspace
                  </Button>
                }
              >
                {formatQuantity(
                  behind,
                  "document is newer in the cluster and stays as it is",
                  "documents are newer in the cluster and stay as they are",
                )}{" "}
                there.
              </Notice>
            ) : null}
            {(plan.diagnostics ?? []).map((diagnostic) => (
              <Notice key={`${diagnostic.code}:${diagnostic.message}`} tone="deny">
                <code>{diagnostic.code}</code> {visibleText(diagnostic.message)}
              </Notice>
            ))}
            <ul className="planned">
              {inOrder(documents).map((document) => (
                <PlannedDocumentRow
                  key={document.key}
                  document={document}
                  choice={choices.get(document.key)}
                  onChoose={(text) => setChoices(new Map(choices).set(document.key, text))}
                  onMerge={() => setMerging(document)}
                />
              ))}
            </ul>
            <label className="check-line">
              <input
                type="checkbox"
                checked={deletesMissing}
                onChange={(event) => setDeletesMissing(event.target.checked)}
              />
              Delete from the cluster what the workspace does not have
            </label>
            <div className="sync-fields">
              <TextField label="Reason" value={reason} onChange={setReason} placeholder="why this changes" />
              <Select label="To be confirmed within" value={deadline} onChange={setDeadline} choices={DEADLINES} />
              <Select
                label="Mode"
                value={mode}
                onChange={setMode}
                choices={[
                  { value: "enforce", label: "Enforce" },
                  { value: "observe", label: "Observe", detail: "denies are let through and reported" },
                ]}
              />
            </div>
          </>
        ) : null}
      </div>
      {merging ? (
        <Suspense>
          <MergeSheet
            key={`${merging.key} ${merging.theirsVersion}`}
            isOpen
            path={merging.key}
            base={merging.baseVersion === 0n ? null : merging.baseText}
            mine={merging.mineText}
            theirs={merging.theirsText}
            names={{
              mine: "This workspace",
              theirs: `In the cluster, version ${merging.theirsVersion}${merging.theirsAuthor ? ` by ${merging.theirsAuthor}` : ""}`,
            }}
            saveWords="Take the merged text"
            onClose={() => setMerging(null)}
            onMerged={(text) => {
              setChoices(new Map(choices).set(merging.key, text));
              setMerging(null);
            }}
          />
        </Suspense>
      ) : null}
    </Sheet>
  );
}

const isMovedOn = ({ code }: ShownFailure): boolean => code === "VERSION_CONFLICT" || code === "PLAN_STALE";
