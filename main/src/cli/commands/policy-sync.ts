/** `wardline policy sync [FILE…]`: plan, show, ask, write. */
import { toJson } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  DocumentChange,
  type PlannedDocument,
  type PlanSyncResponse,
  PlanSyncResponseSchema,
  SyncResponseSchema,
} from "@wardline/api/wardline/console/v1/cluster";
import { SetState } from "@wardline/api/wardline/v1/cluster";
import { fromWireDiagnostic } from "@wardline/domain/wire";
import { confirmOnTerminal } from "../ask.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import { formatDuration } from "../input/duration.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { formatDiagnostic, hasErrors } from "../terminal/diagnostics.ts";
import { formatTable } from "../terminal/table.ts";
import { visible, visibleLines } from "../terminal/visible.ts";
import { type ClusterTarget, withCluster } from "./cluster-target.ts";
import { setText } from "./cluster-view.ts";
import type { SyncOptions } from "./policy-cluster.options.ts";
import { readDesired } from "./policy-plan.ts";

const CHANGES: Record<DocumentChange, string> = {
  [DocumentChange.UNSPECIFIED]: "",
  [DocumentChange.UNCHANGED]: "unchanged",
  [DocumentChange.ADDED]: "add",
  [DocumentChange.CHANGED]: "change",
  [DocumentChange.DELETED]: "delete",
  [DocumentChange.MERGED]: "merge",
  [DocumentChange.CONFLICT]: "conflict",
  [DocumentChange.BEHIND]: "behind",
};

export async function policySync(output: Output, options: SyncOptions, names: readonly string[]): Promise<ExitCode> {
  if (!options.dryRun) requireChangesAllowed();
  if (options.pull && options.prefer === "mine")
    throw new UsageError("--pull and --prefer mine contradict each other.");
  const files = await readDesired(output, names);
  if (files === null) return EXIT.problems;
  return withCluster(options, async (target) => {
    const { clusters, clusterName } = target;
    const plan = await clusters.planSync({ clusterName, deleteMissing: options.deleteMissing, files });
    if (plan.planId === "" || output.format === "text" || options.dryRun) {
      showPlan(output, plan, new Map(files.map(({ path, text }) => [path, text])));
    }
    if (plan.planId === "") return EXIT.problems;
    const conflicts = plan.documents.filter(({ change }) => change === DocumentChange.CONFLICT);
    if (options.dryRun) return conflicts.length > 0 && !options.prefer ? EXIT.problems : EXIT.done;
    return write(output, options, target, plan);
  });
}

async function write(
  output: Output,
  options: SyncOptions,
  { clusters, clusterName }: ClusterTarget,
  plan: PlanSyncResponse,
): Promise<ExitCode> {
  const { documents, planId } = plan;
  const writes = documents.filter((each) => willWrite(each, options.prefer));
  const behind = documents.filter(({ change }) => change === DocumentChange.BEHIND);
  const pulls = options.pull && behind.length > 0;
  if (writes.length === 0 && !pulls) {
    if (output.format === "json") output.json({ outcome: { head: null }, updatedPaths: [] });
    else output.text("Nothing to write.\n");
    tellBehind(output, options, behind);
    return EXIT.done;
  }
  // Before anybody is asked: this refuses, and says which documents are open.
  const isOpen = documents.some(({ change }) => change === DocumentChange.CONFLICT) && options.prefer === undefined;
  if (isOpen) await clusters.sync({ planId });
  if (!options.yes && !(await confirmOnTerminal(`Write this into ${visible(clusterName)}, to ${options.mode}?`))) {
    output.note("Nothing was changed.");
    return EXIT.problems;
  }
  const pulled = pulls ? (await clusters.pullDocuments({ planId })).updatedPaths : [];
  const answer = await clusters.sync({
    ...{ planId, reason: options.reason, observeOnly: options.mode === "observe" },
    choices: choicesOf(documents, options.prefer),
    ...(options.confirmWithin === undefined ? {} : { confirmWithin: durationFromMs(options.confirmWithin) }),
  });
  answer.updatedPaths.push(...pulled);
  if (output.format === "json") output.json(toJson(SyncResponseSchema, answer));
  else tell(output, options, clusterName, answer.outcome?.head, answer.updatedPaths);
  if (!pulls) tellBehind(output, options, behind);
  return EXIT.done;
}

/** What is chosen between is decided by the sync itself where nobody did: it says which documents are open. */
function willWrite({ change }: PlannedDocument, prefer: SyncOptions["prefer"]): boolean {
  if (change === DocumentChange.BEHIND) return prefer === "mine";
  return change !== DocumentChange.UNCHANGED;
}

function choicesOf(documents: readonly PlannedDocument[], prefer: SyncOptions["prefer"]) {
  return documents.flatMap(({ key, change, mineText, theirsText }) => {
    const isOpen = change === DocumentChange.CONFLICT || (change === DocumentChange.BEHIND && prefer === "mine");
    if (prefer === undefined || !isOpen) return [];
    return [{ key, text: prefer === "mine" ? mineText : theirsText }];
  });
}

function showPlan(output: Output, plan: PlanSyncResponse, texts: ReadonlyMap<string, string>): void {
  if (output.format === "json") {
    output.json(toJson(PlanSyncResponseSchema, plan));
    return;
  }
  const diagnostics = plan.diagnostics.map(fromWireDiagnostic);
  if (plan.planId === "" || hasErrors(diagnostics)) {
    for (const each of diagnostics) {
      output.text(formatDiagnostic(each, { style: output.style, textOf: (file) => texts.get(file) }));
    }
    output.note("Nothing was written: correct the errors first.");
    return;
  }
  const changed = plan.documents.filter(({ change }) => change !== DocumentChange.UNCHANGED);
  const same = plan.documents.length - changed.length;
  if (changed.length > 0) {
    const rows = changed.map(({ key, change, path, baseVersion, theirsVersion, theirsAuthor }) => [
      { text: CHANGES[change], ...(change === DocumentChange.CONFLICT ? { paint: output.style.red } : {}) },
      key,
      path,
      baseVersion === theirsVersion || theirsVersion === 0n ? "" : `${theirsVersion} by ${theirsAuthor}`,
    ]);
    output.text(formatTable(["CHANGE", "DOCUMENT", "FILE", "VERSION IN THE CLUSTER"], rows));
  }
  for (const { key, change, mergedText } of changed) {
    if (change === DocumentChange.CONFLICT) output.text(`\n${visible(key)}\n${visibleLines(mergedText)}\n`);
  }
  output.text(`${same} of ${plan.documents.length} documents are the same on both sides.\n`);
}

function tell(
  output: Output,
  options: SyncOptions,
  clusterName: string,
  head: Parameters<typeof setText>[0],
  updatedPaths: readonly string[],
): void {
  output.text(`${visible(clusterName)}: ${setText(head)}.\n`);
  for (const path of updatedPaths) output.text(`  ${visible(path)} took over what the cluster has\n`);
  if (head?.state !== SetState.PENDING) return;
  const time = formatDuration(options.confirmWithin ?? 0);
  output.text(
    `  Hosts return in ${time} unless you confirm it:\n    wardline policy confirm --set ${head.setNumber}\n`,
  );
}

function tellBehind(output: Output, { pull, prefer }: SyncOptions, behind: readonly PlannedDocument[]): void {
  if (behind.length === 0 || pull || prefer === "mine") return;
  const some = behind.length === 1 ? "1 document is" : `${behind.length} documents are`;
  output.note(`${some} newer in the cluster: --pull takes them into the workspace.`);
}
