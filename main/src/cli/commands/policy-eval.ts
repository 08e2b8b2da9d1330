import {
  compiledEngine,
  judgeVectors,
  readVectorFile,
  referenceEngine,
  type VectorEngine,
  type VectorMismatch,
  type VectorResult,
} from "@wardline/domain/policy/vectors";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import { readInput } from "../input/policy-files.ts";
import type { Output } from "../output.ts";
import { visible } from "../terminal/visible.ts";
import type { EvalOptions } from "./policy-eval.options.ts";

const SHOWN_MISMATCHES = 50;

/** `wardline policy eval --vectors FILE…`: exit code 1 on any mismatch, 3 when the engine is not to be had here. */
export async function policyEval(output: Output, options: EvalOptions): Promise<ExitCode> {
  const { files, refused } = await readInput(options.vectors);
  for (const { message, source } of refused) throw new UsageError(`${source.file}: ${message}`);
  const cases = files.flatMap((file) => readVectorFile(file.path, file.text));
  const result = await judgeVectors(cases, await engineNamed(options.engine));
  if (output.format === "json") output.json(result);
  else output.text(formatResult(output, options.engine, result));
  return result.mismatches.length > 0 ? EXIT.problems : EXIT.done;
}

async function engineNamed(name: EvalOptions["engine"]): Promise<VectorEngine> {
  if (name === "reference") return referenceEngine;
  if (name === "compiled") return compiledEngine;
  const { kernelEngine } = await import("./policy-eval-kernel.ts");
  return kernelEngine();
}

function formatResult({ style }: Output, engine: string, { cases, probes, mismatches }: VectorResult): string {
  const shown = mismatches.slice(0, SHOWN_MISMATCHES).map(formatMismatch);
  const hidden = mismatches.length - shown.length;
  const rest = hidden > 0 ? `… and ${hidden} more; --format json lists them all\n\n` : "";
  const found = mismatches.length === 0 ? style.green("no mismatches") : style.red(`${mismatches.length} mismatches`);
  return `${shown.join("")}${rest}${cases} cases, ${probes} probes, ${engine} engine: ${found}\n`;
}

function formatMismatch(one: VectorMismatch): string {
  const icmp = one.icmp === null ? "" : ` type ${one.icmp.type} code ${one.icmp.code}`;
  const service = `${one.port === null ? "" : `${one.port}/`}${one.protocol}${icmp}`;
  const lines = [
    `${one.file}: ${one.case}, probe ${one.probe}`,
    `  ${one.from} → ${one.to} ${service}: expected ${one.expected}, got ${one.got}`,
    ...one.readings.flatMap(({ reading, fromAddress, toAddress, decidedBy }) => [
      `  ${reading}: ${fromAddress} → ${toAddress}`,
      ...decidedBy.map((text) => `    ${text}`),
    ]),
  ];
  return `${lines.map(visible).join("\n")}\n\n`;
}
