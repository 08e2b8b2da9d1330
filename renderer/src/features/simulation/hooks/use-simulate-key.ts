import { useEffect, useRef } from "react";
import { useWindow } from "../../../data/window-store.ts";

/** Ctrl+Enter simulates, wherever the focus is in this view. */
export function useSimulateKey(start: () => void): void {
  const latest = useRef(start);
  latest.current = start;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const isFree = useWindow.getState().overlay === "none";
      if (!isFree || event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat) return;
      event.preventDefault();
      latest.current();
    };
    // Controls keep Enter to themselves on its way up.
    addEventListener("keydown", onKeyDown, { capture: true });
    return () => removeEventListener("keydown", onKeyDown, { capture: true });
  }, []);
}
