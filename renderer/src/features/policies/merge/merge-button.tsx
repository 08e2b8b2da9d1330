import { createClient } from "@connectrpc/connect";
import { VersionKind, VersionService } from "@wardline/api/wardline/console/v1/versions";
import { Suspense, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import type { Draft } from "../../../data/draft-store.ts";
import { Button, lazyPart } from "../../../ui/index.ts";

const MergeSheet = lazyPart(() => import("./merge-sheet.tsx"));

/** Opens the merge of a draft that somebody else saved meanwhile. Theirs is kept as a version before it is replaced. */
export function MergeButton({ draft }: { draft: Draft }) {
  const { connection, drafts } = useConsole();
  const [isOpen, setOpen] = useState(false);
  const { path, theirs } = draft;
  if (!theirs) return null;
  const save = async (merged: string) => {
    setOpen(false);
    // An older backend keeps no versions; the merged text is saved all the same.
    const kept = { kind: VersionKind.BEFORE, reason: `Before merging ${path}`.slice(0, 500) };
    await createClient(VersionService, connection.transport)
      .keepVersion(kept)
      .catch(() => undefined);
    await drafts.resolve(path, { merged });
  };
  return (
    <>
      <Button size="small" tone="primary" onPress={() => setOpen(true)}>
        Merge both…
      </Button>
      {isOpen ? (
        <Suspense>
          <MergeSheet
            key={String(theirs.revision)}
            isOpen
            path={path}
            base={draft.baseText}
            mine={draft.text}
            theirs={theirs.text}
            names={{ mine: "Your draft", theirs: `Saved by somebody else (revision ${theirs.revision})` }}
            onClose={() => setOpen(false)}
            onMerged={(text) => void save(text)}
          />
        </Suspense>
      ) : null}
    </>
  );
}
