import { Suspense, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, Skeleton, visibleText } from "../../../ui/index.ts";
import { TextDiff } from "../../policies/index.ts";

export interface Proposal {
  readonly make: "rule" | "test";
  readonly path: string;
  readonly baseRevision: bigint;
  readonly before: string;
  readonly after: string;
}

/** A change of one file, shown before a person writes it into the draft. No host changes by it. */
export function ProposalCard({ proposal, onEnd }: { proposal: Proposal; onEnd: () => void }) {
  const { connection } = useConsole();
  const openFile = useWindow((state) => state.openFile);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const { path, baseRevision, before, after, make } = proposal;
  const save = async () => {
    try {
      await connection.policies.saveFile({ path, text: after, baseRevision });
      onEnd();
      openFile(path);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  if (before === after) return <p className="soft">There is nothing to change: the draft decides so already.</p>;
  return (
    <div className="proposal">
      <p className="soft wrap-anywhere">
        {before === "" ? "A new file" : "A change of"} <code>{visibleText(path)}</code>:
      </p>
      <Suspense fallback={<Skeleton rows={3} label="Comparing" />}>
        <TextDiff oldText={before} newText={after} label={`Proposed ${make} in ${path}`} />
      </Suspense>
      {failure ? <FailureNotice isCompact failure={failure} title="Not saved" /> : null}
      <div className="connection-buttons">
        <Button size="small" tone="primary" onPress={() => void save()}>
          Add to the draft
        </Button>
        <Button size="small" tone="quiet" onPress={onEnd}>
          Leave it
        </Button>
      </div>
    </div>
  );
}
