import { Unplug } from "lucide-react";
import { useConsole, useHostsStream, useMonotonicNow } from "../data/context.tsx";
import { Button, formatAge, visibleText } from "../ui/index.ts";

/**
 * Says that the window shows the past, why, since when, and when it tries again. It is said aloud once, by
 * `use-announcements.ts`: the times in it change every second.
 */
export function DisconnectedBar() {
  const { connection } = useConsole();
  const { status, failure, receivedAtMs, retryAtMs } = useHostsStream();
  const nowMs = useMonotonicNow(1_000);
  // Before anything was received there is nothing old to warn of: each view says itself what it is missing.
  if (status !== "stale" || !failure || receivedAtMs === null) return null;
  const age = `Last heard ${formatAge(nowMs - receivedAtMs)} ago.`;
  const next = retryAtMs === null ? "" : ` Next try in ${formatAge(Math.max(1_000, retryAtMs - nowMs))}.`;
  return (
    <section className="disconnected-bar" aria-label="Connection">
      <Unplug className="disconnected-mark" size={16} aria-hidden="true" />
      <span className="wrap-anywhere">
        <strong>{visibleText(failure.message)}</strong> {visibleText(failure.hint)} <code>{failure.code}</code>
        <span className="soft">
          {" "}
          {age}
          {next}
        </span>
      </span>
      <Button size="small" onPress={() => connection.retryNow()}>
        Try now
      </Button>
    </section>
  );
}
