/** `wardline policy suggest`: drafts for a person to read. Nothing is applied and no file is overwritten. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type Inventory, readPolicyFiles, type SourceFile } from "@wardline/domain/policy";
import {
  type LeftOut,
  PolicySuggester,
  type PolicySuggestion,
  type SuggestionResult,
} from "@wardline/domain/policy/suggest";
import { LEFT_OUT_WORDS } from "@wardline/domain/policy/suggest/words";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { readInput } from "../input/policy-files.ts";
import { formatPort } from "../input/port.ts";
import { type FlowInput, withRecordedFlows } from "../input/recorded-flows.ts";
import type { Output } from "../output.ts";
import { hasErrors } from "../terminal/diagnostics.ts";
import { visible, visibleLines } from "../terminal/visible.ts";
import { allDiagnostics, formatProblems } from "./policy-check.ts";
import type { SuggestOptions } from "./policy-suggest.options.ts";

/** Exits with 1 when there was nothing to suggest anything from. */
export async function policySuggest(output: Output, options: SuggestOptions): Promise<ExitCode> {
  const inventory = await readInventory(output, options);
  if (inventory === null) return EXIT.problems;
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    return await withRecordedFlows(options, stopping.signal, async (input) => {
      const result = await learn(input, inventory, options);
      const files = options.out === undefined ? [] : await writeFiles(options.out, result.suggestions);
      if (output.format === "json") output.json(suggestionJson(result, input, files));
      else output.text(formatSuggestions(output, result, input, files));
      return result.suggestions.length > 0 && !stopping.signal.aborted ? EXIT.done : EXIT.problems;
    });
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

async function learn(
  { batches }: FlowInput,
  inventory: Inventory,
  { generalize, as, groupBy, ignoreLabel, minFlows, limit }: SuggestOptions,
): Promise<SuggestionResult> {
  const suggester = new PolicySuggester({
    inventory,
    generalize,
    format: as,
    noise: { minFlows },
    grouping: {
      ...(groupBy === undefined ? {} : { groupBy }),
      ...(ignoreLabel === undefined ? {} : { ignoreLabels: ignoreLabel }),
    },
  });
  let left = limit ?? Number.POSITIVE_INFINITY;
  for await (const { flows } of batches) {
    for (const flow of flows) if (left-- > 0) suggester.add(flow);
    if (left <= 0) break;
  }
  return suggester.result();
}

async function readInventory(output: Output, options: SuggestOptions): Promise<Inventory | null> {
  if (options.inventory === undefined) {
    const { withSession } = await import("../session.ts");
    return withSession(options, {}, async ({ backend }) => backend.workspace.snapshot().reading.world.inventory);
  }
  const input = await readInput([options.inventory]);
  const reading = readPolicyFiles(input.files);
  const errors = allDiagnostics(input, reading).filter(({ severity }) => severity === "error");
  if (!hasErrors(errors)) return reading.world.inventory;
  if (output.format === "json") output.json({ suggestions: null, diagnostics: errors });
  else output.text(formatProblems(output, input, errors));
  output.note("The inventory has errors. Correct them first.");
  return null;
}

/** All or nothing, as far as a look beforehand can tell. @throws Failure ALREADY_EXISTS */
async function writeFiles(dir: string, suggestions: readonly PolicySuggestion[]): Promise<readonly string[]> {
  const files = suggestions.flatMap(({ namespace, name, policyText, testText }): readonly SourceFile[] => [
    { path: join(dir, `${namespace}-${name}.yaml`), text: policyText },
    ...(testText === null ? [] : [{ path: join(dir, `${namespace}-${name}-keeps.yaml`), text: testText }]),
  ]);
  const existing = files.find(({ path }) => existsSync(path));
  if (existing) throw taken(existing.path);
  await mkdir(dir, { recursive: true });
  for (const { path, text } of files) {
    try {
      await writeFile(path, text, { flag: "wx" });
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") throw taken(path);
      throw error;
    }
  }
  return files.map(({ path }) => path);
}

function taken(path: string): Failure {
  return new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: `${path} exists already, and suggestions overwrite nothing.`,
    hint: "Name another folder, or move the file away.",
  });
}

function suggestionJson(result: SuggestionResult, input: FlowInput, files: readonly string[]) {
  const { suggestions, leftOut, read, withoutVerdict, tooMany } = result;
  const { name: source, total, problems } = input;
  return { source, total, read, withoutVerdict, tooMany, problems, suggestions, leftOut, files };
}

function formatSuggestions(
  output: Output,
  { suggestions, leftOut, read, withoutVerdict, tooMany }: SuggestionResult,
  input: FlowInput,
  files: readonly string[],
): string {
  const { style } = output;
  const lines: string[] = [];
  for (const suggestion of suggestions) {
    const { group, subjectKeys, confidence, rules, notes } = suggestion;
    lines.push(comment(`${group}: ${count(subjectKeys.length, "endpoint")}, confidence ${confidence.toFixed(2)}`));
    for (const note of notes) lines.push(comment(note));
    for (const { direction, peers, ports, examples } of rules) {
      const [example] = examples;
      const seen = example ? `, such as ${example.from} → ${example.to} (${example.flows}×)` : "";
      lines.push(comment(`${direction} ${shorten(peers)} on ${shorten(ports)}${seen}`));
    }
    if (files.length === 0) lines.push(visibleLines(suggestion.policyText).trimEnd(), "---");
  }
  for (const path of files) lines.push(comment(`wrote ${path}`));
  lines.push(comment(`Learned from ${count(read, "flow")} of ${input.name}.`));
  if (withoutVerdict > 0) lines.push(comment(`${count(withoutVerdict, "flow")} did not say what happened.`));
  if (tooMany > 0) lines.push(comment(`${count(tooMany, "flow")} were too many different ones to hold.`));
  for (const left of leftOut) lines.push(style.dim(comment(leftOutText(left))));
  for (const problem of input.problems) lines.push(comment(problem));
  return `${lines.join("\n")}\n`;
}

function leftOutText({ reason, connections, flows, denied, examples }: LeftOut): string {
  const [example] = examples;
  const such = example ? `, such as ${example.from} → ${example.to} ${formatPort(example.protocol, example.port)}` : "";
  return `Left out: ${count(connections, "connection")} (${count(flows + denied, "flow")}) that ${LEFT_OUT_WORDS[reason]}${such}`;
}

/** Text output is YAML that `policy check` reads: everything else in it is a comment. */
function comment(text: string): string {
  return `# ${visible(text)}`;
}

function shorten(texts: readonly string[]): string {
  return texts.length > 3 ? `${texts.slice(0, 3).join(", ")} and ${texts.length - 3} more` : texts.join(", ");
}

function count(number: number, noun: string): string {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
