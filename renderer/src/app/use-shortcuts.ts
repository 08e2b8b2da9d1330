import { useEffect } from "react";
import { useConsole } from "../data/context.tsx";
import { dispatchKeys, onKeyCommand } from "../data/key-commands.ts";
import type { KeyScope } from "../data/keymap.ts";
import { settingNow } from "../data/settings.ts";
import { useWindow, VIEWS } from "../data/window-store.ts";
import { enterView } from "../ui/index.ts";
import { decideOnlyPending, pendingOnHosts } from "./commands.ts";

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable='true']") !== null;
}

function scopesOf(target: EventTarget | null): ReadonlySet<KeyScope> {
  const { view, overlay } = useWindow.getState();
  const scopes = new Set<KeyScope>(["everywhere"]);
  if (overlay !== "none") return scopes;
  if (view === "policies") scopes.add("policies");
  if (view === "flows") scopes.add("flows");
  if (target instanceof HTMLElement && target.closest(".cm-editor")) scopes.add("editor");
  return scopes;
}

/** The keys that work everywhere. Keys with a modifier always do; single keys only outside of text and when wanted. */
export function useShortcuts(): void {
  const { connection } = useConsole();
  useEffect(() => {
    const { show, set, goTo, openAsk } = useWindow.getState();
    const now = useWindow.getState;
    const decide = (decision: "keep" | "roll-back") => () => {
      if (pendingOnHosts(connection).length === 0) return false;
      decideOnlyPending(connection, decision);
      return true;
    };
    const ends = [
      onKeyCommand("palette.open", () => show(now().overlay === "palette" ? "none" : "palette")),
      onKeyCommand("ask.open", () => (now().overlay === "ask" ? show("none") : openAsk(""))),
      onKeyCommand("window.freeze", () => set({ isFrozen: !now().isFrozen })),
      onKeyCommand("window.shortcuts", () => (now().overlay === "none" ? show("shortcuts") : false)),
      onKeyCommand("ship.open", () => show("ship")),
      onKeyCommand("pending.keep", decide("keep")),
      onKeyCommand("pending.roll-back", decide("roll-back")),
      ...VIEWS.map((view) =>
        onKeyCommand(`view.${view}`, () => {
          goTo(view);
          enterView();
        }),
      ),
    ];
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.isComposing || event.repeat || isRecording) return;
      const place = {
        scopes: scopesOf(event.target),
        isTyping: isTyping(event.target),
        hasSingleKeys: settingNow("keyboard.singleKeys"),
        bindings: settingNow("keyboard.bindings"),
      };
      if (!dispatchKeys(event, place)) return;
      event.preventDefault();
      event.stopPropagation();
    };
    addEventListener("keydown", onKeyDown, { capture: true });
    return () => {
      removeEventListener("keydown", onKeyDown, { capture: true });
      for (const end of ends) end();
    };
  }, [connection]);
}

let isRecording = false;

/** While keys are recorded for a command, none of them does anything. */
export function setRecordingKeys(recording: boolean): void {
  isRecording = recording;
}
