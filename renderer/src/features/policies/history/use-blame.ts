import type { EditorView } from "@codemirror/view";
import { createClient } from "@connectrpc/connect";
import { VersionService } from "@wardline/api/wardline/console/v1/versions";
import { useEffect } from "react";
import { useConsole } from "../../../data/context.tsx";
import { useKeyCommand } from "../../../data/key-commands.ts";
import { openVersionAt, setBlame } from "./blame-gutter.ts";

const QUIET_MS = 600;

/** Keeps the gutter of an editor up to date while it is shown. A backend that knows no blame leaves it empty. */
export function useBlame(view: EditorView | null, path: string, text: string, isShown: boolean): void {
  const { connection } = useConsole();
  useKeyCommand("editor.line-version", () =>
    view && isShown ? openVersionAt(view, view.state.selection.main.head) : false,
  );
  useEffect(() => {
    if (!view) return;
    if (!isShown) {
      view.dispatch({ effects: setBlame.of(null) });
      return;
    }
    const controller = new AbortController();
    const timer = setTimeout(() => {
      createClient(VersionService, connection.transport)
        .getBlame({ path, text }, { signal: controller.signal })
        .then((blame) => view.dispatch({ effects: setBlame.of({ path, blame }) }))
        .catch(() => undefined);
    }, QUIET_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [view, path, text, isShown, connection]);
}
