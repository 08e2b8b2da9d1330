import { ReceiptOutcome } from "@wardline/api/wardline/console/v1/ship";
import { CircleCheck, TimerOff, Undo2 } from "lucide-react";
import { Button, Notice, type NoticeTone, visibleText } from "../../../ui/index.ts";
import { type PendingEnd, useShip } from "../model/ship-store.ts";

interface EndWords {
  readonly tone: NoticeTone;
  readonly icon: React.ReactNode;
  readonly title: string;
  readonly next: string;
}

/** In words, for the notice and to be said aloud. */
export function endWords({ outcome, generation, hostName }: PendingEnd): EndWords {
  const host = visibleText(hostName);
  switch (outcome) {
    case ReceiptOutcome.CONFIRMED:
      return {
        tone: "allow",
        icon: <CircleCheck size={16} aria-hidden="true" />,
        title: `Generation ${generation} is kept on ${host}.`,
        next: "It stays in force over restarts of the agent and of the host. To go back, restore an older version in the history and apply it.",
      };
    case ReceiptOutcome.EXPIRED:
      return {
        tone: "deny",
        icon: <TimerOff size={16} aria-hidden="true" />,
        title: `Nobody confirmed in time, so the agent on ${host} rolled generation ${generation} back by itself.`,
        next: "The former state is in force again and your drafts are unchanged. Check that you can reach the host, then apply again with more time.",
      };
    case ReceiptOutcome.ROLLED_BACK:
      return {
        tone: "observed",
        icon: <Undo2 size={16} aria-hidden="true" />,
        title: `Generation ${generation} was rolled back on ${host}.`,
        next: "The former state is in force again. Your drafts are unchanged: edit them and apply when you are ready.",
      };
    default:
      return {
        tone: "unknown",
        icon: <TimerOff size={16} aria-hidden="true" />,
        title: `Generation ${generation} no longer waits on ${host}, and no receipt says how it ended.`,
        next: "Look at the generation that the host enforces now, in Hosts.",
      };
  }
}

/** How a pending generation ended, and what to do next. */
export function PendingEndNotice({ end }: { end: PendingEnd }) {
  const { ends, set } = useShip();
  const words = endWords(end);
  return (
    <div>
      <Notice
        tone={words.tone}
        icon={words.icon}
        action={
          <Button size="small" tone="quiet" onPress={() => set({ ends: ends.filter((other) => other !== end) })}>
            Put away
          </Button>
        }
      >
        <strong>{words.title}</strong>
        <span className="soft">{words.next}</span>
      </Notice>
    </div>
  );
}
