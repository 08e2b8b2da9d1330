/**
 * A server's certificate for an etcd on a candidate's own host, kept fresh: `<stateDir>/cluster/etcd/{ca,cert,key}.pem`. etcd
 * reads certificate and key at each handshake, so nothing has to be restarted. A member's own certificate would not do: its
 * address is what the host said of itself, so nobody takes it for a server.
 */
import { createPublicKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Clock } from "../agent/clock.ts";
import { isErrno } from "../files/atomicFile.ts";
import type { Authority } from "./authority.ts";
import { type CertificateFacts, readCertificate } from "./certificate.ts";
import { newPrivateKey, privateKeyPem } from "./keyPairs.ts";
import { decodePem } from "./pem.ts";
import { SERVER_LIFE_MS } from "./serverRequest.ts";
import { type ExportTarget, exportTlsFiles } from "./tlsFiles.ts";

export interface ServerFilesPorts {
  readonly target: ExportTarget;
  readonly memberName: string;
  /** Of the peer address; the loopback address goes in beside it. */
  readonly ipAddress: string;
  readonly authority: () => Promise<Authority>;
  readonly clock: Clock;
  readonly log: Logger;
}

const LOOK_EVERY_MS = 3_600_000;
const RETRY_MS = 60_000;
const RENEW_AFTER = 2 / 3;

export class ServerFiles {
  readonly #ports: ServerFilesPorts;
  #cancel: (() => void) | null = null;
  #isStopped = false;

  constructor(ports: ServerFilesPorts) {
    this.#ports = ports;
  }

  /** Looks now and every hour. Never throws: an etcd elsewhere does not need the files. */
  async start(): Promise<void> {
    if (this.#isStopped) return;
    const { clock, log } = this.#ports;
    let againMs = LOOK_EVERY_MS;
    try {
      await this.refresh();
    } catch (error) {
      againMs = RETRY_MS;
      log.warn({ err: error }, "the certificate for an etcd on this host could not be renewed");
    }
    if (!this.#isStopped) this.#cancel = clock.schedule(againMs, () => void this.start());
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** Writes new files when they are missing, old, or of another root, address or trust. True when it did. Throws `Failure`. */
  async refresh(): Promise<boolean> {
    const { target, memberName, ipAddress, authority: current, clock } = this.#ports;
    const authority = await current();
    if (await this.#isFresh(authority)) return false;
    const privateKey = newPrivateKey();
    const { chainPem } = await authority.issueServer({
      name: memberName.replaceAll(".", "-").slice(0, 63).replace(/-+$/, ""),
      publicKey: createPublicKey(privateKey),
      dnsNames: [memberName, "localhost"],
      ipAddresses: [...new Set([ipAddress, "127.0.0.1"])],
      nowMs: clock.wallMs(),
      lifeMs: SERVER_LIFE_MS,
    });
    const files = { "ca.pem": authority.bundlePem, "cert.pem": chainPem, "key.pem": privateKeyPem(privateKey) };
    await exportTlsFiles(target, files);
    return true;
  }

  async #isFresh(authority: Authority): Promise<boolean> {
    const { ipAddress, clock } = this.#ports;
    const leaf = await this.#leaf();
    if (leaf === null) return false;
    const dueMs = leaf.startsAtMs + (leaf.expiresAtMs - leaf.startsAtMs) * RENEW_AFTER;
    const nowMs = clock.wallMs();
    const root = authority.trusted.certificates.find(({ fingerprint }) => fingerprint === authority.signingFingerprint);
    const isOfRoot = root !== undefined && leaf.x509.verify(root.x509.publicKey);
    const isForAddress = leaf.x509.checkIP(ipAddress) !== undefined;
    const bundle = await this.#read("ca.pem");
    return nowMs >= leaf.startsAtMs && nowMs < dueMs && isOfRoot && isForAddress && bundle === authority.bundlePem;
  }

  async #leaf(): Promise<CertificateFacts | null> {
    const pem = await this.#read("cert.pem");
    if (pem === null || (await this.#read("key.pem")) === null) return null;
    try {
      return readCertificate(decodePem(pem)[0] as Uint8Array);
    } catch {
      return null;
    }
  }

  async #read(name: string): Promise<string | null> {
    try {
      return await readFile(join(this.#ports.target.directory, name), "utf8");
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR")) return null;
      throw error;
    }
  }
}
