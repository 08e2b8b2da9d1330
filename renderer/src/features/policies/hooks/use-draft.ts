import { useEffect, useSyncExternalStore } from "react";
import { useConsole } from "../../../data/context.tsx";
import type { Draft } from "../../../data/draft-store.ts";

/** The draft of a file; opens it when it is not open yet. */
export function useDraft(path: string | null): Draft | null {
  const { drafts } = useConsole();
  useSyncExternalStore(drafts.subscribe, drafts.getVersion);
  useEffect(() => {
    if (path !== null) void drafts.open(path);
  }, [drafts, path]);
  return path === null ? null : drafts.get(path);
}
