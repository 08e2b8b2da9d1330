import { toJson } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ApplyResponse,
  ApplyResponseSchema,
  ApplyStep,
  type PlanResponse,
} from "@wardline/api/wardline/console/v1/ship";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { LOCAL_HOST_ID } from "../../backend/hosts/managed-host.ts";
import { confirmOnTerminal } from "../ask.ts";
import { remainingMs, waitForConfirmation } from "../confirmation.ts";
import { EXIT, type ExitCode, exitCodeOf, UsageError } from "../exit-code.ts";
import { formatDuration } from "../input/duration.ts";
import type { Output } from "../output.ts";
import type { ApplyOptions } from "../program.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { type Session, userName, withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import { makePlan, planExitCode, readDesired, showPlan } from "./policy-plan.ts";
import type { RolloutOptions } from "./policy-rollout.options.ts";
import { startRollout } from "./policy-rollout.ts";

const SHORTEST_MS = 5_000;
const LONGEST_MS = 3_600_000;

/** `wardline policy apply`: plan, ask, apply. The host returns by itself unless it is confirmed in time. */
export async function policyApply(
  output: Output,
  options: ApplyOptions & RolloutOptions,
  names: readonly string[],
): Promise<ExitCode> {
  requireChangesAllowed();
  if (options.confirmWithin < SHORTEST_MS || options.confirmWithin > LONGEST_MS) {
    throw new UsageError("--confirm-within can be 5s to 1h.");
  }
  const files = await readDesired(output, names);
  if (files === null) return EXIT.problems;
  if (files.length > 0) {
    const refused = await tryInScratch(output, options, files);
    if (refused !== EXIT.done) return refused;
  }
  return withSession(options, {}, async (session) => {
    if (files.length > 0) session.backend.workspace.replaceAll(files, userName(), "Before an apply by command line");
    const plan = await makePlan(session, options.hosts ?? LOCAL_HOST_ID);
    if (output.format === "text" && files.length === 0) showPlan(output, session, plan);
    if (plan.planId === "") {
      if (output.format === "json") showPlan(output, session, plan);
      return planExitCode(plan);
    }
    requireTestsOrReason(plan, options);
    if (files.length === 0 && !(options.yes || (await confirmOnTerminal("Apply this?")))) return declined(output);
    if (options.hosts !== undefined) return startRollout(output, session, options, plan.planId);
    return apply(output, session, options, plan.planId);
  });
}

/** Files are planned aside first, and asked about: the workspace changes only for what is going to be applied. */
async function tryInScratch(
  output: Output,
  options: ApplyOptions & RolloutOptions,
  files: readonly { path: string; text: string }[],
): Promise<ExitCode> {
  return withSession(options, { scratch: true }, async (session) => {
    session.backend.workspace.replaceAll(files, "", "");
    const plan = await makePlan(session, options.hosts ?? LOCAL_HOST_ID);
    if (output.format === "text" || plan.planId === "") showPlan(output, session, plan);
    if (plan.planId === "") return planExitCode(plan);
    requireTestsOrReason(plan, options);
    if (!options.yes && !(await confirmOnTerminal("Apply this?"))) return declined(output);
    return EXIT.done;
  });
}

/** Refused before anybody is asked, and before files become the workspace; the console checks it again. */
function requireTestsOrReason({ tests }: PlanResponse, { overrideTests }: ApplyOptions): void {
  const failedCount = tests?.failedCount ?? 0;
  if (failedCount === 0 || (overrideTests ?? "").trim() !== "") return;
  throw new Failure({
    code: ErrorCode.POLICY_TESTS_FAILED,
    message: `${failedCount === 1 ? "1 policy test fails" : `${failedCount} policy tests fail`}. Nothing was changed.`,
    hint: "Correct the policies or the tests; or give --override-tests with a reason, which is kept with the receipt.",
  });
}

function declined(output: Output): ExitCode {
  output.note("Nothing was changed.");
  return EXIT.problems;
}

async function apply(output: Output, session: Session, options: ApplyOptions, planId: string): Promise<ExitCode> {
  const results: ApplyResponse[] = [];
  const mode = options.mode === "enforce" ? EnforcementMode.ENFORCE : EnforcementMode.OBSERVE;
  const { reason, ticket, overrideTests: overrideFailedTestsReason = "" } = options;
  const request = {
    planId,
    mode,
    reason,
    ticket,
    overrideFailedTestsReason,
    confirmWithin: durationFromMs(options.confirmWithin),
  };
  for await (const message of session.ship.apply(request)) {
    if (message.step === ApplyStep.SENDING) output.note(`Applying to ${visible(message.hostId)} …`);
    else results.push(message);
  }
  if (output.format === "json") {
    output.json({ hosts: results.map((result) => toJson(ApplyResponseSchema, result)) });
  } else for (const result of results) output.text(formatResult(output, result));
  const codes = results.map((result) => (result.error ? exitCodeOf(result.error.code) : EXIT.done));
  const failed = codes.find((code) => code !== EXIT.done);
  if (failed !== undefined || !options.wait) return failed ?? EXIT.done;
  const ends = await Promise.all(results.map((result) => waitForConfirmation(output, session, result)));
  return ends.every((isKept) => isKept) ? EXIT.done : EXIT.problems;
}

function formatResult({ style }: Output, result: ApplyResponse): string {
  const host = visible(result.hostId);
  if (result.error) {
    const { message, hint } = result.error;
    return `${style.red("failed")} on ${host}: ${visible(message)}\n${hint ? `  ${visible(hint)}\n` : ""}`;
  }
  const generation = result.pending?.generation?.number ?? 0n;
  const previous = result.pending?.previous?.number ?? 0n;
  const back = previous === 0n ? "to no policy at all" : `to generation ${previous}`;
  const time = result.timings ? ` (${(result.timings.totalUs / 1000).toFixed(1)} ms)` : "";
  return (
    `${style.green("in force")} on ${host}: generation ${generation}${time}\n` +
    `  It returns ${back} in ${formatDuration(remainingMs(result.pending))} unless you confirm it:\n` +
    `    wardline policy confirm --generation ${generation}\n` +
    `  To return now:\n` +
    `    wardline policy rollback --generation ${generation}\n`
  );
}
