import { useState } from "react";
import { useConsole, useWorkspaceStream } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, ScrollRegion, visibleText } from "../../../ui/index.ts";

interface NewFileProps {
  readonly label: string;
  readonly icon?: React.ReactNode;
  readonly path: string;
  readonly text: string;
}

/** Shows a text first; it becomes a draft in the workspace when the person says so. Nothing is applied by that. */
export function NewFile({ label, icon, path, text }: NewFileProps) {
  const { connection } = useConsole();
  const openFile = useWindow((state) => state.openFile);
  const files = useWorkspaceStream().value?.files ?? [];
  const [isOpen, setOpen] = useState(false);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const free = freePath(path, new Set(files.map((file) => file.path)));
  const save = async () => {
    try {
      await connection.policies.saveFile({ path: free, text, baseRevision: 0n });
      openFile(free);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  if (!isOpen)
    return (
      <Button icon={icon} onPress={() => setOpen(true)}>
        {label}
      </Button>
    );
  return (
    <div className="picture-new-file">
      <ScrollRegion className="picture-text" label={`Text of ${visibleText(free)}`}>
        <pre className="code">{text.split("\n").map(visibleText).join("\n")}</pre>
      </ScrollRegion>
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
      <div className="picture-actions">
        <Button autoFocus tone="primary" onPress={() => void save()}>
          Add as {visibleText(free)}
        </Button>
        <Button tone="quiet" onPress={() => setOpen(false)}>
          Leave it
        </Button>
      </div>
    </div>
  );
}

function freePath(path: string, taken: ReadonlySet<string>): string {
  const stem = path.replace(/\.yaml$/, "");
  let free = path;
  for (let number = 2; taken.has(free); number++) free = `${stem}-${number}.yaml`;
  return free;
}
