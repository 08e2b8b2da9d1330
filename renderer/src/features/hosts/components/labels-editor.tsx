import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { Plus, X } from "lucide-react";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, IconButton, Notice, TextField, visibleText } from "../../../ui/index.ts";
import { labelProblem } from "../model/label-problem.ts";

/** Labels are what selectors match. They live in the host's document, a draft like any other. */
export function LabelsEditor({ host }: { host: Host }) {
  const [isEditing, setEditing] = useState(false);
  const [savedPath, setSavedPath] = useState<string | null>(null);
  const openFile = useWindow((state) => state.openFile);
  const entries = Object.entries(host.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return (
    <section className="host-section" aria-labelledby="host-labels">
      <h2 id="host-labels">Labels</h2>
      {isEditing ? (
        <LabelsForm
          host={host}
          onDone={(path) => {
            setEditing(false);
            setSavedPath(path);
          }}
        />
      ) : (
        <>
          <ul className="labels">
            {entries.map(([key, value]) => (
              <li key={key} className="label-chip wrap-anywhere">
                <code>
                  {visibleText(key)}={visibleText(value)}
                </code>
              </li>
            ))}
            {entries.length === 0 ? <li className="soft">none: no selector with a label matches this host</li> : null}
          </ul>
          <div>
            <Button onPress={() => setEditing(true)}>Edit labels</Button>
          </div>
          {host.declared ? null : (
            <p className="soft">
              No Host document in the workspace describes this host yet; editing the labels writes one.
            </p>
          )}
        </>
      )}
      {savedPath !== null ? (
        <Notice
          tone="info"
          action={
            <Button size="small" onPress={() => openFile(savedPath)}>
              Open the draft
            </Button>
          }
        >
          Saved as a draft in {visibleText(savedPath)}. Nothing changes on a host until you review and apply.
        </Notice>
      ) : null}
    </section>
  );
}

function LabelsForm({ host, onDone }: { host: Host; onDone: (path: string | null) => void }) {
  const { connection } = useConsole();
  const [rows, setRows] = useState(() => Object.entries(host.labels).map(([key, value], id) => ({ id, key, value })));
  const [nextId, setNextId] = useState(rows.length);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const problem = labelProblem(rows);
  const change = (id: number, part: { key?: string; value?: string }) =>
    setRows(rows.map((row) => (row.id === id ? { ...row, ...part } : row)));
  const save = async () => {
    try {
      const labels = Object.fromEntries(rows.map((row) => [row.key.trim(), row.value.trim()]));
      const { path } = await connection.hostClient.setHostLabels({ hostId: host.id, labels });
      onDone(path);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <div className="labels-form">
      {rows.map((row, index) => (
        <div key={row.id} className="labels-row">
          <TextField
            label={`Key of label ${index + 1}`}
            isLabelHidden
            isCode
            placeholder="app"
            value={row.key}
            onChange={(key) => change(row.id, { key })}
          />
          <TextField
            label={`Value of label ${index + 1}`}
            isLabelHidden
            isCode
            placeholder="web"
            value={row.value}
            onChange={(value) => change(row.id, { value })}
          />
          <IconButton
            label={`Remove label ${index + 1}`}
            onPress={() => setRows(rows.filter((other) => other.id !== row.id))}
          >
            <X size={14} aria-hidden="true" />
          </IconButton>
        </div>
      ))}
      <div>
        <Button
          size="small"
          icon={<Plus size={12} aria-hidden="true" />}
          onPress={() => {
            setRows([...rows, { id: nextId, key: "", value: "" }]);
            setNextId(nextId + 1);
          }}
        >
          Add a label
        </Button>
      </div>
      {problem ? <p className="labels-problem">{problem}</p> : null}
      {failure ? <FailureNotice failure={failure} /> : null}
      <div className="labels-buttons">
        <Button onPress={() => onDone(null)}>Cancel</Button>
        <Button tone="primary" isDisabled={problem !== null} onPress={() => void save()}>
          Save as a draft
        </Button>
      </div>
    </div>
  );
}
