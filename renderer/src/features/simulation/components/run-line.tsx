import { Square } from "lucide-react";
import type { ReactNode } from "react";
import { Button, formatCount, useAnnounced } from "../../../ui/index.ts";
import type { RunStatus } from "../hooks/use-run.ts";

interface RunLineProps {
  readonly status: RunStatus;
  readonly read: bigint;
  readonly total: bigint;
  /** What is read: `records`. */
  readonly what: string;
  readonly onCancel: () => void;
  /** What else is to be said of it. */
  readonly children?: ReactNode;
}

/** How much was looked at: "1.2M of 3.4M checked". Its place stays when the work ends. */
export function RunLine({ status, read, total, what, onCancel, children }: RunLineProps) {
  const isRunning = status === "running";
  const words =
    status === "cancelled"
      ? `Cancelled: ${formatCount(read)} of ${formatCount(total)} ${what} checked, what is shown is about those`
      : `${formatCount(read)} of ${formatCount(total)} ${what} checked`;
  // How far it is changes many times a second: only its end is said aloud.
  useAnnounced(isRunning ? "" : words);
  return (
    <div className="run-line">
      <progress
        max={Math.max(1, Number(total))}
        value={total === 0n && !isRunning ? 1 : Number(read)}
        aria-label={`${what} checked`}
      />
      <span className="soft">{words}</span>
      {children}
      {isRunning ? (
        <Button size="small" tone="quiet" icon={<Square size={12} aria-hidden="true" />} onPress={onCancel}>
          Cancel
        </Button>
      ) : null}
    </div>
  );
}
