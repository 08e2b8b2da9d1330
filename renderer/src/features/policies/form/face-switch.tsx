import { useEffect } from "react";
import "./face-switch.css";
import { onKeyCommand } from "../../../data/key-commands.ts";
import { type EditorFace, useWindow } from "../../../data/window-store.ts";

const FACES: readonly (readonly [face: EditorFace, word: string, title: string])[] = [
  ["text", "Text", "The file as it is written"],
  ["form", "Form", "Every document as a form"],
  ["both", "Both", "Text and form beside each other"],
  ["picture", "Picture", "Who talks to whom"],
];

/** One document, three faces: which of them is shown. */
export function FaceSwitch() {
  const editorFace = useWindow((state) => state.editorFace);
  useEffect(
    () =>
      onKeyCommand("editor.face", () => {
        const now = FACES.findIndex(([face]) => face === useWindow.getState().editorFace);
        showFace(FACES[(now + 1) % FACES.length]![0]);
      }),
    [],
  );
  return (
    // biome-ignore lint/a11y/useSemanticElements: a group of buttons in a header is no set of fields
    <div className="face-switch" role="group" aria-label="Show as">
      {FACES.map(([face, word, title]) => (
        <button
          key={face}
          type="button"
          title={title}
          aria-pressed={editorFace === face}
          onClick={() => showFace(face)}
        >
          {word}
        </button>
      ))}
    </div>
  );
}

/** Two columns of text need the room of the effect, which can be opened again. */
const ROOM_FOR_THREE_PX = 1700;

export function showFace(face: EditorFace): void {
  const needsRoom = face === "both" && window.innerWidth < ROOM_FOR_THREE_PX;
  useWindow.getState().set({ editorFace: face, ...(needsRoom ? { isEffectShown: false } : {}) });
}
