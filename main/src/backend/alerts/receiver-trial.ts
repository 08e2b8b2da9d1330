/** One real message to a receiver, and whether a person can rely on it. */

import { create } from "@bufbuild/protobuf";
import * as api from "@wardline/api/wardline/console/v1/alerts";
import { failureToDetail, timestampOf } from "@wardline/domain/wire";
import type { AlertServicePorts } from "./alert-service.ts";
import type { Outcome } from "./delivery/outcome.ts";
import { testMessage } from "./delivery/test-message.ts";
import { destinationOf, type KeptReceiver } from "./receivers.ts";

/** A window takes a notification within a second. */
const DESKTOP_LIMIT_MS = 4_000;
const DESKTOP_POLL_MS = 250;

export interface Trial {
  readonly receiver: KeptReceiver;
  /** Empty = the kept one, if the receiver is the kept one. */
  readonly secret: string;
  readonly say: (step: string) => void;
  readonly signal: AbortSignal;
}

export async function tryReceiver(
  { clock, deliverer, configuration, changes }: AlertServicePorts,
  { receiver, secret, say, signal }: Trial,
): Promise<Outcome> {
  const message = testMessage(receiver, clock.nowMs());
  const kept = configuration.receiver(receiver.name);
  const isKept = kept !== null && destinationOf(kept) === destinationOf(receiver);
  const given = secret === "" && isKept ? undefined : secret;
  const deadlineMs = clock.nowMs() + DESKTOP_LIMIT_MS;
  for (;;) {
    const outcome = await deliverer.send(receiver, { message, signal, say }, given);
    const isWaiting = receiver.kind === "desktop" && outcome.result === "retry";
    if (!isWaiting || clock.nowMs() >= deadlineMs || signal.aborted) return outcome;
    changes.notify();
    await clock.sleep(DESKTOP_POLL_MS, signal);
  }
}

const RESULTS: Record<Outcome["result"], api.DeliveryResult> = {
  accepted: api.DeliveryResult.ACCEPTED,
  "handed-over": api.DeliveryResult.HANDED_OVER,
  failed: api.DeliveryResult.FAILED,
  // A test is not tried again.
  retry: api.DeliveryResult.FAILED,
};

export function toWireTrial({ name }: KeptReceiver, { result, detail, failure }: Outcome, nowMs: number): api.Delivery {
  return create(api.DeliverySchema, {
    ...{ time: timestampOf(nowMs), detail, attempts: 1, receiver: name, result: RESULTS[result] },
    ...(failure ? { error: failureToDetail(failure) } : {}),
  });
}

/** The last line of a test. */
export function verdictOf({ kind }: KeptReceiver, { result, detail }: Outcome): string {
  if (result === "failed" || result === "retry") return `Not delivered: ${detail}`;
  if (kind === "email") {
    return "The mail server accepted the message. That it arrives, and that somebody reads it, it does not say: look into the mailbox.";
  }
  if (kind === "desktop") {
    return "The notification was handed over. The desktop may hold it back (do not disturb, no permission): look whether it is there.";
  }
  return kind === "webhook"
    ? "The other side said that it has the message. What it does with it, it does not say."
    : "Alertmanager said that it has the alert. Whom it tells is up to its own routes.";
}
