import type { AlertBoard, Silence } from "@wardline/api/wardline/console/v1/alerts";
import { useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, FailureNotice, formatAge, visibleText } from "../../../ui/index.ts";

/** What is kept silent, until when, by whom and why. */
export function SilenceSection({ board }: { board: AlertBoard }) {
  if (board.silences.length === 0) return null;
  return (
    <section className="alert-section" aria-labelledby="alert-silences">
      <h2 id="alert-silences">Kept silent</h2>
      <ul className="alert-list">
        {board.silences.map((silence) => (
          <SilenceItem key={silence.id} silence={silence} />
        ))}
      </ul>
    </section>
  );
}

function SilenceItem({ silence }: { silence: Silence }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const untilMs = optionalMs(silence.until);
  const end = () =>
    connection.alerts.deleteSilence({ id: silence.id }).catch((error: unknown) => setFailure(shownFailure(error)));
  return (
    <li className="alert-item">
      <span className="alert-line">
        <strong className="wrap-anywhere">
          {Object.entries(silence.matches)
            .map(([key, value]) => `${visibleText(key)} is ${visibleText(value)}`)
            .join(", ")}
        </strong>
        <span className="faint">
          {untilMs === null ? "" : `${formatAge(untilMs - nowMs)} left`} · {visibleText(silence.author)}
          {silence.reason ? `: ${visibleText(silence.reason)}` : ""}
        </span>
        <Button size="small" onPress={() => void end()}>
          End it now
        </Button>
      </span>
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
    </li>
  );
}
