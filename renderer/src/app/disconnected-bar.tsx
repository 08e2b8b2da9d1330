import { Unplug } from "lucide-react";
import { useConsole, useHostsStream, useMonotonicNow } from "../data/context.tsx";
import { Button, formatAge, visibleText } from "../ui/index.ts";

/** Says that the window shows the past, why, since when, and when it tries again. */
export function DisconnectedBar() {
  const { connection } = useConsole();
  const { status, failure, receivedAtMs, retryAtMs } = useHostsStream();
  const nowMs = useMonotonicNow(1_000);
  // Before anything was received there is nothing old to warn of: each view says itself what it is missing.
  if (status !== "stale" || !failure || receivedAtMs === null) return null;
  const age = `Last heard ${formatAge(nowMs - receivedAtMs)} ago.`;
  const next = retryAtMs === null ? "" : ` Next try in ${formatAge(Math.max(1_000, retryAtMs - nowMs))}.`;
  return (
    <div className="disconnected-bar" role="alert">
      <Unplug className="disconnected-mark" size={16} aria-hidden="true" />
      <span className="wrap-anywhere">
        <strong>{visibleText(failure.message)}</strong> {visibleText(failure.hint)} <code>{failure.code}</code>
        <span aria-live="off" className="soft">
          {" "}
          {age}
          {next}
        </span>
      </span>
      <Button size="small" onPress={() => connection.retryNow()}>
        Try now
      </Button>
    </div>
  );
}
