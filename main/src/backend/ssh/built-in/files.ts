/** Writes a file over SFTP: under another name first, so that a broken transfer leaves nothing half-written behind. */
import { randomBytes } from "node:crypto";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Client, SFTPWrapper } from "ssh2";
import type { UploadOptions } from "../ssh-session.ts";
import { commandCanceled } from "./run.ts";

const CHUNK_BYTES = 32 * 1024;
/** Writes under way at once: enough for a long line, little enough to cancel soon. */
const PARALLEL_WRITES = 16;
const IDLE_TIMEOUT_MS = 30_000;
const NO_SUCH_FILE = 2;
const PERMISSION_DENIED = 3;

export interface UploadContext extends UploadOptions {
  readonly hostName: string;
  readonly ended: AbortSignal;
}

/**
 * @throws Failure INVALID_ARGUMENT, PERMISSION_DENIED, NOT_FOUND (the directory), DISK_FULL, HOST_UNSUPPORTED (no SFTP),
 * CANCELED, AGENT_UNREACHABLE (the connection was lost), INTERNAL
 */
export async function upload(
  sftp: SFTPWrapper,
  content: Uint8Array,
  path: string,
  context: UploadContext,
): Promise<void> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(stalled(context.hostName)), IDLE_TIMEOUT_MS);
  const cancel = () => stop.abort(commandCanceled(context.hostName));
  const lose = () => stop.abort(context.ended.reason);
  context.signal?.addEventListener("abort", cancel, { once: true });
  context.ended.addEventListener("abort", lose, { once: true });
  if (context.signal?.aborted) cancel();
  try {
    const job = new Upload(sftp, context, stop.signal, () => timer.refresh());
    await job.run(Buffer.from(content.buffer, content.byteOffset, content.byteLength), path);
  } finally {
    clearTimeout(timer);
    context.signal?.removeEventListener("abort", cancel);
    context.ended.removeEventListener("abort", lose);
    sftp.end();
  }
}

class Upload {
  readonly #sftp: SFTPWrapper;
  readonly #context: UploadContext;
  readonly #stop: AbortSignal;
  readonly #onProgress: () => void;

  constructor(sftp: SFTPWrapper, context: UploadContext, stop: AbortSignal, onProgress: () => void) {
    this.#sftp = sftp;
    this.#context = context;
    this.#stop = stop;
    this.#onProgress = onProgress;
  }

  async run(content: Buffer, path: string): Promise<void> {
    const slash = path.lastIndexOf("/") + 1;
    const temporary = `${path.slice(0, slash)}.${path.slice(slash)}.${randomBytes(6).toString("hex")}`;
    const mode = this.#context.mode ?? 0o600;
    const handle = await this.#ask<Buffer>(path, (done) => this.#sftp.open(temporary, "wx", { mode }, done));
    try {
      await this.#write(handle, content, path);
      // The umask of the account has no say in it.
      await this.#ask(path, (done) => this.#sftp.fsetstat(handle, { mode }, done));
      // Servers other than OpenSSH may not know it; then the data is as safe as theirs.
      await this.#ask(path, (done) => this.#sftp.ext_openssh_fsync(handle, done)).catch(
        ignoreUnlessStopped(this.#stop),
      );
      await this.#ask(path, (done) => this.#sftp.close(handle, done));
      await this.#rename(temporary, path);
    } catch (error) {
      await this.#removeBestEffort(handle, temporary);
      throw error;
    }
  }

  async #write(handle: Buffer, content: Buffer, path: string): Promise<void> {
    let nextAt = 0;
    let sentBytes = 0;
    const worker = async () => {
      while (nextAt < content.length) {
        const at = nextAt;
        nextAt += CHUNK_BYTES;
        const length = Math.min(CHUNK_BYTES, content.length - at);
        await this.#ask(path, (done) => this.#sftp.write(handle, content, at, length, at, done));
        sentBytes += length;
        this.#onProgress();
        this.#context.onProgress?.(sentBytes);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_WRITES }, worker));
  }

  /** Replaces a file that is there in one step where the server can. */
  async #rename(from: string, to: string): Promise<void> {
    try {
      await this.#ask(to, (done) => this.#sftp.ext_openssh_rename(from, to, done));
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== ErrorCode.HOST_UNSUPPORTED) throw error;
      await this.#ask(to, (done) => this.#sftp.rename(from, to, done));
    }
  }

  async #removeBestEffort(handle: Buffer, path: string): Promise<void> {
    if (this.#context.ended.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 2000);
      this.#sftp.close(handle, () =>
        this.#sftp.unlink(path, () => {
          clearTimeout(timer);
          resolve();
        }),
      );
    }).catch(() => {});
  }

  #ask<Result>(
    path: string,
    request: (done: (error?: Error | null, result?: unknown) => void) => unknown,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      const stop = () => reject(this.#stop.reason as Failure);
      if (this.#stop.aborted) return stop();
      this.#stop.addEventListener("abort", stop, { once: true });
      try {
        request((error, result) => {
          this.#stop.removeEventListener("abort", stop);
          if (!error) return resolve(result as Result);
          this.#failure(error, path).then(reject, reject);
        });
      } catch (error) {
        this.#stop.removeEventListener("abort", stop);
        reject(unsupported(this.#context.hostName, error));
      }
    });
  }

  async #failure(error: Error & { code?: unknown }, path: string): Promise<Failure> {
    const { hostName } = this.#context;
    const options = { cause: error };
    if (error.code === PERMISSION_DENIED) {
      return new Failure(
        {
          code: ErrorCode.PERMISSION_DENIED,
          message: `The account may not write ${path} on ${hostName}.`,
          hint: "Use an account that may, or one that may use sudo.",
        },
        options,
      );
    }
    if (error.code === NO_SUCH_FILE) {
      return new Failure(
        { code: ErrorCode.NOT_FOUND, message: `There is no directory for ${path} on ${hostName}.` },
        options,
      );
    }
    if (await this.#isDiskFull(path)) {
      return new Failure(
        {
          code: ErrorCode.DISK_FULL,
          message: `The disk of ${hostName} is full: ${path} was not written.`,
          hint: "Make room there, then try again.",
          retryable: true,
        },
        options,
      );
    }
    return new Failure(
      { code: ErrorCode.INTERNAL, message: `${path} was not written on ${hostName}: ${error.message.slice(0, 200)}.` },
      options,
    );
  }

  /** SFTP has one word for every other failure. */
  #isDiskFull(path: string): Promise<boolean> {
    const directory = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), 2000);
      const settle = (isFull: boolean) => {
        clearTimeout(timer);
        resolve(isFull);
      };
      try {
        this.#sftp.ext_openssh_statvfs(directory, (error: Error | undefined, status?: { f_bavail?: number }) =>
          settle(!error && status?.f_bavail !== undefined && Number(status.f_bavail) === 0),
        );
      } catch {
        settle(false);
      }
    });
  }
}

/** @throws Failure HOST_UNSUPPORTED, DEADLINE_EXCEEDED; a plain Error when the connection has no room for it */
export function openSftp(
  client: Client,
  { hostName, ended }: Pick<UploadContext, "hostName" | "ended">,
): Promise<SFTPWrapper> {
  return new Promise((resolve, reject) => {
    const lose = () => reject(ended.reason as Failure);
    if (ended.aborted) return lose();
    ended.addEventListener("abort", lose, { once: true });
    const timer = setTimeout(() => reject(stalled(hostName)), IDLE_TIMEOUT_MS);
    try {
      client.sftp((error, sftp) => {
        clearTimeout(timer);
        ended.removeEventListener("abort", lose);
        // Without a reason the session was opened, and the subsystem is not there.
        if (error) return reject("reason" in error ? error : unsupported(hostName, error));
        sftp.on("error", () => {});
        resolve(sftp);
      });
    } catch (error) {
      clearTimeout(timer);
      reject(unsupported(hostName, error));
    }
  });
}

function ignoreUnlessStopped(stop: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (stop.aborted) throw error;
  };
}

function unsupported(hostName: string, cause: unknown): Failure {
  return new Failure(
    {
      code: ErrorCode.HOST_UNSUPPORTED,
      message: `${hostName} does not take files over SFTP.`,
      hint: "Set `Subsystem sftp internal-sftp` in its sshd_config.",
    },
    { cause },
  );
}

function stalled(hostName: string): Failure {
  return new Failure({
    code: ErrorCode.DEADLINE_EXCEEDED,
    message: `The transfer to ${hostName} stood still for ${IDLE_TIMEOUT_MS / 1000} s.`,
    hint: "Try again.",
    retryable: true,
  });
}
