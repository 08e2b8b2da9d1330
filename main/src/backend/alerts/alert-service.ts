/** `AlertService`: what people set of alerts, and what they ask of them. */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as api from "@wardline/api/wardline/console/v1/alerts";
import {
  type AlertRule,
  previewSilence,
  type RuleProblem,
  ruleProblems,
  silenceProblems,
} from "@wardline/domain/alerts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { parseFlowQuery } from "@wardline/domain/flows";
import type { ChangeSignal } from "../async/signal.ts";
import type { Clock } from "../ports.ts";
import { boundedReason, type Guard, pageSize } from "../rpc/guard.ts";
import type { AlertTables } from "./alert-tables.ts";
import {
  fromWireReceiver,
  fromWireRule,
  fromWireSilence,
  toWireAlert,
  toWireReceiver,
  toWireRule,
  toWireSilence,
} from "./alert-wire.ts";
import { receiverProblems, urlProblem } from "./check-receiver.ts";
import type { ConfigurationTables } from "./configuration-tables.ts";
import type { Deliverer } from "./delivery/deliverer.ts";
import { toWireTrial, tryReceiver, verdictOf } from "./receiver-trial.ts";
import { destinationOf, type KeptReceiver } from "./receivers.ts";
import type { RuleBacktester } from "./rule-backtest.ts";
import type { ReceiverSecrets } from "./secrets.ts";

const WEEK_MS = 7 * 86_400_000;
const MOST_PREVIEWED = 50_000;
const MOST_EXAMPLES = 20;
const MOST_ALLOWED_URLS = 100;
const LONGEST_BACKTEST_MS = 366 * 86_400_000;

export interface AlertServicePorts {
  readonly tables: AlertTables;
  readonly configuration: ConfigurationTables;
  readonly secrets: ReceiverSecrets;
  readonly deliverer: Deliverer;
  readonly backtester: RuleBacktester;
  readonly clock: Clock;
  readonly userName: string;
  /** Told after each change. */
  readonly changes: Pick<ChangeSignal, "notify">;
  /** Why a selector cannot be understood; `null` when it can. */
  readonly selectorProblem: (selector: string) => string | null;
}

/** Everything of a file that sets rules and receivers at once. */
export interface AlertConfiguration {
  readonly receivers: readonly { readonly receiver: KeptReceiver; readonly secret: string }[];
  readonly rules: readonly AlertRule[];
  /** `null` = as it is. */
  readonly allowedUrls: readonly string[] | null;
}

export class AlertServiceImpl {
  readonly #ports: AlertServicePorts;

  constructor(ports: AlertServicePorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof api.AlertService> {
    return {
      putAlertRule: guard.unary((request: api.PutAlertRuleRequest) => this.putRule(request)),
      deleteAlertRule: guard.unary((request: api.DeleteAlertRuleRequest) => this.deleteRule(request)),
      putReceiver: guard.unary((request: api.PutReceiverRequest) => this.putReceiver(request)),
      deleteReceiver: guard.unary((request: api.DeleteReceiverRequest) => this.deleteReceiver(request)),
      testReceiver: guard.unary((request: api.TestReceiverRequest, signal) => this.testReceiver(request, signal)),
      putSilence: guard.unary((request: api.PutSilenceRequest) => this.putSilence(request)),
      deleteSilence: guard.unary((request: api.DeleteSilenceRequest) => this.deleteSilence(request)),
      acknowledgeAlert: guard.unary((request: api.AcknowledgeAlertRequest) => this.acknowledge(request)),
      listAlertHistory: guard.unary((request: api.ListAlertHistoryRequest) => this.listHistory(request)),
      backtestRule: guard.stream((request: api.BacktestRuleRequest, signal) => this.backtest(request, signal)),
      setAllowedUrls: guard.unary((request: api.SetAllowedUrlsRequest) => this.setAllowedUrls(request)),
    };
  }

  putRule({ rule: wire }: api.PutAlertRuleRequest) {
    const rule = fromWireRule(wire);
    requireNone(this.ruleProblems(rule, this.#receiverNames()));
    this.#ports.configuration.putRule(rule);
    this.#ports.changes.notify();
    return create(api.PutAlertRuleResponseSchema, { rule: toWireRule(rule) });
  }

  deleteRule({ name }: api.DeleteAlertRuleRequest) {
    if (!this.#ports.configuration.deleteRule(name)) throw unknown("rule", name);
    this.#ports.changes.notify();
    return create(api.DeleteAlertRuleResponseSchema);
  }

  async putReceiver({ receiver: wire }: api.PutReceiverRequest) {
    const { configuration, secrets, changes, tables } = this.#ports;
    const { receiver, secret } = fromWireReceiver(wire);
    requireNone(receiverProblems(receiver, configuration.allowedUrls()));
    await this.#keep(receiver, secret);
    changes.notify();
    const last = tables.lastDelivery(receiver.name);
    return create(api.PutReceiverResponseSchema, {
      receiver: toWireReceiver(receiver, secrets.placeOf(receiver.name), last),
    });
  }

  deleteReceiver({ name }: api.DeleteReceiverRequest) {
    const { configuration, secrets, changes } = this.#ports;
    const users = configuration.rules().filter(({ steps }) => steps.some(({ receivers }) => receivers.includes(name)));
    if (users.length > 0) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: `The receiver "${name.slice(0, 63)}" is told by ${users.map((rule) => `"${rule.name}"`).join(", ")}.`,
        hint: "Take it out of these rules first.",
      });
    }
    if (!configuration.deleteReceiver(name)) throw unknown("receiver", name);
    secrets.forget(name);
    changes.notify();
    return create(api.DeleteReceiverResponseSchema);
  }

  /** One real message now. The secret of a kept receiver is used where none is given. */
  async testReceiver({ which }: api.TestReceiverRequest, signal: AbortSignal) {
    const { configuration, clock } = this.#ports;
    const given = which.case === "receiver" ? fromWireReceiver(which.value) : null;
    const name = which.case === "name" ? which.value : (given?.receiver.name ?? "");
    const receiver = given?.receiver ?? configuration.receiver(name);
    if (!receiver) throw unknown("receiver", name);
    requireNone(receiverProblems(receiver, configuration.allowedUrls()));
    const steps: string[] = [];
    const say = (step: string) => void steps.push(step);
    const outcome = await tryReceiver(this.#ports, { receiver, secret: given?.secret ?? "", say, signal });
    steps.push(verdictOf(receiver, outcome));
    return create(api.TestReceiverResponseSchema, { steps, delivery: toWireTrial(receiver, outcome, clock.nowMs()) });
  }

  putSilence({ silence: wire, dryRun }: api.PutSilenceRequest) {
    const { configuration, tables, clock, userName, changes } = this.#ports;
    const now = clock.nowMs();
    const id = wire?.id || randomUUID();
    const known = configuration.silences().find((each) => each.id === id);
    if (wire?.id && !known) throw unknown("silence", id);
    const silence = fromWireSilence(wire, { id, author: userName, createdAtMs: known?.createdAtMs ?? now });
    const problems = silenceProblems(silence, now);
    if (problems.length > 0) throw invalid(problems.join(" "));
    const kept = { ...silence, reason: boundedReason(silence.reason) };
    const open = tables.open().filter(({ state }) => state === "firing");
    const before = previewSilence(kept, tables.historySince(now - WEEK_MS, MOST_PREVIEWED));
    if (!dryRun) {
      configuration.putSilence(kept);
      changes.notify();
    }
    return create(api.PutSilenceResponseSchema, {
      silence: toWireSilence(kept),
      silencedNow: previewSilence(kept, open)
        .slice(0, 500)
        .map((alert) => toWireAlert(alert)),
      silencedBefore: BigInt(before.length),
      silencedBeforeExamples: before.slice(0, MOST_EXAMPLES).map((alert) => toWireAlert(alert)),
    });
  }

  deleteSilence({ id }: api.DeleteSilenceRequest) {
    if (!this.#ports.configuration.deleteSilence(id)) throw unknown("silence", id);
    this.#ports.changes.notify();
    return create(api.DeleteSilenceResponseSchema);
  }

  /** Counts at once; the process that delivers takes it over within a second. */
  acknowledge({ id, reason }: api.AcknowledgeAlertRequest) {
    const { tables, configuration, clock, userName, changes } = this.#ports;
    const alert = tables.find(id);
    if (!alert) throw unknown("alert", id);
    if (alert.state !== "firing") {
      throw invalid(
        `This alert does not fire ${alert.state === "pending" ? "yet" : "any more"}: there is nothing to acknowledge.`,
      );
    }
    const atMs = clock.nowMs();
    configuration.acknowledge({ alertId: id, actor: userName, reason: boundedReason(reason), atMs });
    changes.notify();
    const acknowledged = { ...alert, acknowledgedBy: userName, acknowledgedAtMs: atMs };
    return create(api.AcknowledgeAlertResponseSchema, { alert: toWireAlert(acknowledged, tables.deliveriesOf(id)) });
  }

  listHistory({ limit, pageToken }: api.ListAlertHistoryRequest) {
    const { tables } = this.#ports;
    const size = pageSize(limit, 100, 500);
    const alerts = tables.history(size + 1, pageToken === "" ? null : readToken(pageToken));
    const page = alerts.slice(0, size);
    const last = page.at(-1);
    return create(api.ListAlertHistoryResponseSchema, {
      alerts: page.map((alert) => toWireAlert(alert, tables.deliveriesOf(alert.id))),
      total: BigInt(tables.historyCount()),
      nextPageToken: last && alerts.length > size ? `${last.beganAtMs}-${last.id}` : "",
    });
  }

  async *backtest(request: api.BacktestRuleRequest, signal: AbortSignal): AsyncGenerator<api.BacktestRuleResponse> {
    const { clock, backtester } = this.#ports;
    const untilMs = request.until ? timestampMs(request.until) : clock.nowMs();
    const sinceMs = request.since ? timestampMs(request.since) : untilMs - WEEK_MS;
    if (!(sinceMs < untilMs)) throw invalid("The time of a backtest begins before it ends.");
    if (untilMs - sinceMs > LONGEST_BACKTEST_MS) throw invalid("A backtest covers a year at most.");
    const rules = [fromWireRule(request.rule), ...(request.otherRule ? [fromWireRule(request.otherRule)] : [])];
    // Who would be told makes no difference: nobody is.
    for (const rule of rules) requireNone(this.ruleProblems({ ...rule, steps: [] }, new Set()));
    yield create(api.BacktestRuleResponseSchema, { progress: 0 });
    const results: Awaited<ReturnType<RuleBacktester["run"]>>[] = [];
    for (const [index, rule] of rules.entries()) {
      results.push(await backtester.run(rule, { sinceMs, untilMs }, signal));
      if (index + 1 < rules.length) yield create(api.BacktestRuleResponseSchema, { progress: 0.5 });
    }
    const runs = results.map(({ run }) =>
      create(api.RuleRunSchema, { count: BigInt(run.count), alerts: run.alerts.map((alert) => toWireAlert(alert)) }),
    );
    const gaps = [...new Set(results.flatMap((result) => result.gaps))];
    const [run, otherRun] = runs;
    yield create(api.BacktestRuleResponseSchema, {
      progress: 1,
      gaps,
      ...(run ? { run } : {}),
      ...(otherRun ? { otherRun } : {}),
    });
  }

  setAllowedUrls({ urls }: api.SetAllowedUrlsRequest) {
    requireNone(allowedUrlProblems(urls));
    this.#ports.configuration.setAllowedUrls(urls);
    this.#ports.changes.notify();
    return create(api.SetAllowedUrlsResponseSchema);
  }

  ruleProblems(rule: AlertRule, receivers: ReadonlySet<string>): RuleProblem[] {
    const { clock, selectorProblem } = this.#ports;
    const queryProblem = (text: string) => {
      const { query, diagnostics } = parseFlowQuery(text, { nowMs: clock.nowMs() });
      if (query === null)
        return diagnostics.find(({ severity }) => severity === "error")?.message ?? "It cannot be read.";
      const hasTime = query.sinceMs !== null || query.untilMs !== null;
      return hasTime ? "A rule looks at its own window: since: and until: have no place in it." : null;
    };
    return ruleProblems(rule, { receivers, queryProblem, selectorProblem });
  }

  /** All of it or nothing, after everything was judged. What the file does not name stays. @throws Failure */
  async apply({ receivers, rules, allowedUrls }: AlertConfiguration): Promise<void> {
    const { configuration, changes } = this.#ports;
    const urls = allowedUrls ?? configuration.allowedUrls();
    const names = new Set([...this.#receiverNames(), ...receivers.map(({ receiver }) => receiver.name)]);
    requireNone([
      ...allowedUrlProblems(urls),
      ...receivers.flatMap(({ receiver }) => receiverProblems(receiver, urls)),
      ...rules.flatMap((rule) => this.ruleProblems(rule, names)),
    ]);
    // Before the receivers, which say where the secrets that are kept were given for.
    for (const { receiver, secret } of receivers) await this.#keepSecret(receiver, secret);
    configuration.change(() => {
      if (allowedUrls !== null) configuration.setAllowedUrls(allowedUrls);
      for (const { receiver } of receivers) configuration.putReceiver(receiver);
      for (const rule of rules) configuration.putRule(rule);
    });
    changes.notify();
  }

  #receiverNames(): Set<string> {
    return new Set(this.#ports.configuration.receivers().map(({ name }) => name));
  }

  async #keep(receiver: KeptReceiver, secret: string): Promise<void> {
    // Before the receiver: one that is kept has its secret.
    await this.#keepSecret(receiver, secret);
    this.#ports.configuration.putReceiver(receiver);
  }

  /** A secret goes to nobody it was not given for: whoever changes where messages go gives it again. */
  async #keepSecret(receiver: KeptReceiver, secret: string): Promise<void> {
    const { configuration, secrets } = this.#ports;
    const before = configuration.receiver(receiver.name);
    if (secret !== "") await secrets.set(receiver.name, secret);
    else if (before && destinationOf(before) !== destinationOf(receiver)) secrets.forget(receiver.name);
  }
}

function allowedUrlProblems(urls: readonly string[]): RuleProblem[] {
  if (urls.length > MOST_ALLOWED_URLS)
    return [{ path: ["allowedUrls"], message: `There are more than ${MOST_ALLOWED_URLS} URLs.` }];
  return urls.flatMap((url, index) => {
    const message = urlProblem(url, true, []);
    return message ? [{ path: ["allowedUrls", index], message }] : [];
  });
}

function requireNone(problems: readonly RuleProblem[]): void {
  if (problems.length === 0) return;
  const sentences = problems.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw invalid(sentences.join("\n"));
}

function readToken(token: string): { beganAtMs: number; id: string } {
  const match = /^(\d{1,16})-([0-9a-f]{1,64})$/.exec(token);
  if (!match) throw invalid("There is no such page.");
  return { beganAtMs: Number(match[1]), id: match[2] ?? "" };
}

function unknown(what: string, name: string): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `There is no ${what} ${JSON.stringify(name.slice(0, 100))}.`,
    hint: "`wardline alert list`, `rules` and `receivers` show what there is.",
  });
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
