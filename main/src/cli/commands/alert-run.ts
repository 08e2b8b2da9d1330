/** `wardline alert run`: a console without a window, that follows hosts and delivers. */
import { pino } from "pino";
import { createBackend } from "../../backend/backend.ts";
import { NOBODY } from "../../backend/questions/questions.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import type { CommonOptions } from "../registration.ts";
import { agentSocketOf, stateDirOf, userName } from "../session.ts";

export async function alertRun(output: Output, options: CommonOptions): Promise<ExitCode> {
  requireChangesAllowed();
  const stopped = untilStopped();
  const stateDir = stateDirOf(options);
  const backend = createBackend({
    stateDir,
    agentSocketPath: agentSocketOf(options),
    // For the journal of the service; results of commands go to standard output, this does not.
    logger: pino({ name: "alerts" }, pino.destination(2)),
    shell: { kind: "cli" },
    userName: userName(),
    asker: NOBODY,
    remote: { isInteractive: false },
    introducesLocalHost: false,
    takesUpRollouts: false,
    alerts: { delivers: true, needsHosts: true },
  });
  try {
    const { runner } = backend.alerts;
    const say = () => {
      const state = runner.isDelivering ? "delivers alerts" : "waits: another process delivers alerts";
      if (output.format === "json") output.json({ delivering: runner.isDelivering, stateDir });
      else output.text(`This process ${state} (${stateDir}).\n`);
    };
    let told: boolean | null = null;
    const tellChange = () => {
      if (told === runner.isDelivering) return;
      told = runner.isDelivering;
      say();
    };
    // The first look is taken within a second.
    const timer = setTimeout(tellChange, 1_500);
    const leave = runner.changes.subscribe(tellChange);
    await stopped;
    clearTimeout(timer);
    leave();
  } finally {
    await backend.close();
  }
  output.note("Stopped. What was not delivered yet waits for the next process.");
  return EXIT.done;
}

function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  });
}
