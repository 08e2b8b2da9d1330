import { useEffect, useRef, useSyncExternalStore } from "react";
import { createPortal } from "react-dom";
import { announce, announcer } from "./announcer.ts";

/**
 * The two regions that screen readers listen to. They stand beside the window and not inside it: what an open dialog hides
 * from screen readers would be silent with it (`data-live-announcer` is what react-aria leaves alone).
 */
export function LiveAnnouncements() {
  const { polite, urgent } = useSyncExternalStore(announcer.subscribe, announcer.getState);
  return createPortal(
    <div data-live-announcer="true" className="visually-hidden">
      <div aria-live="polite" aria-atomic="true" data-announcer="polite">
        {polite.text === "" ? null : <p key={polite.serial}>{polite.text}</p>}
      </div>
      <div aria-live="assertive" aria-atomic="true" data-announcer="urgent">
        {urgent.text === "" ? null : <p key={urgent.serial}>{urgent.text}</p>}
      </div>
    </div>,
    document.body,
  );
}

/** Says a text politely whenever it is another one; what is there at first is read with the page. Empty = nothing new. */
export function useAnnounced(text: string): void {
  const said = useRef(text);
  useEffect(() => {
    if (text === "" || text === said.current) return;
    said.current = text;
    announce(text);
  }, [text]);
}
