/** `wardline alert list|history|ack`. */
import { create, toJson } from "@bufbuild/protobuf";
import * as api from "@wardline/api/wardline/console/v1/alerts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";

import { withSession } from "../session.ts";
import type { AlertHistoryOptions, AlertListOptions, AlertReasonOptions } from "./alert.options.ts";
import { alertTable, deliveryWords, sayProblems } from "./alert-view.ts";

/** Exit code 1 when something fires, for scripts. */
export async function alertList(output: Output, options: AlertListOptions): Promise<ExitCode> {
  return withSession(options, {}, async ({ backend }) => {
    const { alerts, problems, deliveredBy } = backend.alerts.board.board();
    const firing = alerts.filter(({ state, silencedBy }) => state === api.AlertState.FIRING && silencedBy === "");
    const shown = options.all ? alerts : firing;
    if (output.format === "json") {
      output.json({ alerts: shown.map((alert) => toJson(api.AlertSchema, alert)), deliveredBy, problems });
    } else {
      if (shown.length === 0) output.text("Nothing fires.\n");
      else output.text(alertTable(output, shown));
      const left = alerts.length - shown.length;
      if (left > 0) output.note(`${left} more are pending or silenced; --all shows them.`);
      sayProblems(output, problems);
    }
    return firing.length > 0 ? EXIT.problems : EXIT.done;
  });
}

export async function alertHistory(output: Output, options: AlertHistoryOptions): Promise<ExitCode> {
  return withSession(options, {}, async ({ alerts }) => {
    const page = await alerts.listAlertHistory({ limit: options.limit });
    if (output.format === "json") {
      output.json(toJson(api.ListAlertHistoryResponseSchema, page));
      return EXIT.done;
    }
    if (page.alerts.length === 0) output.text("There was no alert yet.\n");
    else output.text(alertTable(output, page.alerts));
    for (const { id, deliveries } of page.alerts) {
      for (const delivery of deliveries)
        output.text(`${id.slice(0, 8)}  ${delivery.receiver}: ${deliveryWords(delivery)}\n`);
    }
    const left = Number(page.total) - page.alerts.length;
    if (left > 0) output.note(`${left.toLocaleString("en")} older ones are kept.`);
    return EXIT.done;
  });
}

export async function alertAck(output: Output, options: AlertReasonOptions, id: string): Promise<ExitCode> {
  return withSession(options, {}, async ({ backend, alerts }) => {
    const whole = wholeId(id, backend.alerts.board.board().alerts, "alert");
    const { alert } = await alerts.acknowledgeAlert({ id: whole, reason: options.reason });
    if (output.format === "json") output.json(toJson(api.AlertSchema, alert ?? create(api.AlertSchema)));
    else
      output.text(
        `Acknowledged: no reminders and no further steps for ${alert?.rule ?? ""} on ${alert?.host ?? ""}.\n`,
      );
    return EXIT.done;
  });
}

/** The id that begins so. @throws UsageError when none or several do */
export function wholeId(text: string, all: readonly { readonly id: string }[], what: string): string {
  const found = all.filter(({ id }) => id.startsWith(text));
  const [only] = found;
  if (only && found.length === 1 && text !== "") return only.id;
  const why = found.length > 1 ? `${found.length} ${what}s begin with` : `There is no ${what}`;
  throw new UsageError(`${why} "${text.slice(0, 50)}".`);
}
