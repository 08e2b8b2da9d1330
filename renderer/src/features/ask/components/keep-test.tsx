import type { Answer } from "@wardline/api/wardline/console/v1/ask";
import { useState } from "react";
import { useConsole, useWorkspaceStream } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { Button, Select, TextField, visibleText } from "../../../ui/index.ts";
import { appendDocument, freeName, nameFor, withName } from "../model/keep-test.ts";

const NEW_FILE = "+";
const USUAL_PATH = "tests/kept.yaml";

/** The answer as a PolicyTest, shown as it will stand, and added to a file as a draft. */
export function KeepTest({ answer, onDone }: { readonly answer: Answer; readonly onDone: () => void }) {
  const { connection, drafts } = useConsole();
  const files = useWorkspaceStream().value?.files ?? [];
  const openFile = useWindow((state) => state.openFile);
  const withTests = files.filter((file) => file.documents.some(({ kind }) => kind === "PolicyTest"));
  const [path, setPath] = useState(withTests[0]?.path ?? NEW_FILE);
  const [newPath, setNewPath] = useState(USUAL_PATH);
  const [name, setName] = useState(nameFor(answer.question));
  const [problem, setProblem] = useState("");
  const document = withName(answer.testDocument, name);
  const add = async () => {
    const target = path === NEW_FILE ? newPath.trim() : path;
    if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) {
      setProblem("The name takes small letters, digits, dots and hyphens.");
      return;
    }
    if (!/\.(ya?ml)$/i.test(target)) {
      setProblem("The file needs a name that ends in .yaml.");
      return;
    }
    if (!files.some((file) => file.path === target)) {
      try {
        await connection.policies.saveFile({ path: target, text: document, baseRevision: 0n });
      } catch (error) {
        setProblem(error instanceof Error ? error.message : String(error));
        return;
      }
    } else {
      await drafts.open(target);
      const draft = drafts.get(target);
      if (!draft || draft.status === "loading" || draft.status === "conflict" || draft.failure) {
        setProblem(draft?.failure?.message ?? "The file cannot be changed now: look at it in Policies first.");
        return;
      }
      drafts.edit(target, appendDocument(draft.text, withName(document, freeName(name, draft.text))));
    }
    onDone();
    openFile(target);
  };
  return (
    <section className="ask-keep" aria-label="Keep as a test">
      <h3>Keep as a test</h3>
      <p className="soft">It holds as long as this answer does, and is proved at every check, plan and apply.</p>
      <div className="ask-keep-fields">
        <Select
          label="File"
          value={path}
          choices={[
            ...files.map((file) => ({ value: file.path, label: visibleText(file.path) })),
            { value: NEW_FILE, label: "A new file…" },
          ]}
          onChange={setPath}
        />
        {path === NEW_FILE ? <TextField label="New file" value={newPath} onChange={setNewPath} isCode /> : null}
        <TextField label="Name of the test" value={name} onChange={setName} isCode />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a text that scrolls must be reachable by keyboard. */}
      <pre className="ask-preview code" tabIndex={0}>
        {document}
      </pre>
      {problem === "" ? null : (
        <p role="alert" className="ask-problem">
          {visibleText(problem)}
        </p>
      )}
      <div className="ask-actions">
        <Button tone="primary" onPress={() => void add()}>
          Add to the draft
        </Button>
        <Button tone="quiet" onPress={onDone}>
          Cancel
        </Button>
      </div>
    </section>
  );
}
