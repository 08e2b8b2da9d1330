import { makeDiagnostic } from "../check/sink.ts";
import type { Diagnostic } from "../diagnostic.ts";
import type { SourceRange } from "../model.ts";
import { DEFAULT_READ_LIMITS } from "./limits.ts";
import { LineIndex } from "./line-index.ts";

export type DecodedPolicy = { readonly text: string } | { readonly diagnostic: Diagnostic };

/** A text file may hold a few stray control characters (reported with their place); more means that it is none. */
const BINARY_SHARE = 0.05;
const SAMPLE_BYTES = 8192;

/**
 * The text of a dropped or read file, or why it is none. UTF-8 only; a byte order mark is taken off. UTF-16 is refused
 * by name, because its text would not be what `sha256sum`, git and the agent see.
 */
export function decodePolicyBytes(
  bytes: Uint8Array,
  path: string,
  maxLength: number = DEFAULT_READ_LIMITS.maxFileLength,
): DecodedPolicy {
  const atStart = (code: "WL114" | "WL115", message: string): DecodedPolicy => ({
    diagnostic: makeDiagnostic(code, startOf(path), message),
  });
  const oversized = refuseBySize(bytes.length, path, maxLength);
  if (oversized) return { diagnostic: oversized };
  if (looksLikeUtf16(bytes)) {
    return atStart("WL115", "The file is UTF-16 text. Save it as UTF-8.");
  }
  if (looksBinary(bytes)) {
    return atStart("WL114", "The file is not text, so it cannot be a policy.");
  }
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    const validText = longestValidText(bytes);
    const end = { start: validText.length, end: validText.length };
    const message = "The file is not valid UTF-8 from here on. Save it as UTF-8.";
    return { diagnostic: makeDiagnostic("WL116", new LineIndex(path, validText).range(end), message) };
  }
}

/** Why a file of so many bytes need not be opened, or `null` when it may be a policy file. */
export function refuseBySize(
  sizeBytes: number,
  path: string,
  maxLength: number = DEFAULT_READ_LIMITS.maxFileLength,
): Diagnostic | null {
  // A UTF-16 code unit takes at most 3 bytes of UTF-8.
  if (sizeBytes <= maxLength * 3) return null;
  const message = `The file has ${sizeBytes} bytes; a policy file may have ${maxLength}. It is not read.`;
  return makeDiagnostic("WL109", startOf(path), message);
}

function startOf(path: string): SourceRange {
  return { file: path, line: 1, column: 1, endLine: 1, endColumn: 1 };
}

/** The text before the first invalid byte, found by halving: a longer start of the bytes is never less invalid. */
function longestValidText(bytes: Uint8Array): string {
  let valid = 0;
  let invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (decodeStart(bytes, middle) === null) invalid = middle;
    else valid = middle;
  }
  return decodeStart(bytes, valid) ?? "";
}

/** A character cut off at the end of the start is left out and counts as valid. */
function decodeStart(bytes: Uint8Array, length: number): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
  } catch {
    return null;
  }
}

function looksLikeUtf16(bytes: Uint8Array): boolean {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return true;
  const sample = bytes.subarray(0, SAMPLE_BYTES);
  if (sample.length < 4) return false;
  let evenZeros = 0;
  let oddZeros = 0;
  for (const [index, byte] of sample.entries()) {
    if (byte !== 0) continue;
    if (index % 2 === 0) evenZeros += 1;
    else oddZeros += 1;
  }
  const half = sample.length / 2;
  return (evenZeros > half * 0.8 && oddZeros < half * 0.2) || (oddZeros > half * 0.8 && evenZeros < half * 0.2);
}

function looksBinary(bytes: Uint8Array): boolean {
  const sample = bytes.subarray(0, SAMPLE_BYTES);
  let controls = 0;
  for (const byte of sample) {
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) controls += 1;
  }
  return controls > sample.length * BINARY_SHARE;
}
