/** The policy files that a question is about, and the world that they describe. */
import { type PolicyWorld, type ReadResult, readPolicyFiles, withoutExpired } from "@wardline/domain/policy";
import { allDiagnostics, formatProblems } from "../commands/policy-check.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import type { SessionOptions } from "../session.ts";
import { hasErrors } from "../terminal/diagnostics.ts";
import { type ReadInput, readInput } from "./policy-files.ts";

export interface SourceOptions extends SessionOptions {
  /** Folder or file with policies, instead of the workspace. */
  readonly policies?: string;
  /** File or folder with Host and Workload documents. */
  readonly inventory?: string;
}

/** What `--policies` and `--inventory` name, on top of nothing; without `--policies` the workspace. */
export async function readSources(options: SourceOptions): Promise<ReadInput> {
  const named = [options.policies, options.inventory].filter((name) => name !== undefined);
  const input = named.length > 0 ? await readInput(named) : { files: [], refused: [] };
  if (options.policies !== undefined) return input;
  const { withSession } = await import("../session.ts");
  const workspace = await withSession(options, {}, async ({ backend }) => backend.workspace.snapshot().files);
  const given = new Set(input.files.map((file) => file.path));
  return { files: [...workspace.filter((file) => !given.has(file.path)), ...input.files], refused: input.refused };
}

/** The world of the files as it is now, or the exit code when they have errors, which are shown. */
export function worldOf(output: Output, input: ReadInput): PolicyWorld | ExitCode {
  const reading = readingOf(output, input);
  return typeof reading === "number" ? reading : reading.world;
}

/** The same with everything else that was read. */
export function readingOf(output: Output, input: ReadInput): ReadResult | ExitCode {
  const reading = readPolicyFiles(input.files);
  const errors = allDiagnostics(input, reading).filter(({ severity }) => severity === "error");
  if (!hasErrors(errors)) return { ...reading, world: withoutExpired(reading.world, Date.now()) };
  if (output.format === "json") output.json({ diagnostics: errors });
  else output.text(formatProblems(output, input, errors));
  output.note("The policies have errors, so nobody can say what they decide. Correct them first.");
  return EXIT.problems;
}
