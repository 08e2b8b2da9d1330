import { DocumentChange, type PlannedDocument } from "@wardline/api/wardline/console/v1/cluster";
import { Suspense, useEffect, useId, useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, Moment, type NoticeTone, Skeleton, Tag, visibleText } from "../../../ui/index.ts";
import { TextDiff } from "../../policies/index.ts";
import { CHANGE_WORDS, mayMerge } from "../model/sync-plan.ts";

const TONES: Record<DocumentChange, NoticeTone> = {
  [DocumentChange.UNSPECIFIED]: "unknown",
  [DocumentChange.UNCHANGED]: "unknown",
  [DocumentChange.ADDED]: "allow",
  [DocumentChange.CHANGED]: "info",
  [DocumentChange.DELETED]: "deny",
  [DocumentChange.MERGED]: "observed",
  [DocumentChange.CONFLICT]: "deny",
  [DocumentChange.BEHIND]: "unknown",
};

interface PlannedDocumentRowProps {
  readonly document: PlannedDocument;
  readonly choice: string | undefined;
  readonly onChoose: (text: string) => void;
  /** Shows both sides place by place. */
  readonly onMerge: () => void;
}

/** One document of the plan, with the difference that it would make; for a conflict both sides and the choice. */
export function PlannedDocumentRow({ document, choice, onChoose, onMerge }: PlannedDocumentRowProps) {
  const nowMs = useConsoleNow();
  const isConflict = document.change === DocumentChange.CONFLICT;
  const [isOpen, setOpen] = useState(isConflict);
  const theirsMs = optionalMs(document.theirsWrittenAt);
  const proposed = document.change === DocumentChange.MERGED ? document.mergedText : document.mineText;
  return (
    <li className="planned-document">
      <div className="planned-head">
        <Button size="small" tone="quiet" aria-expanded={isOpen} onPress={() => setOpen(!isOpen)}>
          {visibleText(document.key)}
        </Button>
        <Tag tone={isConflict && choice !== undefined ? "allow" : TONES[document.change]}>
          {isConflict && choice !== undefined ? "decided" : CHANGE_WORDS[document.change]}
        </Tag>
        <span className="faint wrap-anywhere">
          {visibleText(document.path)}
          {document.theirsVersion > 0n ? ` · in the cluster: version ${document.theirsVersion}` : ""}
          {document.theirsAuthor ? ` by ${visibleText(document.theirsAuthor)}` : ""}
          {theirsMs === null ? null : (
            <>
              , <Moment timeMs={theirsMs} nowMs={nowMs} />
            </>
          )}
        </span>
      </div>
      {!isOpen ? null : isConflict ? (
        <Conflict document={document} choice={choice} onChoose={onChoose} onMerge={onMerge} />
      ) : (
        <Suspense fallback={<Skeleton label="Comparing" />}>
          <TextDiff
            oldText={document.theirsText}
            newText={document.change === DocumentChange.BEHIND ? document.theirsText : proposed}
            label={`What changes in ${document.key}`}
          />
        </Suspense>
      )}
    </li>
  );
}

/** Both sides of a disagreement against what they started from, and the text that is written in the end. */
function Conflict({ document, choice, onChoose, onMerge }: PlannedDocumentRowProps) {
  const id = useId();
  const [text, setText] = useState(choice ?? document.mergedText);
  // What was merged beside this row, or is open again after a new plan.
  useEffect(() => setText(choice ?? document.mergedText), [choice, document.mergedText]);
  const take = (chosen: string) => {
    setText(chosen);
    onChoose(chosen);
  };
  return (
    <div className="document-conflict">
      <div className="cluster-columns">
        <section aria-label="Your change">
          <h4>Yours</h4>
          <Suspense fallback={<Skeleton label="Comparing" />}>
            <TextDiff oldText={document.baseText} newText={document.mineText} label="Your change" />
          </Suspense>
          <Button size="small" onPress={() => take(document.mineText)}>
            Write mine
          </Button>
        </section>
        <section aria-label="The change in the cluster">
          <h4>In the cluster, by {visibleText(document.theirsAuthor)}</h4>
          <Suspense fallback={<Skeleton label="Comparing" />}>
            <TextDiff oldText={document.baseText} newText={document.theirsText} label="The change in the cluster" />
          </Suspense>
          <Button size="small" onPress={() => take(document.theirsText)}>
            Keep theirs
          </Button>
        </section>
      </div>
      <label className="field-label" htmlFor={id}>
        What is written
      </label>
      <textarea
        id={id}
        className="note-input code"
        rows={Math.min(18, text.split("\n").length + 1)}
        spellCheck={false}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <span className="cluster-buttons">
        {mayMerge(document) ? (
          <Button size="small" onPress={onMerge}>
            Merge both…
          </Button>
        ) : null}
        <Button size="small" tone="primary" isDisabled={hasMarks(text)} onPress={() => onChoose(text)}>
          {hasMarks(text) ? "Both sides are still marked" : "Write this text"}
        </Button>
      </span>
    </div>
  );
}

/** Text in which both sides still stand beside each other. */
function hasMarks(text: string): boolean {
  return /^(<{7}|={7}|>{7})/m.test(text);
}
