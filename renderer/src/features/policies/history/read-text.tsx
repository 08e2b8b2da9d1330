import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { useEffect, useRef } from "react";
import { readingExtensions } from "../components/editor-setup.ts";

/** A text that can be read, marked and copied, and not changed. */
export default function ReadText({ text, label }: { text: string; label: string }) {
  const parent = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!parent.current) return;
    const view = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: text,
        extensions: [
          ...readingExtensions(),
          EditorState.readOnly.of(true),
          EditorView.editable.of(false),
          EditorView.contentAttributes.of({ "aria-label": label, "aria-readonly": "true", tabindex: "0" }),
        ],
      }),
    });
    return () => view.destroy();
  }, [text, label]);
  return <div ref={parent} className="read-text" />;
}
