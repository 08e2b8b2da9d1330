import { type ReactNode, useState } from "react";
import { Button as AriaButton, Menu, MenuItem, MenuTrigger, Popover } from "react-aria-components";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { copiedWords, copyLink } from "../../../data/place-link.ts";
import { useWindow } from "../../../data/window-store.ts";
import { announce, Button, FailureNotice, Sheet, TextField, visibleText } from "../../../ui/index.ts";
import { saveCopy } from "../out/save-copy.ts";

interface FileMenuProps {
  readonly path: string;
  readonly revision: bigint;
  readonly trigger: ReactNode;
}

/** Rename and delete; both open on what happens. Neither changes what a host enforces. */
export function FileMenu({ path, revision, trigger }: FileMenuProps) {
  const [open, setOpen] = useState<"none" | "rename" | "delete">("none");
  const { drafts } = useConsole();
  const act = (key: React.Key) => {
    if (key === "copy") saveCopy(path, drafts.get(path)?.text ?? "");
    else if (key === "link") {
      const place = { view: "policies", argument: path } as const;
      void copyLink(place).then((isDone) => announce(copiedWords(place, isDone)));
    } else setOpen(key === "rename" ? "rename" : "delete");
  };
  return (
    <>
      <MenuTrigger>
        <AriaButton className="icon-button" aria-label="File actions">
          {trigger}
        </AriaButton>
        <Popover className="popover" placement="bottom end" offset={4}>
          <Menu className="menu" onAction={act}>
            <MenuItem id="copy" className="menu-item">
              Save a copy
            </MenuItem>
            <MenuItem id="link" className="menu-item">
              Copy link
            </MenuItem>
            <MenuItem id="rename" className="menu-item">
              Rename…
            </MenuItem>
            <MenuItem id="delete" className="menu-item">
              Delete…
            </MenuItem>
          </Menu>
        </Popover>
      </MenuTrigger>
      {open === "rename" ? <RenameSheet path={path} onClose={() => setOpen("none")} /> : null}
      {open === "delete" ? <DeleteSheet path={path} revision={revision} onClose={() => setOpen("none")} /> : null}
    </>
  );
}

function RenameSheet({ path, onClose }: { path: string; onClose: () => void }) {
  const { connection, drafts } = useConsole();
  const openFile = useWindow((state) => state.openFile);
  const [newPath, setNewPath] = useState(path);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const rename = async () => {
    try {
      await drafts.save(path);
      await connection.policies.renameFile({ path, newPath: newPath.trim() });
      drafts.forget(path);
      onClose();
      openFile(newPath.trim());
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <Sheet
      shape="dialog"
      isOpen
      onClose={onClose}
      title="Rename the file"
      footer={
        <>
          <span className="editor-space" />
          <Button onPress={onClose}>Cancel</Button>
          <Button
            tone="primary"
            isDisabled={newPath.trim() === "" || newPath.trim() === path}
            onPress={() => void rename()}
          >
            Rename
          </Button>
        </>
      }
    >
      <div className="sheet-form">
        <TextField
          label="New name"
          isCode
          value={newPath}
          onChange={setNewPath}
          onSubmit={() => void rename()}
          hint="A slash makes a folder."
        />
        {failure ? <FailureNotice failure={failure} /> : null}
      </div>
    </Sheet>
  );
}

function DeleteSheet({ path, revision, onClose }: { path: string; revision: bigint; onClose: () => void }) {
  const { connection, drafts } = useConsole();
  const openFile = useWindow((state) => state.openFile);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const remove = async () => {
    try {
      await connection.policies.deleteFile({ path, baseRevision: revision });
      drafts.forget(path);
      onClose();
      openFile(null);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <Sheet
      shape="dialog"
      isOpen
      onClose={onClose}
      title="Delete the file from the workspace"
      footer={
        <>
          <Button tone="danger" onPress={() => void remove()}>
            Delete the file
          </Button>
          <span className="editor-space" />
          <Button onPress={onClose}>Keep it</Button>
        </>
      }
    >
      <div className="sheet-form">
        <p className="wrap-anywhere">
          <code>{visibleText(path)}</code> leaves the workspace. What is enforced does not change until you review and
          apply.
        </p>
        <p className="soft">If it was ever applied, its text is in the history and can be restored from there.</p>
        {failure ? <FailureNotice failure={failure} /> : null}
      </div>
    </Sheet>
  );
}
