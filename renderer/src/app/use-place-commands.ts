/** What is done with the place that this window shows: a link to it, and a second window beside it. */
import { useCallback, useEffect } from "react";
import { type Command, registerCommands } from "../data/command-registry.ts";
import { useConsole } from "../data/context.tsx";
import { useKeyCommand } from "../data/key-commands.ts";
import { copiedWords, copyLink, hashOf, placeNow } from "../data/place-link.ts";
import { useWindow } from "../data/window-store.ts";
import { announce } from "../ui/index.ts";

const WHAT: Partial<Record<string, string>> = {
  policies: "file",
  hosts: "host",
  anomalies: "finding",
  flows: "question",
};

export function usePlaceCommands(): void {
  const { connection } = useConsole();
  const flow = useCallback(() => {
    const { view, selectedFlowId } = useWindow.getState();
    if (view !== "flows" || selectedFlowId === null) return null;
    return connection.flows.getState().value?.rows.find(({ id }) => id === selectedFlowId) ?? null;
  }, [connection]);
  const copy = useCallback(() => {
    const place = placeNow(flow());
    void copyLink(place).then((isDone) => announce(copiedWords(place, isDone)));
  }, [flow]);
  const openWindow = useCallback(() => {
    if (!window.wardlineShell) return false;
    window.wardlineShell.openWindow(hashOf(placeNow(flow())));
    return true;
  }, [flow]);
  useKeyCommand("window.copy-link", copy);
  useKeyCommand("window.new", openWindow);
  useEffect(
    () =>
      registerCommands("place", () => {
        const chosen = flow();
        const { view, argument, version } = placeNow(chosen);
        const what = version ? "version" : chosen ? "flow" : argument === null ? "view" : (WHAT[view] ?? "view");
        const close = () => useWindow.getState().show("none");
        const commands: Command[] = [
          {
            id: "copy-link",
            group: "Do",
            title: `Copy a link to this ${what}`,
            words: "share address wardline:// ticket chat",
            keyId: "window.copy-link",
            run: () => {
              copy();
              close();
            },
          },
        ];
        // Nothing but the desktop program can open one that belongs to this console.
        if (window.wardlineShell)
          commands.push({
            id: "new-window",
            group: "Do",
            title: "New window, at this place",
            keyId: "window.new",
            run: () => {
              openWindow();
              close();
            },
          });
        return commands;
      }),
    [flow, copy, openWindow],
  );
}
