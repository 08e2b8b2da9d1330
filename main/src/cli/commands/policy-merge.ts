/** `wardline policy merge BASE MINE THEIRS` */
import { readFile } from "node:fs/promises";
import { text as readStream } from "node:stream/consumers";
import { type DocumentSide, mergeDocument, readClusterDocument } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";

const MAX_CHARACTERS = 1024 * 1024;

export async function policyMerge(
  output: Output,
  names: readonly [base: string, mine: string, theirs: string],
): Promise<ExitCode> {
  if (names.filter((name) => name === "-").length > 1) throw new UsageError("Standard input can be read once.");
  const [base, mine, theirs] = await Promise.all(names.map(readSide));
  const key = keyOf(mine ?? theirs ?? base ?? null, mine === null ? names[2] : names[1]);
  const result = mergeDocument(key, base ?? null, mine ?? null, theirs ?? null, { ours: names[1], theirs: names[2] });
  if (result.kind === "merged") {
    output.text(result.text ?? "");
    return EXIT.done;
  }
  output.text(result.marked);
  output.note(`${names[1]} and ${names[2]} changed the same place.`);
  return EXIT.problems;
}

/** Empty = there is no such document on this side. */
async function readSide(name: string): Promise<DocumentSide> {
  let text: string;
  try {
    text = name === "-" ? await readStream(process.stdin) : await readFile(name, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new UsageError(`${name} cannot be read (${code}).`);
  }
  if (text.length > MAX_CHARACTERS) {
    throw new Failure({ code: ErrorCode.TOO_LARGE, message: `${name} is larger than a document may be (1 MiB).` });
  }
  return text.trim() === "" ? null : text;
}

function keyOf(text: DocumentSide, name: string): string {
  if (text === null) return "";
  const { key, diagnostics, documentCount } = readClusterDocument(text, name);
  if (key !== null) return key;
  const [first] = diagnostics;
  throw new Failure({
    code: ErrorCode.POLICY_INVALID,
    message: first ? `${name}: ${first.message}` : `${name} holds ${documentCount} documents; a merge is of one.`,
  });
}
