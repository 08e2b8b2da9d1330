/**
 * Secrets of receivers: sealed by the keyring where the shell has one, else in a file that only this user can read. They go
 * from here to the delivery and nowhere else: not into answers, logs or errors.
 */
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { SecretsPort } from "../ports.ts";
import type { ConfigurationTables } from "./configuration-tables.ts";

export const LONGEST_SECRET = 1_024;
const FILE_NAME = "alert-secrets.json";

export interface ReceiverSecretsPorts {
  readonly tables: ConfigurationTables;
  readonly keyring: SecretsPort | undefined;
  readonly stateDir: string;
}

export class ReceiverSecrets {
  readonly #ports: ReceiverSecretsPorts;
  readonly #path: string;

  constructor(ports: ReceiverSecretsPorts) {
    this.#ports = ports;
    this.#path = join(ports.stateDir, FILE_NAME);
  }

  /** Where it is kept; empty = there is none. */
  placeOf(receiver: string): "keyring" | "file" | "" {
    if (this.#ports.tables.sealedSecret(receiver)) return "keyring";
    return Object.hasOwn(this.#read(), receiver) ? "file" : "";
  }

  /** @throws Failure INVALID_ARGUMENT, DISK_FULL, PERMISSION_DENIED */
  async set(receiver: string, secret: string): Promise<void> {
    if (secret.length > LONGEST_SECRET) {
      throw new Failure({ code: ErrorCode.TOO_LARGE, message: `A secret has at most ${LONGEST_SECRET} characters.` });
    }
    const { keyring, tables } = this.#ports;
    if (keyring && (await keyring.protection()) === "keyring") {
      tables.setSealedSecret(receiver, await keyring.encrypt(secret));
      this.#change((all) => delete all[receiver]);
    } else {
      this.#change((all) => Object.assign(all, { [receiver]: secret }));
      tables.setSealedSecret(receiver, null);
    }
  }

  /** `null` = there is none. @throws Failure UNAUTHENTICATED when this process has not the keyring that sealed it */
  async get(receiver: string): Promise<string | null> {
    const { keyring, tables } = this.#ports;
    const sealed = tables.sealedSecret(receiver);
    if (!sealed) {
      const all = this.#read();
      return Object.hasOwn(all, receiver) ? (all[receiver] ?? null) : null;
    }
    try {
      if (keyring) return await keyring.decrypt(sealed);
    } catch {
      // Another keyring than the one that sealed it; what it says may hold parts of the secret.
    }
    throw new Failure({
      code: ErrorCode.UNAUTHENTICATED,
      message: `The secret of the receiver "${receiver}" is in a keyring that this process cannot open.`,
      hint: "Set it again from here, or let the desktop console deliver.",
    });
  }

  forget(receiver: string): void {
    this.#ports.tables.setSealedSecret(receiver, null);
    if (Object.hasOwn(this.#read(), receiver)) this.#change((all) => delete all[receiver]);
  }

  #read(): Record<string, string> {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
      throw fileFailure(this.#path, error);
    }
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === "object" && value !== null) return value as Record<string, string>;
    } catch {
      // Said below; the parser's message would show what is in the file.
    }
    throw new Failure({
      code: ErrorCode.INTERNAL,
      message: `${this.#path} is damaged.`,
      hint: "Remove it and set the secrets again.",
    });
  }

  /** Written beside it, private from the first byte, and put in place whole. */
  #change(edit: (all: Record<string, string>) => unknown): void {
    const all = this.#read();
    edit(all);
    const partialPath = `${this.#path}.partial-${process.pid}`;
    try {
      rmSync(partialPath, { force: true });
      if (Object.keys(all).length === 0) {
        rmSync(this.#path, { force: true });
        return;
      }
      const file = openSync(partialPath, "wx", 0o600);
      try {
        writeSync(file, JSON.stringify(all));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      chmodSync(partialPath, 0o600);
      renameSync(partialPath, this.#path);
    } catch (error) {
      rmSync(partialPath, { force: true });
      throw fileFailure(this.#path, error);
    }
  }
}

function fileFailure(path: string, error: unknown): Failure {
  const code = (error as NodeJS.ErrnoException).code ?? "unknown";
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  return new Failure({
    code: isFull ? ErrorCode.DISK_FULL : ErrorCode.PERMISSION_DENIED,
    message: `${path} cannot be read or written: ${code}.`,
    retryable: isFull,
  });
}
