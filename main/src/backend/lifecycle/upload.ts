/** Brings files of the manifest into a private directory of the user on the host; what is there whole is not sent again. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostWork } from "./host-work.ts";
import type { ManifestFile } from "./manifest.ts";
import { runScript } from "./script.ts";
import { requireSuccess } from "./script-failures.ts";
import { CLEAN, PREPARE, RECEIVE } from "./shared-scripts.ts";

const UPLOAD_DIRECTORY = ".wardline-upload";
const HASH_TIMEOUT_MS = 120_000;
const NONE = { kind: "none" } as const;

/** Returns the absolute path of the directory, as the host says it. @throws Failure */
export async function uploadFiles(work: HostWork, files: readonly ManifestFile[]): Promise<string> {
  const { session, progress } = work;
  const { signal } = progress;
  const parameters = (named: readonly ManifestFile[]) => [
    ...named.flatMap(({ name, sha256 }) => [name, sha256]),
    "end",
  ];
  const request = { privilege: NONE, timeoutMs: HASH_TIMEOUT_MS, signal };
  const prepared = await runScript(session, { ...request, script: PREPARE, parameters: parameters(files) });
  requireSuccess(prepared, "Preparing the upload");
  const directory = prepared.value("directory");
  if (!/^\/[ -~]{1,280}$/.test(directory) || directory.includes("/../")) {
    throw new Failure({
      code: ErrorCode.HOST_UNSUPPORTED,
      message: "The path of the home directory there has characters that this console does not pass on.",
      hint: "Connect as a user with a plainly named home directory.",
    });
  }
  const present = new Set(prepared.all("have"));
  const missing = files.filter(({ name }) => !present.has(name));
  const totalBytes = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  for (const file of missing) {
    await sendFile(work, file, (sentBytes) => {
      const [sent, total] = [doneBytes + sentBytes, totalBytes].map((bytes) => Math.round(bytes / 1e6));
      const percent = (100 * (doneBytes + sentBytes)) / totalBytes;
      progress.step("upload", `Uploading the agent, ${sent} of ${total} MB`, percent);
    });
    doneBytes += file.sizeBytes;
  }
  if (missing.length === 0) progress.step("upload", "The agent was uploaded before", 100);
  else {
    const received = await runScript(session, { ...request, script: RECEIVE, parameters: parameters(missing) });
    requireSuccess(received, "Checking the upload");
  }
  return directory;
}

async function sendFile(work: HostWork, file: ManifestFile, onProgress: (bytes: number) => void): Promise<void> {
  const content = await work.ports.agentPackage.content(file);
  work.progress.signal.throwIfAborted();
  onProgress(0);
  await work.session.upload(content, `${UPLOAD_DIRECTORY}/${file.name}.part`, {
    mode: 0o600,
    onProgress,
    signal: work.progress.signal,
  });
  onProgress(file.sizeBytes);
}

/** Removes what was uploaded. That it could not is no reason to call the work failed. */
export async function removeUpload({ session, ports, host }: HostWork): Promise<void> {
  try {
    await runScript(session, { script: CLEAN, privilege: NONE });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    ports.logger.warn({ host: host.id, code: error.code }, "upload not removed");
  }
}
