/** Who does what a command of the keymap names, and which of them a key press means. */
import { useEffect, useRef } from "react";
import {
  commandsWithKeys,
  isSingleKey,
  type KeyBindings,
  type KeyScope,
  keyCommand,
  keysOf,
  keysOfPress,
} from "./keymap.ts";
import { useSetting } from "./settings.ts";

/** `false` = it could not be done now: the key goes on to whoever is next. */
export type KeyHandler = () => unknown;

const handlers = new Map<string, KeyHandler[]>();

/** The one that came last counts. Returns what takes it away again. */
export function onKeyCommand(id: string, handler: KeyHandler): () => void {
  if (keyCommand(id) === null) throw new Error(`the keymap has no command ${id}`);
  const list = handlers.get(id) ?? [];
  handlers.set(id, [...list, handler]);
  return () => {
    handlers.set(
      id,
      (handlers.get(id) ?? []).filter((each) => each !== handler),
    );
  };
}

/** Does what the command names while the component is there. */
export function useKeyCommand(id: string, handler: KeyHandler): void {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => onKeyCommand(id, () => latest.current()), [id]);
}

/** Does it as if its keys had been pressed. Returns whether anybody did. */
export function runKeyCommand(id: string): boolean {
  for (const handler of (handlers.get(id) ?? []).toReversed()) {
    if (handler() !== false) return true;
  }
  return false;
}

export interface KeyPlace {
  readonly scopes: ReadonlySet<KeyScope>;
  readonly isTyping: boolean;
  readonly hasSingleKeys: boolean;
  readonly bindings: KeyBindings;
}

/** Whether the press was a command's and is done. */
export function dispatchKeys(press: Parameters<typeof keysOfPress>[0], place: KeyPlace): boolean {
  const keys = keysOfPress(press);
  if (keys === null) return false;
  if (isSingleKey(keys) && (place.isTyping || !place.hasSingleKeys)) return false;
  for (const { id, scope } of commandsWithKeys(keys, place.bindings)) {
    if (place.scopes.has(scope) && runKeyCommand(id)) return true;
  }
  return false;
}

/** The keys of a command as they are now, for hints; empty when it has none. */
export function useKeysOf(id: string): string {
  return keysOf(id, useSetting("keyboard.bindings"))[0] ?? "";
}
