import type { AlertBoard, Receiver, TestReceiverResponse } from "@wardline/api/wardline/console/v1/alerts";
import { DeliveryResult } from "@wardline/api/wardline/console/v1/alerts";
import { useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { failureFromDetail, type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, FailureNotice, Moment, Notice, Tag, visibleText } from "../../../ui/index.ts";
import { DELIVERY_NAMES, deliveryTone, receiverText } from "../model/words.ts";
import { ReceiverForm } from "./receiver-form.tsx";

/** Who can be told, how it went last, and a test that says what really happened. */
export function ReceiverSection({ board }: { board: AlertBoard }) {
  const [edited, setEdited] = useState<string | null>(null);
  return (
    <section className="alert-section" aria-labelledby="alert-receivers">
      <h2 id="alert-receivers">Receivers</h2>
      <ul className="alert-list">
        {board.receivers.map((receiver) => (
          <li key={receiver.name} className="alert-item">
            {edited === receiver.name ? (
              <ReceiverForm receiver={receiver} onDone={() => setEdited(null)} />
            ) : (
              <ReceiverLine receiver={receiver} onEdit={() => setEdited(receiver.name)} />
            )}
          </li>
        ))}
        {edited === "" ? (
          <li className="alert-item">
            <ReceiverForm receiver={null} onDone={() => setEdited(null)} />
          </li>
        ) : null}
      </ul>
      <span className="alert-buttons">
        <Button size="small" isDisabled={edited === ""} onPress={() => setEdited("")}>
          Add a receiver…
        </Button>
      </span>
    </section>
  );
}

function ReceiverLine({ receiver, onEdit }: { receiver: Receiver; onEdit: () => void }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [isTesting, setTesting] = useState(false);
  const [answer, setAnswer] = useState<TestReceiverResponse | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const { last } = receiver;
  const lastMs = optionalMs(last?.time);
  const isDesktop = receiver.kind.case === "desktop";
  const test = async () => {
    setFailure(null);
    setAnswer(null);
    setTesting(true);
    try {
      if (isDesktop && typeof Notification !== "undefined") await Notification.requestPermission();
      setAnswer(await connection.alerts.testReceiver({ which: { case: "name", value: receiver.name } }));
    } catch (error) {
      setFailure(shownFailure(error));
    } finally {
      setTesting(false);
    }
  };
  return (
    <>
      <span className="alert-line">
        <strong>{visibleText(receiver.name)}</strong>
        <span className="wrap-anywhere">{visibleText(receiverText(receiver))}</span>
        {last ? (
          <>
            <Tag tone={deliveryTone(last)}>{DELIVERY_NAMES[last.result]}</Tag>
            <span className="faint wrap-anywhere">
              {visibleText(last.detail)}{" "}
              {lastMs === null ? null : (
                <>
                  · <Moment timeMs={lastMs} nowMs={nowMs} />
                </>
              )}
            </span>
          </>
        ) : (
          <span className="faint">never used</span>
        )}
      </span>
      <span className="alert-buttons">
        <Button size="small" isDisabled={isTesting} onPress={() => void test()}>
          {isTesting ? "Sending…" : "Send a test"}
        </Button>
        {isDesktop ? null : (
          <Button size="small" onPress={onEdit}>
            Change…
          </Button>
        )}
      </span>
      {failure ? <FailureNotice isCompact failure={failure} title="The test was not sent" /> : null}
      {answer?.delivery ? <TestAnswer answer={answer} /> : null}
    </>
  );
}

/** Accepted is not read: it says exactly how far the message went. */
function TestAnswer({ answer }: { answer: TestReceiverResponse }) {
  const { delivery, steps } = answer;
  if (!delivery) return null;
  return (
    <>
      <Notice tone={deliveryTone(delivery)}>
        <strong>
          {delivery.result === DeliveryResult.ACCEPTED
            ? "The other side took the message"
            : delivery.result === DeliveryResult.HANDED_OVER
              ? "Handed over; nothing says whether it was shown"
              : "It did not arrive"}
        </strong>
        <span>{visibleText(delivery.detail)}</span>
        {steps.length > 0 ? (
          <ol className="receiver-steps soft">
            {steps.map((step) => (
              <li key={step}>{visibleText(step)}</li>
            ))}
          </ol>
        ) : null}
      </Notice>
      {delivery.error ? <FailureNotice isCompact failure={failureFromDetail(delivery.error)} /> : null}
    </>
  );
}
