/** `wardline mesh heal list|show|approve|stop` */
import { toJson } from "@bufbuild/protobuf";
import { HealingDecision } from "@wardline/api/wardline/agent/v1/mesh";
import { type HostHealingRun, HostHealingRunSchema } from "@wardline/api/wardline/console/v1/mesh";
import {
  HealingOutcome,
  HealingPhase,
  type HealingRun,
  HealingRunSchema,
  HealingState,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { needsPerson } from "../../backend/mesh/healing-runs.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { type Session, withSession } from "../session.ts";
import type { Style } from "../terminal/style.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { HealDecisionOptions, HealListOptions, MeshOptions } from "./mesh.options.ts";
import { askHosts } from "./mesh-hosts.ts";
import { actionWord, durationText, faultWord, modeWord, stateWord, timeText, UNKNOWN } from "./mesh-view.ts";

/** Exit code 1 when a run needs a person, 3 when a host could not be asked. */
export async function healList(output: Output, options: HealListOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const { isIncomplete } = await askHosts(output, session, options);
    const runs = session.backend.services.mesh.runs().filter(({ run }) => run && (!options.open || !run.endedAt));
    if (output.format === "json") output.json({ runs: runs.map((each) => toJson(HostHealingRunSchema, each)) });
    else if (runs.length === 0) output.text("No runs.\n");
    else output.text(runsTable(runs, output.style));
    if (isIncomplete) return EXIT.unreachable;
    return runs.some(({ run }) => run && needsPerson(run)) ? EXIT.problems : EXIT.done;
  });
}

function runsTable(runs: readonly HostHealingRun[], style: Style): string {
  const rows = runs.flatMap(({ run }) => {
    if (!run) return [];
    const paint = needsPerson(run) ? style.red : run.state === HealingState.HEALED ? style.green : style.dim;
    const ids = [timeText(run.detectedAt), run.id, faultWord(run.fault)];
    const repair = run.timeToRepair ? durationText(run.timeToRepair) : UNKNOWN;
    return [[...ids, { text: stateWord(run.state), paint }, repair, run.coordinator, run.cause]];
  });
  return formatTable(["DETECTED", "ID", "FAULT", "STATE", "REPAIRED IN", "DECIDES", "CAUSE"], rows);
}

export async function healShow(output: Output, options: MeshOptions, id: string): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    await askHosts(output, session, options);
    const found = findRun(session, id);
    if (output.format === "json") output.json(toJson(HostHealingRunSchema, found));
    else if (found.run) output.text(runText(found.run, output.style));
    return EXIT.done;
  });
}

export async function healDecide(
  output: Output,
  options: HealDecisionOptions,
  id: string,
  what: "approve" | "stop",
): Promise<ExitCode> {
  requireChangesAllowed();
  return withSession(options, {}, async (session) => {
    await askHosts(output, session, options);
    const { hostId, run: known } = findRun(session, id);
    const decision = what === "approve" ? HealingDecision.APPROVE : HealingDecision.STOP;
    const { candidate, reason } = options;
    const request = {
      ...{ runId: known?.id ?? id, decision, reason },
      ...(candidate === undefined ? {} : { candidate: candidate - 1 }),
    };
    const { run } = await session.mesh.decideMeshHealing({ hostId, request });
    if (output.format === "json" && run) output.json(toJson(HealingRunSchema, run));
    else if (run) output.text(`${visible(run.cause)}\nis now: ${stateWord(run.state)}\n`);
    return EXIT.done;
  });
}

/** @throws Failure NOT_FOUND, INVALID_ARGUMENT */
function findRun({ backend }: Session, id: string): HostHealingRun {
  const runs = backend.services.mesh.runs();
  const exact = runs.find(({ run }) => run?.id === id);
  if (exact) return exact;
  const found = runs.filter(({ run }) => id.length >= 4 && run?.id.startsWith(id));
  const [first, second] = found;
  if (first && !second) return first;
  const shown = JSON.stringify(id.slice(0, 100));
  throw new Failure({
    code: first ? ErrorCode.INVALID_ARGUMENT : ErrorCode.NOT_FOUND,
    message: first ? `${found.length} runs begin with ${shown}: give more of the id.` : `There is no run ${shown}.`,
    hint: "List them: wardline mesh heal list",
  });
}

function runText(run: HealingRun, style: Style): string {
  const { id, cause, fault, target, confidence, state, mode, coordinator, hosts, approvedBy } = run;
  const lines = [
    style.bold(visible(cause)),
    `${id}: ${faultWord(fault)} of ${visible(target)}, ${stateWord(state)} (${modeWord(mode)})`,
    `hosts ${visible(hosts.join(", ") || UNKNOWN)}; ${visible(coordinator)} decides; certain to ${Math.round(confidence * 100)} %`,
    `first symptom ${timeText(run.firstSymptomAt)}, detected ${timeText(run.detectedAt)}${run.endedAt ? `, ended ${timeText(run.endedAt)}` : ""}`,
  ];
  if (run.timeToRepair) lines.push(style.green(`healed and verified in ${durationText(run.timeToRepair)}`));
  if (approvedBy !== "") lines.push(`decided by ${visible(approvedBy)}`);
  return `${lines.join("\n")}\n${candidatesText(run)}${stepsText(run, style)}`;
}

function candidatesText({ candidates }: HealingRun): string {
  if (candidates.length === 0) return "";
  const rows = candidates.map((each, index) => [
    ...[String(index + 1), actionWord(each.action), each.host, each.peerUri || each.gatewayKey],
    each.successRate === undefined ? "never tried" : `${Math.round(each.successRate * 100)} % of ${each.tried}`,
    [each.heldBack, ...each.preconditions.filter(({ holds }) => !holds).map(({ sentence }) => sentence)]
      .filter((part) => part !== "")
      .join(" "),
    each.blastRadius,
  ]);
  return `\n${formatTable(["", "ACTION", "HOST", "PEER", "WORKED", "HELD BACK", "TOUCHES"], rows)}`;
}

function stepsText({ steps }: HealingRun, style: Style): string {
  if (steps.length === 0) return "";
  const lines = steps.flatMap(({ at, phase, sentence, outcome, evidence, dryRun }) => {
    const marks = [
      outcome === HealingOutcome.UNSPECIFIED ? "" : (HealingOutcome[outcome] ?? "").toLowerCase().replaceAll("_", " "),
      dryRun ? "dry run" : "",
    ].filter((mark) => mark !== "");
    const head = `${style.dim(timeText(at))} ${(HealingPhase[phase] ?? "").toLowerCase()}: ${visible(sentence)}`;
    const end = marks.length > 0 ? ` [${marks.join(", ")}]` : "";
    return [`${head}${end}`, ...evidence.map((each) => style.dim(`    ${visible(each)}`))];
  });
  return `\n${lines.join("\n")}\n`;
}
