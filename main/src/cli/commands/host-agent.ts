import { toJson } from "@bufbuild/protobuf";
import { type HostJob, type Job, JobSchema, JobState } from "@wardline/api/wardline/console/v1/jobs";
import { confirmOnTerminal } from "../ask.ts";
import { EXIT, type ExitCode, exitCodeOf, UsageError } from "../exit-code.ts";
import { selectHostIds } from "../input/host-selection.ts";
import type { Output } from "../output.ts";
import { type Session, withSession } from "../session.ts";
import { askLine } from "../terminal/ask-hidden.ts";
import { hasTerminal } from "../terminal/questions.ts";
import { visible } from "../terminal/visible.ts";
import type { HostInstallOptions, HostUninstallOptions, HostUpgradeOptions } from "./host-agent.options.ts";

/** An upload tells its progress at each tenth. */
const TOLD_PERCENT = 10;

/** `wardline host install`. Exit code 1 when a machine failed, 3 when it could not be reached. */
export function hostInstall(output: Output, options: HostInstallOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const { force, operators, admins } = options;
    const hostIds = machines(output, session, options.hosts);
    const { jobId } = await session.fleet.installAgent({
      hostIds,
      force,
      operators: [...operators],
      admins: [...admins],
    });
    return follow(output, session, jobId);
  });
}

/** `wardline host upgrade`. */
export function hostUpgrade(output: Output, options: HostUpgradeOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const hostIds = machines(output, session, options.hosts);
    const { jobId } = await session.fleet.installAgent({ hostIds, force: options.force, previous: options.rollBack });
    return follow(output, session, jobId);
  });
}

/** `wardline host uninstall`. */
export function hostUninstall(output: Output, options: HostUninstallOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const hostIds = machines(output, session, options.hosts);
    const typed = await agreement(output, session, hostIds, options);
    if (typed === null) {
      output.note("Nothing was changed.");
      return EXIT.problems;
    }
    const { jobId } = await session.fleet.uninstallAgent({ hostIds, keepState: options.keepState, typed });
    return follow(output, session, jobId);
  });
}

/** The machine of the console is left out where it was not the only one that is meant: it is not reached over SSH. */
function machines(output: Output, session: Session, selector: string): string[] {
  const { registry } = session.backend;
  const ids = selectHostIds(session, selector);
  const remote = ids.filter((id) => !registry.byId(id).local);
  if (remote.length === 0 || remote.length === ids.length) return ids;
  output.note("The machine of this console is left out: it is not reached over SSH.");
  return remote;
}

/** What the person typed, or `null` when they do not agree. @throws UsageError when nobody is there to ask */
async function agreement(
  output: Output,
  session: Session,
  hostIds: readonly string[],
  { yes, typed }: HostUninstallOptions,
): Promise<string | null> {
  const names = hostIds.map((id) => nameOf(session, id));
  if (typed !== undefined) return typed;
  if (names.length === 1) {
    if (yes) return "";
    const question = `End enforcement on ${names[0]} and remove its agent?`;
    return (await confirmOnTerminal(question)) ? "" : null;
  }
  if (!hasTerminal()) {
    throw new UsageError("This ends enforcement on several machines and asks first.", "Add --typed uninstall.");
  }
  output.note(`This ends enforcement on ${names.length} machines: ${names.join(", ")}.`);
  const answer = await askLine("Type uninstall to go on: ", true, new AbortController().signal);
  return answer?.trim() === "uninstall" ? "uninstall" : null;
}

function nameOf(session: Session, id: string): string {
  const { record, connection } = session.backend.registry.byId(id);
  return visible(record.alias || connection.hostName);
}

/** Tells each step of each machine as it begins. Ctrl-C cancels: what must not stop half-way comes to its end first. */
async function follow(output: Output, session: Session, jobId: string): Promise<ExitCode> {
  const interrupt = () => {
    output.note("Stopping at the next safe place …");
    void session.jobs.cancelJob({ jobId }).catch(() => {});
  };
  process.once("SIGINT", interrupt);
  try {
    const told = new Map<string, string>();
    for await (const { jobs } of session.jobs.watchJobs({})) {
      const job = jobs.find(({ id }) => id === jobId);
      if (!job) continue;
      for (const host of job.hosts) tellSteps(output, host, told);
      if (job.endedAt) return report(output, job);
    }
    return EXIT.problems;
  } finally {
    process.off("SIGINT", interrupt);
  }
}

function tellSteps(output: Output, { hostId, hostName, steps }: HostJob, told: Map<string, string>): void {
  for (const { name, text, percent } of steps) {
    const key = `${hostId} ${name}`;
    const state = name === "upload" ? `${Math.floor(percent / TOLD_PERCENT)}` : text;
    if (told.get(key) === state) continue;
    told.set(key, state);
    output.note(`${visible(hostName)}  ${name.padEnd(9)}  ${visible(text)}`);
  }
}

function report(output: Output, job: Job): ExitCode {
  if (output.format === "json") output.json({ job: toJson(JobSchema, job) });
  const { style } = output;
  for (const { hostName, state, steps, error } of job.hosts) {
    if (output.format === "json") continue;
    const name = visible(hostName);
    if (state === JobState.DONE) output.text(`${style.green("✓")} ${name}  ${visible(steps.at(-1)?.text ?? "")}\n`);
    else
      output.text(`${style.red("✗")} ${name}  ${visible(error?.message ?? "")}\n    ${visible(error?.hint ?? "")}\n`);
  }
  const failed = job.hosts.find(({ state }) => state !== JobState.DONE);
  return failed?.error ? exitCodeOf(failed.error.code) : EXIT.done;
}
