import { type Alert, type AlertBoard, AlertState } from "@wardline/api/wardline/console/v1/alerts";
import { CircleCheck } from "lucide-react";
import { useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, Moment, SeverityMark, Tag, visibleText } from "../../../ui/index.ts";
import { DELIVERY_NAMES, deliveryTone } from "../model/words.ts";
import { SilenceForm } from "./silence-form.tsx";

/** What fires now, worst first, and whether anybody was reached. */
export function AlertList({ board }: { board: AlertBoard }) {
  return (
    <section className="alert-section" aria-labelledby="alerts-now">
      <h2 id="alerts-now">Firing now</h2>
      {board.alerts.length === 0 ? (
        <p className="soft alert-none">
          <CircleCheck size={16} aria-hidden="true" /> Nothing fires.
        </p>
      ) : (
        <ul className="alert-list">
          {board.alerts.map((alert) => (
            <AlertItem key={alert.id} alert={alert} />
          ))}
        </ul>
      )}
    </section>
  );
}

function AlertItem({ alert }: { alert: Alert }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const openFinding = useWindow((state) => state.openFinding);
  const [isSilencing, setSilencing] = useState(false);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const beganMs = optionalMs(alert.beganAt);
  const acknowledge = () =>
    connection.alerts
      .acknowledgeAlert({ id: alert.id, reason: "Seen in the console" })
      .catch((error: unknown) => setFailure(shownFailure(error)));
  return (
    <li className="alert-item">
      <span className="alert-line">
        <SeverityMark severity={alert.severity} />
        <span className="soft">{visibleText(alert.rule)}</span>
        {alert.host ? <span className="soft">{visibleText(alert.host)}</span> : null}
        {alert.state === AlertState.PENDING ? <Tag>waits to be sure</Tag> : null}
        {alert.silencedBy ? <Tag>silenced</Tag> : null}
        {alert.acknowledgedBy ? <Tag tone="allow">seen by {visibleText(alert.acknowledgedBy)}</Tag> : null}
        <span className="alert-time faint">{beganMs === null ? null : <Moment timeMs={beganMs} nowMs={nowMs} />}</span>
      </span>
      <p className="wrap-anywhere">{visibleText(alert.sentence)}</p>
      {alert.deliveries.length > 0 ? (
        <ul className="alert-deliveries">
          {alert.deliveries.map((delivery) => (
            <li key={delivery.receiver}>
              <Tag tone={deliveryTone(delivery)}>{DELIVERY_NAMES[delivery.result]}</Tag>{" "}
              {visibleText(delivery.receiver)} <span className="faint">{visibleText(delivery.detail)}</span>
            </li>
          ))}
        </ul>
      ) : null}
      <span className="alert-buttons">
        {alert.findingId ? (
          <Button size="small" onPress={() => openFinding(alert.findingId)}>
            Open the finding
          </Button>
        ) : null}
        {alert.acknowledgedBy ? null : (
          <Button size="small" onPress={() => void acknowledge()}>
            I have seen it
          </Button>
        )}
        {alert.silencedBy ? null : (
          <Button size="small" onPress={() => setSilencing(true)}>
            Silence the like…
          </Button>
        )}
      </span>
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
      {isSilencing ? <SilenceForm labels={alert.labels} onDone={() => setSilencing(false)} /> : null}
    </li>
  );
}
