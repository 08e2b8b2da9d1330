/**
 * This node's identity, renewed while it runs: at two thirds of its life a new key and certificate take the place of the old
 * ones, on disk and for each connection that is made from then on. One that is over is not shown to anybody any more.
 */
import { createPrivateKey } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { type RenewRequest, RenewRequestSchema, type RenewResponse } from "@wardline/api/wardline/peer/v1/peer";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import type { Clock } from "../agent/clock.ts";
import type { NodeIdentity } from "../cluster/ports.ts";
import { Mutex } from "../generations/mutex.ts";
import { type LoadedIdentity, loadIdentity, type StoredIdentity } from "./identityRecord.ts";
import type { IdentityStore } from "./identityStore.ts";
import { newPrivateKey, privateKeyPem, publicKeyBytes, signRenewal } from "./keyPairs.ts";
import { decodePem } from "./pem.ts";
import type { PeerIdentity } from "./ports.ts";
import { reissueOffline } from "./reissue.ts";
import { adoptBundle, decodeBundle, type Roots, readRoots, rootsPem } from "./trustBundle.ts";
import { verifyPeer } from "./verifyPeer.ts";

/** Asks an authority: a candidate over the peer link, or this node's own. Throws `Failure`. */
export type IdentityRenewal = (request: RenewRequest, self: PeerIdentity) => Promise<RenewResponse>;

export interface RenewingIdentityPorts {
  readonly store: IdentityStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
}

type Credentials = ReturnType<NodeIdentity["credentials"]>;

/** The wall clock may jump, so what is due is looked at often. */
const LOOK_EVERY_MS = 60_000;
const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 5 * 60_000;
/** Part of its life after which a certificate is renewed, and how much earlier that may be. */
const RENEW_AFTER = 2 / 3;
const JITTER = 0.1;
/** Less than this part of its life is left: a problem that people are told. */
const WARN_BELOW = 0.2;

export class RenewingIdentity implements NodeIdentity {
  readonly #ports: RenewingIdentityPorts;
  #loaded: LoadedIdentity;
  readonly #jitter: number;
  readonly #changes = new Mutex();
  readonly #listeners = new Set<() => void>();
  #renewal: IdentityRenewal | null = null;
  #cancelTimer: (() => void) | null = null;
  #attempt: Promise<void> | null = null;
  #failures = 0;
  #retryAtMs = 0;
  #lastProblem = "";

  private constructor(ports: RenewingIdentityPorts, loaded: LoadedIdentity) {
    this.#ports = ports;
    this.#loaded = loaded;
    this.#jitter = ports.random() * JITTER;
  }

  /**
   * Reads it from the disk. On a candidate whose certificate is over, the authority's record beside it gives a new one for the
   * same key, so that a cluster whose candidates were all off comes back by itself. Throws NOT_A_MEMBER when there is no
   * identity, IDENTITY_REFUSED for a damaged one.
   */
  static async open(ports: RenewingIdentityPorts): Promise<RenewingIdentity> {
    const stored = await ports.store.readIdentity();
    if (stored === null) {
      throw new Failure({
        code: ErrorCode.NOT_A_MEMBER,
        message: "This host has no identity of a cluster on its disk.",
      });
    }
    const identity = new RenewingIdentity(ports, loadIdentity(stored));
    if (identity.#isOver) await identity.#reissue();
    return identity;
  }

  get name(): string {
    return this.#loaded.stored.name;
  }

  get trustDomain(): string {
    return this.#loaded.stored.trustDomain;
  }

  get spiffeId(): string {
    return this.#loaded.leaf.uris[0] as string;
  }

  get expiresAtMs(): number {
    return this.#loaded.leaf.expiresAtMs;
  }

  /** SHA-256 over the present public key, 64 hex digits. */
  get keyFingerprint(): string {
    return this.#loaded.leaf.keyFingerprint;
  }

  /** Who this node trusts now. */
  get roots(): Roots {
    return this.#loaded.roots;
  }

  /** Throws IDENTITY_REFUSED once the certificate is over. */
  credentials(): Credentials {
    if (this.#isOver) throw this.#over();
    return this.renewalCredentials();
  }

  /** Also when it is over: for Renew, which alone is given to such a member. */
  renewalCredentials(): Credentials {
    const { chainPem, keyPem, bundlePem } = this.#loaded.stored;
    return { cert: chainPem, key: keyPem, ca: bundlePem };
  }

  /** Sentences for people; empty = all is well. */
  problems(): readonly string[] {
    const { startsAtMs, expiresAtMs } = this.#loaded.leaf;
    const nowMs = this.#ports.clock.wallMs();
    const end = new Date(expiresAtMs).toISOString();
    const reason = this.#lastProblem === "" ? "" : ` The last attempt to renew it failed: ${this.#lastProblem}`;
    if (nowMs >= expiresAtMs)
      return [`The certificate of this host ended at ${end}: it takes no part in the cluster.${reason}`];
    const isLate = expiresAtMs - nowMs < WARN_BELOW * (expiresAtMs - startsAtMs);
    if (isLate || this.#failures > 1)
      return [`The certificate of this host ends at ${end} and is not renewed yet.${reason}`];
    return nowMs < startsAtMs ? [`The certificate of this host starts only later: its clock is behind.`] : [];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Renews when it is due from now on, until `stop`. */
  start(renewal: IdentityRenewal): void {
    this.#renewal = renewal;
    this.#look();
  }

  async stop(): Promise<void> {
    this.#renewal = null;
    this.#cancelTimer?.();
    await this.#attempt?.catch(() => undefined);
  }

  /** Renews now. Throws `Failure`; the present certificate then goes on. Two calls are one renewal. */
  renewNow(): Promise<void> {
    this.#attempt ??= this.#renew().finally(() => {
      this.#attempt = null;
    });
    return this.#attempt;
  }

  /** What the store says of who is trusted (`Keys.bundle`). Throws IDENTITY_REFUSED when nobody trusted vouches for it. */
  async adoptBundle(value: Uint8Array): Promise<void> {
    const bundle = decodeBundle(value);
    const roots = adoptBundle(this.roots, this.#loaded.stored.bundleSequence, bundle);
    if (roots === null) return;
    const news = { bundlePem: rootsPem(roots), bundleSequence: bundle.sequence };
    await this.#take((stored) => ({ ...stored, ...news }));
  }

  /** This node as others see it. Throws IDENTITY_REFUSED when its own certificate does not hold. */
  #self(atMs: number): PeerIdentity {
    const self = verifyPeer(decodePem(this.#loaded.stored.chainPem), this.roots, atMs);
    if (self instanceof Failure) throw self;
    return self;
  }

  get #isOver(): boolean {
    return this.#ports.clock.wallMs() >= this.expiresAtMs;
  }

  #over(): Failure {
    return new Failure({
      code: ErrorCode.IDENTITY_REFUSED,
      message: `The certificate of this host ended at ${new Date(this.expiresAtMs).toISOString()}.`,
      hint: "It is renewed as soon as a candidate of the cluster is in reach. Compare the clocks of the hosts.",
      retryable: true,
    });
  }

  #look(): void {
    this.#cancelTimer?.();
    if (!this.#renewal) return;
    const { clock } = this.#ports;
    const nowMs = clock.wallMs();
    const dueMs = Math.max(this.#dueMs, this.#failures > 0 ? this.#retryAtMs : 0);
    if (nowMs >= dueMs) void this.#tryRenew();
    const waitMs = nowMs >= dueMs ? LOOK_EVERY_MS : Math.min(dueMs - nowMs, LOOK_EVERY_MS);
    this.#cancelTimer = clock.schedule(waitMs, () => this.#look());
  }

  get #dueMs(): number {
    const { startsAtMs, expiresAtMs } = this.#loaded.leaf;
    return startsAtMs + (expiresAtMs - startsAtMs) * (RENEW_AFTER - this.#jitter);
  }

  async #tryRenew(): Promise<void> {
    const { clock, log } = this.#ports;
    try {
      await this.renewNow();
    } catch (error) {
      this.#failures += 1;
      this.#lastProblem = error instanceof Error ? error.message : String(error);
      this.#retryAtMs = clock.wallMs() + Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), LAST_RETRY_MS);
      log.warn({ problem: this.#lastProblem, failures: this.#failures }, "the certificate could not be renewed");
      this.#tell();
    }
    this.#look();
  }

  async #renew(): Promise<void> {
    const renewal = this.#renewal;
    if (!renewal) throw new Failure({ code: ErrorCode.CANCELED, message: "The renewal of certificates is stopped." });
    const { store, clock, log } = this.#ports;
    const { leaf, stored } = this.#loaded;
    const nextKey = stored.nextKeyPem === "" ? newPrivateKey() : createPrivateKey(stored.nextKeyPem);
    const asking = { ...stored, nextKeyPem: privateKeyPem(nextKey) };
    await store.writeNextKey(asking);
    this.#loaded = { ...this.#loaded, stored: asking };
    const request = create(RenewRequestSchema, {
      publicKey: publicKeyBytes(nextKey),
      proof: signRenewal(nextKey, leaf.fingerprint),
    });
    const self = this.#self(Math.min(clock.wallMs(), leaf.expiresAtMs - 1));
    const { certificateChainPem, bundlePem } = await renewal(request, self);
    await this.#take((present) => ({
      ...present,
      keyPem: asking.nextKeyPem,
      chainPem: certificateChainPem,
      bundlePem: rootsPem(readRoots(present.trustDomain, bundlePem)),
      nextKeyPem: "",
    }));
    this.#failures = 0;
    this.#lastProblem = "";
    log.info({ expiresAt: new Date(this.expiresAtMs).toISOString() }, "the certificate of this host was renewed");
  }

  /** Takes it when it holds, on disk first; one after the other, so that neither undoes the other. */
  #take(change: (present: StoredIdentity) => StoredIdentity): Promise<void> {
    return this.#changes.run(async () => {
      const { store, clock } = this.#ports;
      const stored = change(this.#loaded.stored);
      const loaded = loadIdentity(stored);
      const atMs = Math.min(clock.wallMs(), loaded.leaf.expiresAtMs - 1);
      const proven = verifyPeer(decodePem(stored.chainPem), loaded.roots, atMs);
      if (proven instanceof Failure) throw proven;
      await store.writeIdentity(stored);
      this.#loaded = loaded;
      this.#tell();
    });
  }

  async #reissue(): Promise<void> {
    const { store, clock, log } = this.#ports;
    const again = await reissueOffline(store, this.#loaded, clock.wallMs());
    if (again === null) return;
    await this.#take(() => again);
    log.warn({}, "the certificate of this candidate was over; it gave itself a new one for the same key");
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
