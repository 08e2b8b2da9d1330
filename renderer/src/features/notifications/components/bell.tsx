import { Bell as BellPicture } from "lucide-react";
import { useEffect, useRef } from "react";
import { Button as AriaButton, Dialog, DialogTrigger, Popover } from "react-aria-components";
import { useActivity } from "../../../data/context.tsx";
import { announce, formatCount, formatQuantity } from "../../../ui/index.ts";
import { NotificationCentre } from "./notification-centre.tsx";
import "./bell.css";

/** How often a screen reader hears that the number has changed. */
const SAID_AT_MOST_EVERY_MS = 20_000;

/** The bell: how many things need a person, and the list of them. */
export function Bell() {
  const list = useActivity().notifications;
  const needing = list?.needingPerson ?? 0;
  useSpokenCount(needing);
  return (
    <DialogTrigger>
      <AriaButton
        className="icon-button bell"
        aria-label={
          needing === 0
            ? "Notifications"
            : `Notifications: ${formatQuantity(needing, "thing needs", "things need")} you`
        }
      >
        <BellPicture size={16} aria-hidden="true" />
        {needing > 0 ? (
          <span className="bell-badge" aria-hidden="true">
            {needing > 99 ? "99+" : formatCount(needing)}
          </span>
        ) : null}
      </AriaButton>
      <Popover className="popover" placement="bottom end" offset={6}>
        <Dialog className="notifications" aria-label="Notifications">
          {({ close }) => <NotificationCentre list={list} onGone={close} />}
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}

/** Says a higher number once, politely, and then holds its tongue for a while. */
function useSpokenCount(needing: number): void {
  const before = useRef({ needing: 0, atMs: Number.NEGATIVE_INFINITY });
  useEffect(() => {
    const isWorse = needing > before.current.needing;
    const waitMs = Math.max(0, before.current.atMs + SAID_AT_MOST_EVERY_MS - performance.now());
    before.current = { ...before.current, needing };
    if (!isWorse) return;
    const timer = setTimeout(() => {
      before.current = { needing, atMs: performance.now() };
      announce(`${formatQuantity(needing, "thing needs", "things need")} you`);
    }, waitMs);
    return () => clearTimeout(timer);
  }, [needing]);
}
