import { useEffect, useSyncExternalStore } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type LanguageState, type LanguageStore, languageOf } from "./language-store.ts";

export function useLanguageStore(): LanguageStore {
  const { connection, drafts } = useConsole();
  return languageOf(connection, drafts);
}

/** The answers about a file, as of the last pause in typing; tells the language which text stands in the editor. */
export function useLanguage(path: string | null, text: string | null): LanguageState {
  const store = useLanguageStore();
  const state = useSyncExternalStore(store.watch, store.getShown);
  useEffect(() => {
    if (path !== null && text !== null) store.edit(path, text);
  }, [store, path, text]);
  return state;
}
