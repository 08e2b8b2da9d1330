import type { DesktopNotification } from "@wardline/api/wardline/console/v1/alerts";
import { useEffect, useRef } from "react";
import { useActivity } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { visibleText } from "../../../ui/index.ts";

/**
 * Shows what the console wants told on this desktop, where the person allowed it. Grouping and limits are the console's; a
 * desktop shell shows its own and sends none of these.
 */
export function useDesktopNotifications(): void {
  const notifications = useActivity().alerts?.notifications;
  const lastShown = useRef<bigint | null>(null);
  useEffect(() => {
    if (!notifications) return;
    const newest = notifications.reduce((most, { id }) => (id > most ? id : most), lastShown.current ?? 0n);
    const former = lastShown.current;
    lastShown.current = newest;
    // What was told before the window opened is in the window, not news.
    if (former === null || !canNotify()) return;
    for (const notification of notifications) if (notification.id > former) show(notification);
  }, [notifications]);
}

function canNotify(): boolean {
  return typeof Notification !== "undefined" && Notification.permission === "granted";
}

function show({ title, body, tag, isUrgent }: DesktopNotification): void {
  const shown = new Notification(visibleText(title), {
    body: visibleText(body).slice(0, 400),
    tag,
    requireInteraction: isUrgent,
  });
  shown.onclick = () => {
    window.focus();
    useWindow.getState().set({ view: "anomalies", anomaliesTab: "alerts", overlay: "none" });
    shown.close();
  };
}
