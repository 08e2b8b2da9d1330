/**
 * A member's secrets on its own disk, below `<stateDir>/cluster` (0700), each file 0600 and replaced as a whole:
 * `identity.json` (key, certificate, roots), on candidates `seal.key` and `authority.json` (the sealed record, for a start
 * without the store), and `tls/{ca,cert,key}.pem` for an etcd on the same host.
 */
import { mkdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { AuthorityRecord } from "@wardline/api/wardline/v1/identity";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { isErrno, replaceFile, syncDirectory, toWriteFailure } from "../files/atomicFile.ts";
import { decodeAuthority, encodeAuthority } from "./authorityStore.ts";
import { decodeIdentity, encodeIdentity, type StoredIdentity } from "./identityRecord.ts";
import { SEAL_KEY_BYTES } from "./sealing.ts";
import { type ExportTarget, exportTlsFiles } from "./tlsFiles.ts";

const MAX_FILE_BYTES = 1024 * 1024;

export class IdentityStore {
  readonly #directory: string;
  readonly #export: ExportTarget;

  /** @param exportTo where else the PEM files go, and which group may read them; `<stateDir>/cluster/tls` for root alone otherwise */
  constructor(stateDir: string, exportTo?: ExportTarget) {
    this.#directory = join(stateDir, "cluster");
    this.#export = exportTo ?? { directory: join(this.#directory, "tls"), groupId: null };
  }

  /** Where the PEM files are. */
  get tlsDirectory(): string {
    return this.#export.directory;
  }

  /** `null` = there is none. Throws `Failure` IDENTITY_REFUSED for a damaged file. */
  async readIdentity(): Promise<StoredIdentity | null> {
    const text = await this.#read("identity.json");
    return text === null ? null : decodeIdentity(text.toString("utf8"));
  }

  /** On disk when it returns, the PEM files as well. Throws `Failure` (DISK_FULL, INTERNAL). */
  async writeIdentity(stored: StoredIdentity): Promise<void> {
    await this.#write("identity.json", encodeIdentity(stored), "the identity of this host");
    try {
      const { bundlePem, chainPem, keyPem } = stored;
      await exportTlsFiles(this.#export, { "ca.pem": bundlePem, "cert.pem": chainPem, "key.pem": keyPem });
    } catch (error) {
      throw toWriteFailure(error, "the certificate for an etcd on this host");
    }
  }

  /** Before a renewal is asked for: the key must outlive a crash between the answer and the next write. */
  writeNextKey(stored: StoredIdentity): Promise<void> {
    return this.#write("identity.json", encodeIdentity(stored), "the next key of this host");
  }

  /** `null` on hosts that are no candidates. */
  async readSealKey(): Promise<Uint8Array | null> {
    const text = await this.#read("seal.key");
    if (text === null) return null;
    const key = Buffer.from(text.toString("utf8").trim(), "hex");
    if (key.length === SEAL_KEY_BYTES) return key;
    const message = "The seal key of this candidate is damaged on its disk.";
    const hint = "Let the host join again as a candidate; the other candidates have the key.";
    throw new Failure({ code: ErrorCode.IDENTITY_REFUSED, message, hint });
  }

  async writeSealKey(sealKey: Uint8Array): Promise<void> {
    await this.#write("seal.key", `${Buffer.from(sealKey).toString("hex")}\n`, "the seal key");
  }

  /** The last sealed record this candidate saw. */
  async readAuthority(): Promise<AuthorityRecord | null> {
    const text = await this.#read("authority.json");
    return text === null ? null : decodeAuthority(text);
  }

  async writeAuthority(record: AuthorityRecord): Promise<void> {
    await this.#write("authority.json", Buffer.from(encodeAuthority(record)).toString("utf8"), "the sealed authority");
  }

  /** After the host left the cluster. What else lies in the directory is not touched. */
  async remove(): Promise<void> {
    for (const name of ["identity.json", "seal.key", "authority.json"])
      await rm(join(this.#directory, name), { force: true });
    for (const name of ["ca.pem", "cert.pem", "key.pem"]) await rm(join(this.#export.directory, name), { force: true });
    await syncDirectory(this.#directory).catch(() => undefined);
  }

  async #read(name: string): Promise<Buffer | null> {
    const path = join(this.#directory, name);
    try {
      if ((await stat(path)).size > MAX_FILE_BYTES) throw new RangeError("too large");
      return await readFile(path);
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR")) return null;
      const message = `${path} cannot be read.`;
      throw new Failure({ code: ErrorCode.IDENTITY_REFUSED, message }, { cause: error });
    }
  }

  async #write(name: string, text: string, what: string): Promise<void> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await replaceFile(join(this.#directory, name), text);
    } catch (error) {
      throw toWriteFailure(error, what);
    }
  }
}
