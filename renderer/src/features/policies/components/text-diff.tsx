import { unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { useEffect, useRef } from "react";
import { readingExtensions } from "./editor-setup.ts";

interface TextDiffProps {
  readonly oldText: string;
  readonly newText: string;
  /** What the two sides are, for screen readers. */
  readonly label: string;
}

/** Two texts as one, deletions above insertions, long equal parts folded. */
export default function TextDiff({ oldText, newText, label }: TextDiffProps) {
  const parent = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!parent.current) return;
    const view = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: newText,
        extensions: [
          ...readingExtensions(),
          EditorState.readOnly.of(true),
          EditorView.editable.of(false),
          EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
          unifiedMergeView({
            original: oldText,
            mergeControls: false,
            collapseUnchanged: { margin: 3, minSize: 6 },
            diffConfig: { scanLimit: 2_000 },
          }),
        ],
      }),
    });
    return () => view.destroy();
  }, [oldText, newText, label]);
  return <div ref={parent} className="text-diff" />;
}
