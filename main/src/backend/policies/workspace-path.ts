/** Names of workspace files: display names inside the console, never opened on any disk, and still kept harmless. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { hasInvisible, replaceInvisible } from "@wardline/domain/text";

const MAX_PATH_BYTES = 512;
const MAX_SEGMENT_BYTES = 255;
const EXTENSION = /\.(ya?ml|json)$/i;
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
  if (hasInvisible(given)) throw refuse("holds control or invisible characters");
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
  return replaceInvisible(text, (codePoint) => {
    const hex = codePoint.toString(16).padStart(4, "0");
    return codePoint > 0xffff ? `\\u{${hex}}` : `\\u${hex}`;
  });
}
