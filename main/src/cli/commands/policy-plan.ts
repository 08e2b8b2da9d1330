import { toJson } from "@bufbuild/protobuf";
import { type PlanResponse, PlanResponseSchema } from "@wardline/api/wardline/console/v1/ship";
import { fromWireDiagnostic } from "@wardline/domain/wire";
import { EXIT, type ExitCode, exitCodeOf } from "../exit-code.ts";
import { selectHostIds } from "../input/host-selection.ts";
import { readInput, toWorkspaceNames } from "../input/policy-files.ts";
import type { Output } from "../output.ts";
import { formatPlan } from "../plan-view.ts";
import { type Session, type SessionOptions, withSession } from "../session.ts";
import { hasErrors } from "../terminal/diagnostics.ts";
import { formatProblems } from "./policy-check.ts";

/** `wardline policy plan`. Files are planned in a workspace of their own, so that nothing of the person's changes. */
export async function policyPlan(
  output: Output,
  options: SessionOptions & { readonly hosts: string },
  names: readonly string[],
): Promise<ExitCode> {
  const files = await readDesired(output, names);
  if (files === null) return EXIT.problems;
  return withSession(options, { scratch: files.length > 0 }, async (session) => {
    if (files.length > 0) session.backend.workspace.replaceAll(files, "", "");
    const plan = await makePlan(session, options.hosts);
    showPlan(output, session, plan);
    return planExitCode(plan);
  });
}

/** The named files under workspace names; `null` when one is not text (the problems are shown). Empty = none named. */
export async function readDesired(output: Output, names: readonly string[]) {
  if (names.length === 0) return [];
  const input = await readInput(names);
  if (!hasErrors(input.refused)) return toWorkspaceNames(input.files);
  if (output.format === "json") output.json({ diagnostics: input.refused });
  else output.text(formatProblems(output, input, input.refused));
  return null;
}

/** Waits for the first contact with each host, so that a plan is not about a host that was only not asked yet. */
export async function makePlan(session: Session, selector: string): Promise<PlanResponse> {
  const hostIds = selectHostIds(session, selector);
  await Promise.allSettled(hostIds.map((id) => session.backend.registry.find(id)?.connection.client()));
  return session.ship.plan({ hostIds });
}

export function showPlan(output: Output, session: Session, plan: PlanResponse): void {
  if (output.format === "json") {
    output.json(toJson(PlanResponseSchema, plan));
    return;
  }
  const texts = new Map(session.backend.workspace.snapshot().files.map((file) => [file.path, file.text]));
  output.text(formatPlan(output, plan, (file) => texts.get(file)));
}

/** 1 when policies have errors, a host refuses them or a policy test fails, else 3 when a host could not be asked. */
export function planExitCode(plan: PlanResponse): ExitCode {
  if (hasErrors(plan.diagnostics.map(fromWireDiagnostic))) return EXIT.problems;
  const worst = plan.hosts.map((host) => (host.error ? exitCodeOf(host.error.code) : EXIT.done));
  if (worst.includes(EXIT.unreachable)) return EXIT.unreachable;
  return plan.planId === "" || (plan.tests?.failedCount ?? 0) > 0 ? EXIT.problems : EXIT.done;
}
