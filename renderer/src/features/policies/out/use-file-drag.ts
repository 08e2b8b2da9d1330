import { type DragEvent, useRef } from "react";
import { useConsole } from "../../../data/context.tsx";
import { beginDrag } from "./save-copy.ts";

/**
 * What makes a row of the list a file that can be dragged out of the window. A drag wants its text at once, so it is read
 * while the pointer is on the row. By keyboard the same is "Save a copy" in the menu of the file.
 */
export function useFileDrag(path: string) {
  const { connection, drafts } = useConsole();
  const read = useRef<string | null>(null);
  return {
    draggable: true,
    onPointerEnter: () => {
      if (drafts.get(path)) return;
      read.current = null;
      connection.policies.getFile({ path }).then(
        ({ text }) => {
          read.current = text;
        },
        // What cannot be read cannot be dragged; opening the file says why.
        () => undefined,
      );
    },
    onDragStart: (event: DragEvent) => {
      const draft = drafts.get(path);
      const text = draft && draft.status !== "loading" ? draft.text : read.current;
      if (text === null) event.preventDefault();
      else beginDrag(event.nativeEvent, path, text);
    },
  };
}
