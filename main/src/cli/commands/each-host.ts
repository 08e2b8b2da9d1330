/** The same thing done on each of several hosts: one that fails does not stop the others, and each says how it ended. */
import type { JsonObject } from "@bufbuild/protobuf";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { requiredWords, requireTyped, type TypedVerb } from "@wardline/domain/fleet";
import { failureFromConnectError } from "@wardline/domain/wire";
import { mapPooled } from "../../backend/async/pool.ts";
import { labelOf, type ManagedHost } from "../../backend/hosts/managed-host.ts";
import { isRed } from "../../backend/ship/ship-service.ts";
import { EXIT, type ExitCode, exitCodeOf } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { askLine } from "../terminal/ask-hidden.ts";
import { hasTerminal } from "../terminal/questions.ts";
import { visible } from "../terminal/visible.ts";

/** As many connections as are made at once. */
const AT_ONCE = 16;

/** How it ended on a host that did it: for programs, and in words after the host's name. */
export interface Done {
  readonly json: JsonObject;
  readonly words: string;
}

export interface HostResult {
  readonly host: ManagedHost;
  readonly done: Done | Failure;
}

/** Calls `work` for each host and writes a line as each ends. In the order of the hosts. */
export function onEachHost(
  output: Output,
  hosts: readonly ManagedHost[],
  work: (host: ManagedHost) => Promise<Done>,
): Promise<HostResult[]> {
  return mapPooled(hosts, AT_ONCE, async (host) => {
    const result = { host, done: await outcomeOf(work(host)) };
    tell(output, result);
    return result;
  });
}

/** A defect is thrown; only failures are outcomes. */
export async function outcomeOf<Value>(work: Promise<Value>): Promise<Value | Failure> {
  try {
    return await work;
  } catch (error) {
    const failure = error instanceof Failure ? error : failureFromConnectError(error);
    if (failure) return failure;
    throw error;
  }
}

/** A line for a person as soon as it is known; programs get all of them at the end. */
export function tell(output: Output, { host, done }: HostResult): void {
  if (output.format === "json") return;
  const name = visible(labelOf(host));
  if (!(done instanceof Failure)) {
    output.text(`${name}: ${done.words}\n`);
    return;
  }
  output.text(`${name}: ${output.style.red("failed")}: ${visible(done.message)}\n`);
  if (done.hint !== "") output.text(`  ${visible(done.hint)}\n`);
}

/** `{hosts: [{host, …} | {host, error}]}` for programs, and the exit code: a refusal counts before what was out of reach. */
export function endOf(output: Output, results: readonly HostResult[]): ExitCode {
  if (output.format === "json") output.json({ hosts: results.map(toJsonResult) });
  const failures = results.flatMap(({ done }) => (done instanceof Failure ? [done] : []));
  if (failures.length === 0) return EXIT.done;
  return failures.every(({ code }) => exitCodeOf(code) === EXIT.unreachable) ? EXIT.unreachable : EXIT.problems;
}

function toJsonResult({ host, done }: HostResult): JsonObject {
  if (!(done instanceof Failure)) return { host: labelOf(host), ...done.json };
  const { code, message, hint, retryable } = done;
  return { host: labelOf(host), error: { code: ErrorCode[code] ?? "INTERNAL", message, hint, retryable } };
}

/** Asks a person for the words where they are needed and were not given. @throws Failure CONFIRMATION_REQUIRED */
export async function requireWords(
  verb: TypedVerb,
  hosts: readonly ManagedHost[],
  given: string,
  ask: AskWords = askWords,
): Promise<void> {
  const subjects = hosts.map((host) => ({ name: labelOf(host), isRed: isRed(host) }));
  if (requiredWords(verb, subjects) === null) return;
  await withWords(given, async (typed) => requireTyped(verb, subjects, typed), ask);
}

/** What the person typed; `null` when nobody is there or they gave up. */
export type AskWords = (why: Failure) => Promise<string | null>;

/** Tries `act` with the words given; where it needs words and none were given, once more with what a person types. */
export async function withWords<Result>(
  given: string,
  act: (typed: string) => Promise<Result>,
  ask: AskWords = askWords,
): Promise<Result> {
  const first = await outcomeOf(act(given));
  if (!(first instanceof Failure)) return first;
  if (first.code !== ErrorCode.CONFIRMATION_REQUIRED || given.trim() !== "") throw first;
  const typed = await ask(first);
  if (typed === null || typed.trim() === "") throw first;
  return act(typed);
}

async function askWords({ message, hint }: Failure): Promise<string | null> {
  if (!hasTerminal()) return null;
  process.stderr.write(`${visible(message)}\n  ${visible(hint)}\n`);
  return askLine("> ", true, new AbortController().signal);
}
