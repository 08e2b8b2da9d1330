/**
 * Runs our own shell scripts on a host. A script is a constant of this code and travels, like its parameters, on standard
 * input: the command that the login shell sees is one of the three below, whatever is asked for. Parameters are lines,
 * checked here and again by the script.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { replaceInvisible } from "@wardline/domain/text";
import { type FixedCommand, fixedCommand } from "../ssh/fixed-command.ts";
import type { SshSession } from "../ssh/ssh-session.ts";

declare const checked: unique symbol;

/** POSIX sh. Answers with lines `@@ key value`; `@@ failed word detail` is how it says why it stopped. */
export type FixedScript = string & { readonly [checked]: true };

/** `text` must be a literal, as for `fixedCommand`. */
export function fixedScript<const Text extends string>(text: string extends Text ? never : Text): FixedScript {
  return text as unknown as FixedScript;
}

/** How a script becomes root. */
export type Privilege =
  | { readonly kind: "none" | "root" | "sudo" }
  | { readonly kind: "sudo-password"; readonly password: string };

// `dd bs=1` reads not one byte more than the script: what follows are its parameters. The loop passes over a password that
// sudo did not want after all. No quote, exclamation mark or backslash inside: every login shell reads this alike.
const DIRECT = fixedCommand(
  `/bin/sh -c 'while read -r word size; do [ "$word" = wardline-script ] && break; done; script=$(dd bs=1 count="$size" 2>/dev/null) && eval "$script"'`,
);
const SUDO = fixedCommand(
  `sudo -n -- /bin/sh -c 'while read -r word size; do [ "$word" = wardline-script ] && break; done; script=$(dd bs=1 count="$size" 2>/dev/null) && eval "$script"'`,
);
// -k: a ticket of another login must not decide whether the password is read.
const SUDO_PASSWORD = fixedCommand(
  `sudo -k -S -p "" -- /bin/sh -c 'while read -r word size; do [ "$word" = wardline-script ] && break; done; script=$(dd bs=1 count="$size" 2>/dev/null) && eval "$script"'`,
);

const COMMANDS: Record<Privilege["kind"], FixedCommand> = {
  none: DIRECT,
  root: DIRECT,
  sudo: SUDO,
  "sudo-password": SUDO_PASSWORD,
};

const MAX_PARAMETERS = 300;
const PARAMETER = /^[ -~]{0,400}$/;
const MAX_VALUE_LENGTH = 400;
const MAX_ANSWERS = 200;
const ANSWER = /^@@ ([a-z][a-z0-9_-]{0,40})(?: (.*))?$/;

export interface ScriptRequest {
  readonly script: FixedScript;
  readonly privilege: Privilege;
  readonly parameters?: readonly string[];
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export class ScriptAnswer {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly exitCode: number | null;
  /** Of standard error, made visible; empty when it said nothing. */
  readonly lastWords: string;

  constructor(values: ReadonlyMap<string, readonly string[]>, exitCode: number | null, lastWords: string) {
    this.#values = values;
    this.exitCode = exitCode;
    this.lastWords = lastWords;
  }

  /** The first value under a key, or an empty string. Text from a stranger: bounded and made visible, no more. */
  value(key: string): string {
    return this.#values.get(key)?.[0] ?? "";
  }

  all(key: string): readonly string[] {
    return this.#values.get(key) ?? [];
  }

  /** Word and detail of `@@ failed`, or `null`. */
  get failed(): { readonly word: string; readonly detail: string } | null {
    const value = this.#values.get("failed")?.[0];
    if (value === undefined) return null;
    const [, word = "", detail = ""] = /^(\S*) ?(.*)$/.exec(value) ?? [];
    return { word, detail };
  }
}

/** @throws Failure of the session; INVALID_ARGUMENT for parameters that no script takes */
export async function runScript(session: SshSession, request: ScriptRequest): Promise<ScriptAnswer> {
  const { script, privilege, parameters = [], timeoutMs = 30_000, signal } = request;
  const result = await session.run(COMMANDS[privilege.kind], {
    input: encodeInput(script, parameters, privilege),
    timeoutMs,
    ...(signal ? { signal } : {}),
  });
  return new ScriptAnswer(parseAnswers(result.stdout), result.exitCode, lastLine(result.stderr));
}

export function encodeInput(script: FixedScript, parameters: readonly string[], privilege: Privilege): Uint8Array {
  const isAllowed = parameters.length <= MAX_PARAMETERS && parameters.every((line) => PARAMETER.test(line));
  if (!isAllowed || /[^\n -~]/.test(script)) {
    throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "A parameter of a script is not one." });
  }
  const password = privilege.kind === "sudo-password" ? `${privilege.password}\n` : "";
  const lines = parameters.map((line) => `${line}\n`).join("");
  return Buffer.from(`${password}wardline-script ${script.length}\n${script}${lines}`);
}

function parseAnswers(stdout: string): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  let count = 0;
  for (const line of stdout.split("\n")) {
    const [, key, value = ""] = ANSWER.exec(line.replace(/\r$/, "")) ?? [];
    if (key === undefined || ++count > MAX_ANSWERS) continue;
    values.set(key, [...(values.get(key) ?? []), shown(value)]);
  }
  return values;
}

function lastLine(text: string): string {
  return shown(text.trimEnd().split("\n").at(-1) ?? "");
}

function shown(text: string): string {
  return replaceInvisible(text.slice(0, MAX_VALUE_LENGTH), (codePoint) => `\\u{${codePoint.toString(16)}}`);
}
