/** `wardline alert silence|unsilence`. */
import { toJson } from "@bufbuild/protobuf";
import * as api from "@wardline/api/wardline/console/v1/alerts";
import { timestampOf } from "@wardline/domain/wire";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import type { CommonOptions } from "../registration.ts";
import { withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import type { AlertSilenceOptions } from "./alert.options.ts";
import { wholeId } from "./alert.ts";
import { alertTable, timeOf } from "./alert-view.ts";

export async function alertSilence(
  output: Output,
  options: AlertSilenceOptions,
  conditions: readonly string[],
): Promise<ExitCode> {
  const matches = Object.fromEntries(conditions.map(readCondition));
  return withSession(options, {}, async ({ backend, alerts }) => {
    if (conditions.length === 0) return listSilences(output, backend.alerts.board.board().silences);
    const until = timestampOf(Date.now() + options.for);
    const { dryRun, reason } = options;
    const answer = await alerts.putSilence({ silence: { matches, until, reason }, dryRun });
    if (output.format === "json") {
      output.json(toJson(api.PutSilenceResponseSchema, answer));
      return EXIT.done;
    }
    const { silence, silencedNow, silencedBefore } = answer;
    const verb = dryRun ? "Would hold back" : `Silence ${silence?.id.slice(0, 8)} holds back`;
    output.text(`${verb} until ${timeOf(silence?.until)}: ${silencedNow.length} alerts now.\n`);
    if (silencedNow.length > 0) output.text(alertTable(output, silencedNow));
    output.text(`Of the last seven days it would have held back ${silencedBefore.toLocaleString("en")}.\n`);
    return EXIT.done;
  });
}

export async function alertUnsilence(output: Output, options: CommonOptions, id: string): Promise<ExitCode> {
  return withSession(options, {}, async ({ backend, alerts }) => {
    const whole = wholeId(id, backend.alerts.board.board().silences, "silence");
    await alerts.deleteSilence({ id: whole });
    if (output.format === "json") output.json({ deleted: whole });
    else output.text("The silence is over; what fires is told.\n");
    return EXIT.done;
  });
}

function listSilences(output: Output, silences: readonly api.Silence[]): ExitCode {
  if (output.format === "json") output.json({ silences: silences.map((each) => toJson(api.SilenceSchema, each)) });
  else if (silences.length === 0) output.text("Nothing is silenced.\n");
  else {
    const rows = silences.map(({ id, matches, until, author, reason }) => {
      const words = Object.entries(matches).map(([key, value]) => `${key}=${value}`);
      return [id.slice(0, 8), words.join(" "), timeOf(until), author, reason];
    });
    output.text(formatTable(["ID", "CONDITIONS", "UNTIL", "BY", "REASON"], rows));
  }
  return EXIT.done;
}

function readCondition(text: string): [string, string] {
  const [, key, value] = /^([a-z]+)=(.+)$/s.exec(text) ?? [];
  if (key !== undefined && value !== undefined) return [key, value];
  throw new UsageError(`"${text.slice(0, 50)}" is no condition.`, "Give label=value, such as host=web-1.");
}
