/** One message as signed JSON. docs/alerts.md has the format. */
import type { Alert } from "@wardline/domain/alerts";
import { Failure } from "@wardline/domain/errors";
import type { ReceiverOf } from "../receivers.ts";
import { type DestinationRules, type Resolver, resolveDestination } from "./destination.ts";
import { outcomeOf } from "./http-answer.ts";
import { type PostLimits, post } from "./http-post.ts";
import { type Attempt, failed, type Outcome, refused, withoutSecret } from "./outcome.ts";
import { SIGNATURE_HEADER, signatureOf } from "./signature.ts";

export interface HttpDelivery {
  readonly allowedUrls: () => readonly string[];
  readonly resolve: Resolver;
  readonly limits: PostLimits;
  readonly nowMs: () => number;
  readonly authorities?: string | undefined;
}

/** Never throws but for defects. */
export async function postWebhook(
  { url, allowLocal }: ReceiverOf<"webhook">,
  attempt: Attempt,
  http: HttpDelivery,
): Promise<Outcome> {
  const { message, secret } = attempt;
  const body = JSON.stringify(webhookBody(attempt));
  const atSeconds = Math.floor(http.nowMs() / 1000);
  const signed: Record<string, string> = secret ? { [SIGNATURE_HEADER]: signatureOf(body, secret, atSeconds) } : {};
  if (!secret) attempt.say("It has no secret: the message is not signed.");
  const headers = { "Content-Type": "application/json", "Wardline-Message-Id": message.id, ...signed };
  return postJson(url, { allowLocal, allowedUrls: http.allowedUrls() }, { body, headers }, attempt, http);
}

export async function postJson(
  url: string,
  rules: DestinationRules,
  { body, headers }: { readonly body: string; readonly headers: Readonly<Record<string, string>> },
  { signal, say, secret }: Attempt,
  http: HttpDelivery,
): Promise<Outcome> {
  try {
    const destination = await resolveDestination(url, rules, http.resolve, signal);
    const addresses = destination.addresses.map(({ address }) => address).join(", ");
    say(`${destination.url.hostname} is at ${addresses}: messages may go there.`);
    const { limits, authorities } = http;
    const all = { ...headers, "User-Agent": "Wardline" };
    const answer = await post(destination, { body, headers: all, limits, signal, authorities });
    say(`${body.length} bytes went to ${answer.address}; it answered with ${answer.status} after ${answer.tookMs} ms.`);
    if (answer.isCutShort) say("Its answer is longer than 64 KiB; the rest was not read.");
    return outcomeOf({ ...answer, text: withoutSecret(answer.text, secret) }, http.nowMs());
  } catch (error) {
    if (error instanceof Failure) return refused(error);
    if (error instanceof Error) return failed(withoutSecret(error.message, secret), false);
    throw error;
  }
}

function webhookBody({ message }: Attempt) {
  const { id, receiver, kind, isReminder, severity, rules, groupCount, firingCount, resolvedCount } = message;
  return {
    version: 1,
    ...{ id, receiver, kind, reminder: isReminder, severity, rules, groupCount, firingCount, resolvedCount },
    time: new Date(message.madeAtMs).toISOString(),
    firing: message.firing.map(alertBody),
    resolved: message.resolved.map(alertBody),
  };
}

function alertBody({ id, rule, severity, sentence, host, findingId, labels, beganAtMs, endedAtMs }: Alert) {
  return {
    ...{ id, rule, severity, sentence, host, findingId, labels },
    beganAt: new Date(beganAtMs).toISOString(),
    endedAt: endedAtMs === null ? null : new Date(endedAtMs).toISOString(),
  };
}
