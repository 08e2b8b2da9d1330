import { Suspense, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, lazyPart } from "../../../ui/index.ts";
import { createFile } from "../model/new-file.ts";

const TemplateSheet = lazyPart(() =>
  import("./components/template-sheet.tsx").then((module) => ({ default: module.TemplateSheet })),
);

/** Makes a file from what the person begins with, and opens it as a form. */
export function NewPolicyButton({ isSmall = false }: { isSmall?: boolean }) {
  const { connection } = useConsole();
  const { openFile, set } = useWindow();
  const [isOpen, setOpen] = useState(false);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const create = async (name: string, text: string) => {
    setOpen(false);
    try {
      const path = await createFile(connection, name, text);
      set({ editorFace: useWindow.getState().editorFace === "both" ? "both" : "form" });
      openFile(path);
      setFailure(null);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <>
      <Button
        size={isSmall ? "small" : "normal"}
        tone={isSmall ? "quiet" : "primary"}
        onPress={() => setOpen(true)}
        aria-label="New policy"
      >
        {isSmall ? "New" : "New policy…"}
      </Button>
      {failure ? <FailureNotice isCompact failure={failure} title="The file could not be created" /> : null}
      {isOpen ? (
        <Suspense>
          <TemplateSheet
            isOpen
            title="New policy"
            onClose={() => setOpen(false)}
            onChosen={(text, { id }) => void create(id.replace(/^sample-/, ""), text)}
          />
        </Suspense>
      ) : null}
    </>
  );
}
