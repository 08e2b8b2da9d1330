/** What a script's `@@ failed` means to a person. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { ScriptAnswer } from "./script.ts";

const NOTHING_CHANGED = "The agent there, if there is one, runs on unchanged.";

/** Sentences by word; `detail` is the script's, bounded and visible already. */
const MEANINGS: Readonly<Record<string, (detail: string) => Failure>> = {
  account: (name) =>
    failure(ErrorCode.NOT_FOUND, `There is no account "${name}" on this host.`, "Name accounts that exist there."),
  busy: () =>
    failure(
      ErrorCode.CONFIRMATION_PENDING,
      "The agent on this host is being installed, upgraded or removed by somebody else right now.",
      "Try again in a minute.",
      true,
    ),
  directory: (path) =>
    failure(
      ErrorCode.PERMISSION_DENIED,
      `${path} is a link or belongs to somebody else, so nothing is uploaded into it.`,
      "Remove it there.",
    ),
  group: (name) =>
    failure(ErrorCode.HOST_UNSUPPORTED, `The group ${name} could not be made.`, "Make it by hand there."),
  hash: (name) =>
    failure(
      ErrorCode.MANIFEST_INVALID,
      `What arrived as ${name} is not the file of the manifest. It was removed.`,
      "Try again; if it stays, look for a fault of the disk or of the connection.",
      true,
    ),
  home: (path) =>
    failure(ErrorCode.DISK_FULL, `Nothing can be written to the home directory ${path}.`, "Make it exist, with space."),
  layout: (path) =>
    failure(ErrorCode.HOST_UNSUPPORTED, `${path} is a symbolic link.`, "Remove it: the agent is put nowhere else."),
  member: (name) =>
    failure(ErrorCode.HOST_UNSUPPORTED, `${name} could not be added to the groups.`, "Add the account by hand there."),
  nobinary: (path) =>
    failure(
      ErrorCode.AGENT_MISSING,
      `${path} is not there, but what an agent made is: only an agent can end its enforcement.`,
      "Install the agent again, then uninstall it.",
    ),
  previous: () =>
    failure(
      ErrorCode.NOT_FOUND,
      "There is no version before this one on the host.",
      "Install the version that you want.",
    ),
  read: (path) =>
    failure(
      ErrorCode.PERMISSION_DENIED,
      `root cannot read ${path} there (a home directory on NFS, perhaps).`,
      "Connect as a user whose home directory is on the machine itself.",
    ),
  refused: (words) =>
    failure(
      ErrorCode.CONFIRMATION_PENDING,
      `The agent refused to be removed and runs on: ${words}`,
      "Settle what it names, then uninstall again.",
    ),
  root: () => failure(ErrorCode.PERMISSION_DENIED, "sudo did not give root.", "Look at the rules of sudo there."),
  runs: (words) =>
    failure(
      ErrorCode.HOST_UNSUPPORTED,
      `The agent does not run on this host: ${words || "it said nothing"}. It was removed again. ${NOTHING_CHANGED}`,
      "What it names is missing there, or the disk is mounted noexec.",
    ),
  space: (kb) =>
    failure(
      ErrorCode.DISK_FULL,
      `There are only ${Math.round(Number(kb) / 1024)} MB left where the agent is installed.`,
      "Make space on that file system.",
      true,
    ),
  staged: () =>
    failure(ErrorCode.INTERNAL, "What was prepared on the host is gone.", "Start the installation again.", true),
  unpack: () =>
    failure(ErrorCode.DISK_FULL, "The agent could not be unpacked there.", "Look for space and gzip.", true),
  write: (path) =>
    failure(
      ErrorCode.DISK_FULL,
      `${path} cannot be written: the disk is full or mounted read-only.`,
      "Make space; on a system with a read-only /usr, install the agent with the image.",
      true,
    ),
};

/** Throws what the script failed with, or what its end without an answer means. */
export function requireSuccess(answer: ScriptAnswer, what: string): void {
  const { failed, exitCode, lastWords } = answer;
  const known = failed && MEANINGS[failed.word];
  if (known) throw known(failed.detail);
  if (exitCode === 0 && !failed) return;
  throw failure(
    ErrorCode.INTERNAL,
    `${what} ended with ${exitCode === null ? "a signal" : `exit code ${exitCode}`}${lastWords === "" ? "" : `: ${lastWords}`}.`,
    "Start it again; if it stays, the last words are what to look for on the host.",
    true,
  );
}

function failure(code: ErrorCode, message: string, hint: string, retryable = false): Failure {
  return new Failure({ code, message, hint, retryable });
}
