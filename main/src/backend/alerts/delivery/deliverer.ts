/** Takes messages that wait to their receivers, one at a time each, and writes down what the other side said. */
import { toBinary } from "@bufbuild/protobuf";
import { ErrorDetailSchema } from "@wardline/api/wardline/v1/error";
import type { AlertMessage } from "@wardline/domain/alerts";
import { Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import type { ChangeSignal } from "../../async/signal.ts";
import type { Clock, Logger, ShellPort } from "../../ports.ts";
import type { AlertTables, DeliveryRecord, WaitingMessage } from "../alert-tables.ts";
import type { ConfigurationTables } from "../configuration-tables.ts";
import type { KeptReceiver } from "../receivers.ts";
import type { ReceiverSecrets } from "../secrets.ts";
import { postToAlertmanager } from "./alertmanager.ts";
import { showOnDesktop } from "./desktop.ts";
import { type Resolver, systemResolver } from "./destination.ts";
import { type EmailLimits, sendEmail, USUAL_EMAIL_LIMITS } from "./email.ts";
import { type PostLimits, USUAL_LIMITS } from "./http-post.ts";
import { type Attempt, failed, type Outcome, refused } from "./outcome.ts";
import { LONGEST_RETRY_MS, nextAttemptAt } from "./retries.ts";
import { postWebhook } from "./webhook.ts";

const MOST_AT_ONCE = 8;

export interface DelivererPorts {
  readonly tables: AlertTables;
  readonly configuration: ConfigurationTables;
  readonly secrets: ReceiverSecrets;
  readonly shell: Pick<ShellPort, "notify">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told after each attempt. */
  readonly changes: Pick<ChangeSignal, "notify">;
  /** What tests set otherwise. */
  readonly network?: Partial<DeliveryNetwork>;
}

export interface DeliveryNetwork {
  readonly resolve: Resolver;
  readonly limits: PostLimits;
  readonly emailLimits: EmailLimits;
  readonly authorities: string;
  readonly random: () => number;
}

export class Deliverer {
  readonly #ports: DelivererPorts;
  readonly #busy = new Map<string, Promise<void>>();
  #lastMs = Number.POSITIVE_INFINITY;

  constructor(ports: DelivererPorts) {
    this.#ports = ports;
  }

  /** Starts what is due and can be started; ends before it is delivered. @throws Failure of the store */
  startDue(signal: AbortSignal): void {
    const { tables, configuration, clock } = this.#ports;
    const now = clock.nowMs();
    // Once for each process, and whenever the clock is set back.
    if (now < this.#lastMs) tables.clampWaiting(now, LONGEST_RETRY_MS);
    this.#lastMs = now;
    const receivers = new Map(configuration.receivers().map((receiver) => [receiver.name, receiver]));
    for (const due of tables.dueMessages(now)) {
      const { receiver: name } = due.message;
      const receiver = receivers.get(name);
      if (!receiver) {
        tables.failAll(name, "Not sent: there is no such receiver any more.", now);
        continue;
      }
      if (this.#busy.size >= MOST_AT_ONCE || this.#busy.has(name)) continue;
      // It keeps a state: what is older comes first.
      const next = receiver.kind === "alertmanager" ? tables.oldestWaiting(name, now) : due;
      if (next) this.#start(receiver, next, signal);
    }
  }

  /** Waits for what is under way. */
  async settle(): Promise<void> {
    while (this.#busy.size > 0) await Promise.allSettled([...this.#busy.values()]);
  }

  /** One attempt. Never throws but for defects. */
  async send(receiver: KeptReceiver, attempt: Omit<Attempt, "secret">, givenSecret?: string): Promise<Outcome> {
    const { secrets, tables, shell, clock, configuration, network = {} } = this.#ports;
    const { resolve = systemResolver, limits = USUAL_LIMITS, emailLimits = USUAL_EMAIL_LIMITS, authorities } = network;
    const nowMs = () => clock.nowMs();
    if (receiver.kind === "desktop") return showOnDesktop({ ...attempt, secret: null }, { shell, tables, nowMs });
    let secret: string | null;
    try {
      secret = givenSecret ?? (await secrets.get(receiver.name));
    } catch (error) {
      if (error instanceof Failure) return refused(error);
      throw error;
    }
    const whole = { ...attempt, secret };
    const http = { resolve, limits, nowMs, authorities, allowedUrls: () => configuration.allowedUrls() };
    if (receiver.kind === "email") return sendEmail(receiver, whole, { resolve, limits: emailLimits, authorities });
    if (receiver.kind === "webhook") return postWebhook(receiver, whole, http);
    return postToAlertmanager(receiver, whole, http);
  }

  #start(receiver: KeptReceiver, waiting: WaitingMessage, signal: AbortSignal): void {
    const work = this.#deliver(receiver, waiting, signal)
      .catch((error: unknown) =>
        this.#ports.logger.error({ err: error, receiver: receiver.name }, "delivery ended by a defect"),
      )
      .finally(() => {
        this.#busy.delete(receiver.name);
        this.#ports.changes.notify();
      });
    this.#busy.set(receiver.name, work);
  }

  async #deliver(receiver: KeptReceiver, { message, attempts }: WaitingMessage, signal: AbortSignal): Promise<void> {
    const { clock, tables, logger } = this.#ports;
    const outcome = await this.#sendSafely(receiver, message, signal);
    // Stopped half-way: the next process tries it again.
    if (signal.aborted && outcome.result !== "accepted" && outcome.result !== "handed-over") return;
    const now = clock.nowMs();
    const made = attempts + 1;
    const nextAtMs = outcome.result === "retry" ? this.#nextAt(receiver, message, made, outcome) : null;
    const isGivenUp = outcome.result === "retry" && nextAtMs === null;
    const detail = isGivenUp ? `Given up after ${made} attempts: ${outcome.detail}` : outcome.detail;
    const record: DeliveryRecord = {
      ...{ messageId: message.id, receiver: receiver.name, triedAtMs: now, detail, attempts: made },
      result: isGivenUp ? "failed" : outcome.result,
      errorWire: outcome.failure ? toBinary(ErrorDetailSchema, failureToDetail(outcome.failure)) : null,
    };
    try {
      tables.noteAttempt(record, nextAtMs);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      logger.warn({ code: error.code, receiver: receiver.name }, "how a delivery went could not be written down");
    }
    if (record.result === "failed") logger.warn({ receiver: receiver.name, detail }, "alert not delivered");
  }

  async #sendSafely(receiver: KeptReceiver, message: AlertMessage, signal: AbortSignal): Promise<Outcome> {
    try {
      return await this.send(receiver, { message, signal, say: () => {} });
    } catch (error) {
      // A defect must not make the message be tried for ever without a word.
      this.#ports.logger.error({ err: error, receiver: receiver.name }, "delivery ended by a defect");
      return failed("The console could not send it; its log has the details.", false);
    }
  }

  #nextAt(
    { kind }: KeptReceiver,
    { madeAtMs }: AlertMessage,
    attempts: number,
    { retryAfterMs }: Outcome,
  ): number | null {
    const { clock, network = {} } = this.#ports;
    const { random = Math.random } = network;
    return nextAttemptAt({ kind, madeAtMs, attempts, retryAfterMs, nowMs: clock.nowMs(), random });
  }
}
