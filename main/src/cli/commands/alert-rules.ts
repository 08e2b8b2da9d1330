/** `wardline alert rules|receivers|test`. */
import { toJson } from "@bufbuild/protobuf";
import * as api from "@wardline/api/wardline/console/v1/alerts";
import { CLUSTER_CONDITIONS, HOST_CONDITIONS, MESH_CONDITIONS } from "@wardline/domain/alerts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import type { CommonOptions } from "../registration.ts";
import { withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { AlertDeleteOptions } from "./alert.options.ts";
import { deliveryWords, sayProblems, severityOf } from "./alert-view.ts";

export async function alertRules(output: Output, options: AlertDeleteOptions): Promise<ExitCode> {
  return withSession(options, {}, async ({ backend, alerts }) => {
    if (options.delete !== undefined) await alerts.deleteAlertRule({ name: options.delete });
    const { rules } = backend.alerts.board.board();
    if (output.format === "json") output.json({ rules: rules.map((rule) => toJson(api.AlertRuleSchema, rule)) });
    else if (rules.length === 0) output.text("There are no rules: nobody is told of anything.\n");
    else output.text(formatTable(["NAME", "ON", "ABOUT", "FOR", "TELLS"], rules.map(ruleRow)));
    return EXIT.done;
  });
}

function ruleRow(rule: api.AlertRule): string[] {
  const tells = rule.steps.map(({ afterSeconds, receivers }) => {
    return afterSeconds === 0 ? receivers.join(", ") : `after ${afterSeconds} s ${receivers.join(", ")}`;
  });
  return [rule.name, rule.enabled ? "yes" : "no", aboutOf(rule), `${rule.forSeconds} s`, tells.join("; ") || "nobody"];
}

function aboutOf(rule: api.AlertRule): string {
  const { source, query, threshold, windowSeconds } = rule;
  if (source === api.AlertSource.FINDING) return `findings from ${severityOf(rule.minSeverity)}`;
  if (source === api.AlertSource.DENIES) return `${threshold} denied packets in ${windowSeconds} s: ${query || "any"}`;
  if (source === api.AlertSource.HOST) return `host ${HOST_CONDITIONS[rule.hostCondition - 1] ?? ""}`;
  if (source === api.AlertSource.MESH) return `mesh ${MESH_CONDITIONS[rule.meshCondition - 1] ?? ""}`;
  return `cluster ${CLUSTER_CONDITIONS[rule.clusterCondition - 1] ?? ""}`;
}

export async function alertReceivers(output: Output, options: AlertDeleteOptions): Promise<ExitCode> {
  return withSession(options, {}, async ({ backend, alerts }) => {
    if (options.delete !== undefined) await alerts.deleteReceiver({ name: options.delete });
    const { receivers, allowedUrls, deliveredBy, problems } = backend.alerts.board.board();
    if (output.format === "json") {
      output.json({ receivers: receivers.map((each) => toJson(api.ReceiverSchema, each)), allowedUrls, deliveredBy });
      return EXIT.done;
    }
    const rows = receivers.map((each) => {
      return [
        each.name,
        each.kind.case ?? "",
        whereOf(each),
        each.secretKeptIn || "none",
        each.last ? deliveryWords(each.last) : "never",
      ];
    });
    output.text(formatTable(["NAME", "KIND", "WHERE", "SECRET IN", "LAST"], rows));
    if (allowedUrls.length > 0) output.text(`Webhooks only below: ${allowedUrls.map(visible).join(", ")}\n`);
    output.text(deliveredBy === "" ? "" : `Delivered by ${visible(deliveredBy)}.\n`);
    sayProblems(output, problems);
    return EXIT.done;
  });
}

function whereOf({ kind }: api.Receiver): string {
  if (kind.case === "email") return `${kind.value.to.join(", ")} by ${kind.value.server}:${kind.value.port}`;
  return kind.case === "webhook" || kind.case === "alertmanager" ? kind.value.url : "";
}

/** Exit code 1 when it was not delivered. */
export async function alertTest(output: Output, options: CommonOptions, name: string): Promise<ExitCode> {
  return withSession(options, {}, async ({ alerts }) => {
    const answer = await alerts.testReceiver({ which: { case: "name", value: name } });
    const { delivery, steps } = answer;
    if (output.format === "json") output.json(toJson(api.TestReceiverResponseSchema, answer));
    else output.text(`${[...(delivery ? [deliveryWords(delivery)] : []), ...steps.map(visible)].join("\n")}\n`);
    const isDelivered =
      delivery?.result === api.DeliveryResult.ACCEPTED || delivery?.result === api.DeliveryResult.HANDED_OVER;
    return isDelivered ? EXIT.done : EXIT.problems;
  });
}
