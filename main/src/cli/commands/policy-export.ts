import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type PolicyWorld, readPolicyFiles } from "@wardline/domain/policy";
import { describeRefusal, type Emission, exportPolicy } from "@wardline/domain/policy/emit";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import { readInput } from "../input/policy-files.ts";
import type { Output } from "../output.ts";
import { hasErrors } from "../terminal/diagnostics.ts";
import { visible } from "../terminal/visible.ts";
import { allDiagnostics, formatProblems } from "./policy-check.ts";
import type { ExportOptions } from "./policy-export.options.ts";

/** `wardline policy export`: the script on standard output; exit code 1 when the target cannot do what policies say. */
export async function policyExport(
  output: Output,
  names: readonly string[],
  options: ExportOptions,
): Promise<ExitCode> {
  const given = [...names, options.policies, options.inventory].filter((name) => name !== undefined);
  if (given.length === 0) throw new UsageError("Name files, or give --policies and --inventory.");
  const input = await readInput(given);
  const reading = readPolicyFiles(input.files);
  const errors = allDiagnostics(input, reading).filter(({ severity }) => severity === "error");
  if (hasErrors(errors)) {
    if (output.format === "json") output.json({ ...asJson(null, options.target), diagnostics: errors });
    else output.note(`${formatProblems(output, input, errors)}Nothing is exported while the policies have errors.`);
    return EXIT.problems;
  }
  requireDeclared(reading.world, options.host);
  const emission = exportPolicy(reading.world, options.host, options.target, { mode: options.mode });
  if (output.format === "json") output.json({ ...asJson(emission, options.target), diagnostics: [] });
  else if (emission.script !== null) output.text(emission.script);
  else output.note(formatRefused(options, emission));
  return emission.script === null ? EXIT.problems : EXIT.done;
}

/** A script for a name that nobody declares would let everything pass: most likely it is misspelled. */
function requireDeclared({ inventory }: PolicyWorld, hostName: string): void {
  if (inventory.endpoints.some(({ kind, name }) => kind === "host" && name === hostName)) return;
  throw new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `No Host document declares "${hostName}".`,
    hint: "Give the inventory with the files or with --inventory.",
  });
}

/** The promised JSON shape; more fields would be a new promise. */
function asJson(emission: Emission | null, target: ExportOptions["target"]) {
  return {
    target,
    script: emission?.script ?? null,
    digest: emission?.digest ?? null,
    refused: (emission?.refused ?? []).map(({ policyKey, rule, source, message }) => ({
      policy: policyKey,
      rule,
      file: source?.file ?? null,
      line: source?.line ?? null,
      message,
    })),
  };
}

function formatRefused({ target, host }: ExportOptions, { refused }: Emission): string {
  const lines = refused.map((refusal) => `  ${visible(describeRefusal(refusal))}`);
  return `${target} cannot enforce all of the policies of ${visible(host)}, so nothing is exported:\n${lines.join("\n")}`;
}
