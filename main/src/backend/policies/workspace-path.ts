/** Names of workspace files: display names inside the console, never opened on any disk, and still kept harmless. */
import { ErrorCode, Failure } from "@wardline/domain/errors";

const MAX_PATH_BYTES = 512;
const MAX_SEGMENT_BYTES = 255;
const EXTENSION = /\.(ya?ml|json)$/i;
// Control characters, and the marks that make text show in another order than it is stored.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const DECEPTIVE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u;

/**
 * The name in its one canonical form (NFC), or a failure that says what is wrong with it.
 * @throws Failure INVALID_ARGUMENT
 */
export function workspacePath(given: string): string {
  const refuse = (why: string) =>
    new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `The file name ${shown(given)} ${why}.`,
      hint: "Use a name such as policies/web.yaml.",
    });
  if (given === "") throw refuse("is empty");
  if (DECEPTIVE.test(given)) throw refuse("holds control characters");
  const path = given.normalize("NFC");
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw refuse(`is longer than ${MAX_PATH_BYTES} bytes`);
  if (path.includes("\\")) throw refuse("holds a backslash");
  if (path.startsWith("/") || /^[a-z]:/i.test(path)) throw refuse("is an absolute path");
  for (const segment of path.split("/")) {
    if (segment === "..") throw refuse("leads out of the workspace");
    if (segment === "" || segment === "." || segment.trim() !== segment) throw refuse("has an empty or padded part");
    if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)
      throw refuse(`has a part longer than ${MAX_SEGMENT_BYTES} bytes`);
  }
  if (!EXTENSION.test(path)) throw refuse("does not end in .yaml, .yml or .json");
  return path;
}

function shown(given: string): string {
  const text = JSON.stringify(given.length > 120 ? `${given.slice(0, 120)}…` : given);
  return text.replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
