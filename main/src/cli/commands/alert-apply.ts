/** `wardline alert apply FILE`: all of the file or nothing. */
import type { RuleProblem } from "@wardline/domain/alerts";
import { receiverProblems } from "../../backend/alerts/check-receiver.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { type Session, withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import type { AlertApplyOptions } from "./alert.options.ts";
import { type AlertFile, type FileProblem, readAlertFile } from "./alert-file.ts";

export async function alertApply(output: Output, options: AlertApplyOptions, path: string): Promise<ExitCode> {
  if (!options.check) requireChangesAllowed();
  const file = readAlertFile(path);
  return withSession(options, {}, async (session) => {
    const problems = file.problems.length > 0 ? file.problems : meaningProblems(session, file);
    const { configuration } = file;
    const isFit = problems.length === 0;
    if (isFit && !options.check) await session.backend.services.alerts.apply(configuration);
    const [receivers, rules] = [configuration.receivers.length, configuration.rules.length];
    if (output.format === "json") output.json({ applied: isFit && !options.check, receivers, rules, problems });
    else if (isFit) {
      const verb = options.check ? "can be set" : "are set";
      output.text(`${receivers} receivers and ${rules} rules ${verb}. What the file does not name stays as it is.\n`);
      if (!options.check && receivers > 0) output.note("Try each receiver: wardline alert test NAME");
    } else {
      for (const { line, column, message } of problems)
        output.text(`${visible(path)}:${line}:${column}: ${visible(message)}\n`);
      output.note("Nothing was changed.");
    }
    return isFit ? EXIT.done : EXIT.problems;
  });
}

function meaningProblems({ backend }: Session, { configuration, place }: AlertFile): FileProblem[] {
  const { alerts } = backend.services;
  const board = backend.alerts.board.board();
  const urls = configuration.allowedUrls ?? board.allowedUrls;
  const names = [
    ...board.receivers.map(({ name }) => name),
    ...configuration.receivers.map(({ receiver }) => receiver.name),
  ];
  const placed = (start: readonly (string | number)[], found: readonly RuleProblem[]) =>
    found.map(({ path, message }) => ({ ...place([...start, ...path]), message }));
  return [
    ...configuration.receivers.flatMap(({ receiver }, index) =>
      placed(["receivers", index], receiverProblems(receiver, urls)),
    ),
    ...configuration.rules.flatMap((rule, index) =>
      placed(["rules", index], alerts.ruleProblems(rule, new Set(names))),
    ),
  ];
}
