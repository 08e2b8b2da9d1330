import { useEffect, useRef } from "react";
import { useKeyCommand } from "../data/key-commands.ts";
import { useWindow } from "../data/window-store.ts";
import {
  enterView,
  focusView,
  followPanes,
  goToPane,
  keepFocus,
  LiveAnnouncements,
  MomentTooltip,
} from "../ui/index.ts";
import { useAnnouncements } from "./use-announcements.ts";

/** What makes the whole window work by keyboard and for screen readers. It stands before the frame: the skip link comes first. */
export function Accessibility() {
  useKeyCommand("window.next-pane", () => goToPane(1));
  useKeyCommand("window.previous-pane", () => goToPane(-1));
  useEffect(keepFocus, []);
  useEffect(followPanes, []);
  useFocusFollowsView();
  useAnnouncements();
  return (
    <>
      <button type="button" className="skip-link" onClick={focusView}>
        Skip to the view
      </button>
      <LiveAnnouncements />
      <MomentTooltip />
    </>
  );
}

/** Whoever opens another view by a key or in the palette wants to be in it; on the rail, Tab goes through the views. */
function useFocusFollowsView(): void {
  const view = useWindow((state) => state.view);
  const former = useRef(view);
  useEffect(() => {
    if (former.current === view) return;
    former.current = view;
    return document.activeElement?.closest(".rail") ? undefined : enterView();
  }, [view]);
}
