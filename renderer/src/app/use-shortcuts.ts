import { useEffect } from "react";
import { useConsole } from "../data/context.tsx";
import { useWindow, VIEWS } from "../data/window-store.ts";
import { decideOnlyPending } from "./commands.ts";

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable='true']") !== null;
}

/** The keys that work everywhere. Keys with a modifier always do; single keys only outside of text and when wanted. */
export function useShortcuts(): void {
  const { connection } = useConsole();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.isComposing || event.repeat) return;
      const state = useWindow.getState();
      const isCommand = event.ctrlKey || event.metaKey;
      const handled = (() => {
        if (isCommand && !event.altKey && event.key.toLowerCase() === "k") {
          state.show(state.overlay === "palette" ? "none" : "palette");
          return true;
        }
        if (isCommand && event.key === ".") {
          state.set({ isFrozen: !state.isFrozen });
          return true;
        }
        if (isCommand && event.key === "Enter" && state.view === "policies" && state.overlay === "none") {
          state.show("ship");
          return true;
        }
        if (event.altKey && !isCommand) {
          const view = VIEWS[Number(event.code.replace("Digit", "")) - 1];
          if (event.code.startsWith("Digit") && view) {
            state.goTo(view);
            return true;
          }
          const hasPending = (connection.hosts.getState().value?.pending.length ?? 0) > 0;
          if (hasPending && (event.code === "KeyK" || event.code === "KeyR")) {
            decideOnlyPending(connection, event.code === "KeyK" ? "keep" : "roll-back");
            return true;
          }
        }
        if (event.key === "?" && state.hasSingleKeyShortcuts && !isTyping(event.target) && state.overlay === "none") {
          state.show("shortcuts");
          return true;
        }
        return false;
      })();
      if (handled) {
        event.preventDefault();
        event.stopPropagation();
      }
    };
    addEventListener("keydown", onKeyDown, { capture: true });
    return () => removeEventListener("keydown", onKeyDown, { capture: true });
  }, [connection]);
}
