import { useEffect, useRef } from "react";
import { useActivity } from "../../../data/context.tsx";
import { visibleText } from "../../../ui/index.ts";

/** Tells the desktop what the console wants told, where the person allowed it; the shell of the desktop program does it itself. */
export function useDesktopNotes(): void {
  const notes = useActivity().notifications?.desktop;
  const shown = useRef<bigint | null>(null);
  useEffect(() => {
    if (!notes) return;
    const former = shown.current;
    shown.current = notes.reduce((most, { id }) => (id > most ? id : most), former ?? 0n);
    // What was told before the window opened is behind the bell, not news.
    if (former === null || typeof Notification === "undefined" || Notification.permission !== "granted") return;
    for (const { id, title, body, tag, urgent, place } of notes) {
      if (id <= former) continue;
      const note = new Notification(visibleText(title), {
        body: visibleText(body).slice(0, 400),
        tag,
        requireInteraction: urgent,
      });
      note.onclick = () => {
        window.focus();
        openPlace(place);
        note.close();
      };
    }
  }, [notes]);
}

/** Goes where a link would lead: it opens a view and never acts. */
export function openPlace(place: string): void {
  location.hash = `#/${place}`;
}
