/**
 * Prometheus Alertmanager, `POST /api/v2/alerts`. It groups and silences by itself; what it is told is each alert with its
 * end. One that fires gets an end in the future, after which Alertmanager would take it for over if nobody said more.
 */
import type { Alert, AlertMessage } from "@wardline/domain/alerts";
import type { ReceiverOf } from "../receivers.ts";
import type { Attempt, Outcome } from "./outcome.ts";
import { type HttpDelivery, postJson } from "./webhook.ts";

const MARGIN_MS = 600_000;

export function postToAlertmanager(
  { url, allowLocal }: ReceiverOf<"alertmanager">,
  attempt: Attempt,
  http: HttpDelivery,
): Promise<Outcome> {
  const body = JSON.stringify(alertmanagerAlerts(attempt.message, http.nowMs()));
  const rules = { allowLocal, allowedUrls: http.allowedUrls() };
  const request = { body, headers: { "Content-Type": "application/json" } };
  return postJson(alertsUrlOf(url), rules, request, attempt, http);
}

/** `https://am.example.com/prefix` and the path of the API below it. */
export function alertsUrlOf(url: string): string {
  return `${url.replace(/\/+$/, "")}/api/v2/alerts`;
}

/** @param nowMs a message that waited for its delivery must not be taken for over on arrival */
export function alertmanagerAlerts({ firing, resolved, repeatSeconds }: AlertMessage, nowMs: number) {
  const staleAtMs = nowMs + 2 * repeatSeconds * 1000 + MARGIN_MS;
  return [
    ...firing.map((alert) => toAlertmanager(alert, staleAtMs)),
    ...resolved.map((alert) => toAlertmanager(alert, alert.endedAtMs ?? nowMs)),
  ];
}

function toAlertmanager(alert: Alert, endsAtMs: number) {
  const { rule, id, labels, sentence, findingId, firedAtMs, beganAtMs } = alert;
  // Alertmanager tells alerts apart by their labels alone.
  const identity = { alertname: rule, wardline_alert: id, ...(findingId ? { finding: findingId } : {}) };
  return {
    labels: { ...labels, ...identity },
    annotations: { summary: sentence },
    startsAt: new Date(firedAtMs ?? beganAtMs).toISOString(),
    endsAt: new Date(Math.max(endsAtMs, firedAtMs ?? beganAtMs)).toISOString(),
  };
}
