/** A cluster's identities without its network: an authority in a store, candidates that let hosts in, state directories. */
import { createPublicKey, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { JoinRequestSchema } from "@wardline/api/wardline/peer/v1/peer";
import { type MemberRecord, StoreConfigurationSchema, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { pino } from "pino";
import type { Clock } from "../agent/clock.ts";
import { Keys } from "../cluster/keys.ts";
import type { ClusterStore } from "../cluster/store/clusterStore.ts";
import { Admission } from "../identity/admission.ts";
import { AuthorityStore } from "../identity/authorityStore.ts";
import { type Founding, foundCluster } from "../identity/founding.ts";
import type { StoredIdentity } from "../identity/identityRecord.ts";
import { IdentityStore } from "../identity/identityStore.ts";
import { JoinTokens, type TokenRequest } from "../identity/joinTokens.ts";
import { parseJoinToken } from "../identity/joinTokenText.ts";
import { newPrivateKey, privateKeyPem, publicKeyBytes, signJoin } from "../identity/keyPairs.ts";
import { decodeMember, encodeMember } from "../identity/memberRecords.ts";
import type { IdentityEvent, MemberDirectory } from "../identity/ports.ts";
import { RenewingIdentity } from "../identity/renewingIdentity.ts";
import { MemoryClusterStore, MemoryStoreState } from "./memoryClusterStore.ts";

export const CLUSTER = { clusterName: "demo", trustDomain: "demo.wardline" } as const;

export interface IdentityLabOptions {
  readonly clock: Clock;
  readonly peerAddress?: string;
  readonly store?: ClusterStore;
}

export class IdentityLab {
  readonly keys = new Keys();
  readonly clock: Clock;
  readonly store: ClusterStore;
  readonly founding: Founding;
  readonly authorityStore: AuthorityStore;
  readonly admission: Admission;
  readonly tokens: JoinTokens;
  readonly events: IdentityEvent[] = [];
  readonly #directories: string[] = [];
  readonly #listeners = new Set<() => void>();

  private constructor({ clock, store }: { clock: Clock; store: ClusterStore }, founding: Founding) {
    this.clock = clock;
    this.store = store;
    this.founding = founding;
    const { keys } = this;
    this.authorityStore = new AuthorityStore({ store, keys, sealKey: founding.sealKey, ...CLUSTER });
    this.tokens = new JoinTokens({ store, keys, wallMs: () => clock.wallMs() });
    this.admission = this.candidate(founding.record.name);
  }

  /** A cluster of one candidate, `a`. */
  static async create(options: IdentityLabOptions): Promise<IdentityLab> {
    const { clock, peerAddress = "10.0.0.1:7443" } = options;
    const store = options.store ?? new MemoryClusterStore(new MemoryStoreState(clock));
    const founding = await foundCluster({
      ...CLUSTER,
      memberName: "a",
      peerAddress,
      labels: {},
      admittedBy: "root (uid 0) on a",
      nowMs: clock.wallMs(),
    });
    const lab = new IdentityLab({ clock, store }, founding);
    const { record, authority } = founding;
    const member = { kind: "put" as const, key: lab.keys.member(record.name), value: encodeMember(record) };
    await lab.authorityStore.initialise(authority, [member]);
    return lab;
  }

  candidate(selfName: string): Admission {
    const { store, keys, clock, founding, authorityStore } = this;
    return new Admission({
      store,
      keys,
      clock,
      selfName,
      authority: () => authorityStore.current(),
      settings: () => ({
        ...CLUSTER,
        leaseMs: 5_000,
        store: create(StoreConfigurationSchema, { kind: StoreKind.ETCD, endpoints: ["https://10.0.0.1:2379"] }),
      }),
      sealKey: founding.sealKey,
      audit: (event) => this.events.push(event),
    });
  }

  async token(request: Partial<TokenRequest> = {}): Promise<string> {
    const { founding } = this;
    const full = {
      memberName: "",
      candidate: false,
      labels: {},
      lifeMs: 600_000,
      createdBy: "root (uid 0) on a",
      ...request,
    };
    const { trustDomain, signingFingerprint } = await this.authorityStore.current();
    const candidates = [{ name: founding.record.name, peerAddress: founding.record.peerAddress }];
    const origin = { trustDomain, rootFingerprint: signingFingerprint, candidates };
    const { text } = await this.tokens.create(full, origin, () => []);
    return text;
  }

  joinRequest(token: string, memberName: string, key: KeyObject = newPrivateKey(), peerAddress = "10.0.0.9:7443") {
    const { id, secret } = parseJoinToken(token);
    return create(JoinRequestSchema, {
      tokenId: id,
      tokenSecret: secret,
      memberName,
      peerAddress,
      publicKey: publicKeyBytes(key),
      proof: signJoin(key, id, memberName),
    });
  }

  /** Lets a host in without a network between. */
  async join(memberName: string, candidate = false, peerAddress = "10.0.0.9:7443"): Promise<StoredIdentity> {
    const key = newPrivateKey();
    const request = this.joinRequest(await this.token({ candidate }), memberName, key, peerAddress);
    const { certificateChainPem, bundlePem } = await this.admission.join(request, "10.0.0.9");
    this.changed();
    return {
      name: memberName,
      trustDomain: CLUSTER.trustDomain,
      keyPem: privateKeyPem(key),
      chainPem: certificateChainPem,
      bundlePem,
      bundleSequence: 0n,
      nextKeyPem: "",
    };
  }

  async record(name: string): Promise<MemberRecord | null> {
    const { item } = await this.store.get(this.keys.member(name));
    return item ? decodeMember(item.value) : null;
  }

  async remove(name: string): Promise<void> {
    await this.store.transact({ compare: [], then: [{ kind: "delete", key: this.keys.member(name) }] });
    this.changed();
  }

  /** Listeners of the directory hear that something changed. */
  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** What a node knows: nothing by itself, everything when it asks the store. */
  directory(): MemberDirectory {
    const known = new Map<string, MemberRecord>();
    return {
      find: (name) => known.get(name) ?? null,
      refresh: async (name) => {
        const record = await this.record(name);
        if (record) known.set(name, record);
        else known.delete(name);
        return record;
      },
      onChange: (listener) => {
        const forget = () => {
          known.clear();
          listener();
        };
        this.#listeners.add(forget);
        return () => this.#listeners.delete(forget);
      },
    };
  }

  stateDirectory(): string {
    const directory = mkdtempSync(join(tmpdir(), "wardline-identity-"));
    this.#directories.push(directory);
    return directory;
  }

  async identity(
    stored: StoredIdentity,
    stateDir = this.stateDirectory(),
    clock = this.clock,
  ): Promise<RenewingIdentity> {
    const store = new IdentityStore(stateDir);
    await store.writeIdentity(stored);
    return this.openIdentity(stateDir, clock);
  }

  openIdentity(stateDir: string, clock = this.clock): Promise<RenewingIdentity> {
    const log = pino({ enabled: false });
    return RenewingIdentity.open({ store: new IdentityStore(stateDir), clock, log, random: () => 0.5 });
  }

  close(): void {
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
  }
}

export function publicKeyOf(keyPem: string): KeyObject {
  return createPublicKey(keyPem);
}
