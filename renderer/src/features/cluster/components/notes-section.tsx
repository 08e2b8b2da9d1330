import type { ClusterView, Note } from "@wardline/api/wardline/console/v1/cluster";
import { useId, useState } from "react";
import { useActivity, useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, FailureNotice, Moment, TextField, visibleText } from "../../../ui/index.ts";

const LONGEST_NOTE = 4_000;

/** Notes that every console of the cluster shares. They merge by themselves; policies never do. */
export function NotesSection({ cluster }: { cluster: ClusterView }) {
  const clusterName = cluster.status?.clusterName ?? "";
  const { notes } = useActivity();
  const shown = notes.find((entry) => entry.clusterName === clusterName)?.notes ?? [];
  const [edited, setEdited] = useState<string | null>(null);
  const [subject, setSubject] = useState("");
  return (
    <section className="cluster-section" aria-labelledby="cluster-notes">
      <h2 id="cluster-notes">Shared notes</h2>
      {shown.length === 0 ? (
        <p className="soft">None yet. Every console of this cluster sees what is written here.</p>
      ) : (
        <ul className="notes">
          {shown.map((note) => (
            <li key={note.subject}>
              {edited === note.subject ? (
                <NoteForm clusterName={clusterName} note={note} onDone={() => setEdited(null)} />
              ) : (
                <NoteText note={note} onEdit={() => setEdited(note.subject)} />
              )}
            </li>
          ))}
        </ul>
      )}
      {edited === "" ? (
        <>
          <TextField label="About" placeholder="host/web-1" isCode value={subject} onChange={setSubject} />
          <NoteForm
            clusterName={clusterName}
            note={{ subject: subject.trim(), text: "" }}
            onDone={() => {
              setEdited(null);
              setSubject("");
            }}
          />
        </>
      ) : (
        <span className="cluster-buttons">
          <Button size="small" onPress={() => setEdited("")}>
            Write a note
          </Button>
        </span>
      )}
    </section>
  );
}

function NoteText({ note, onEdit }: { note: Note; onEdit: () => void }) {
  const nowMs = useConsoleNow();
  const editedMs = optionalMs(note.editedAt);
  return (
    <div className="note">
      <p className="note-head">
        <code className="wrap-anywhere">{visibleText(note.subject)}</code>
        <span className="faint">
          {visibleText(note.author)}{" "}
          {editedMs === null ? null : (
            <>
              · <Moment timeMs={editedMs} nowMs={nowMs} />
            </>
          )}
        </span>
        <Button size="small" tone="quiet" onPress={onEdit}>
          Edit
        </Button>
      </p>
      <p className="note-text wrap-anywhere">{visibleText(note.text)}</p>
    </div>
  );
}

interface NoteFormProps {
  readonly clusterName: string;
  readonly note: Pick<Note, "subject" | "text">;
  readonly onDone: () => void;
}

function NoteForm({ clusterName, note, onDone }: NoteFormProps) {
  const { connection } = useConsole();
  const [text, setText] = useState(note.text);
  // What others write meanwhile is kept beside it, because the console knows what this edit began from.
  const [begun] = useState(note.text);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const id = useId();
  const keep = async () => {
    setFailure(null);
    try {
      await connection.clusters.setNote({ clusterName, subject: note.subject, text, baseText: begun });
      onDone();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <div className="note-form">
      <label className="field-label" htmlFor={id}>
        {note.subject ? `Note about ${visibleText(note.subject)}` : "Note"}
      </label>
      <textarea
        id={id}
        className="note-input"
        rows={3}
        maxLength={LONGEST_NOTE}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
      <span className="cluster-buttons">
        <Button size="small" tone="primary" isDisabled={note.subject === ""} onPress={() => void keep()}>
          {text.trim() === "" && note.text !== "" ? "Remove the note" : "Keep the note"}
        </Button>
        <Button size="small" onPress={onDone}>
          Cancel
        </Button>
      </span>
    </div>
  );
}
