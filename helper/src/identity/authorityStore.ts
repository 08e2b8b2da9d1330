/** The authority's record in the store: written by compare, opened with the seal key of this host. Candidates only. */
import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { type AuthorityRecord, AuthorityRecordSchema } from "@wardline/api/wardline/v1/identity";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Keys } from "../cluster/keys.ts";
import type { ClusterStore, Compare, KeyValue, Operation } from "../cluster/store/clusterStore.ts";
import { Authority } from "./authority.ts";
import type { Guarded } from "./ports.ts";
import { encodeBundle } from "./trustBundle.ts";

export interface AuthorityStorePorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  /** 32 bytes, from IdentityStore.readSealKey. */
  readonly sealKey: Uint8Array;
  /** Of what the cluster was made: a record of other names is refused. */
  readonly clusterName: string;
  readonly trustDomain: string;
}

const MAX_RECORD_BYTES = 256 * 1024;

export function encodeAuthority(record: AuthorityRecord): Uint8Array {
  return Buffer.from(toJsonString(AuthorityRecordSchema, record));
}

/** Throws `Failure` IDENTITY_REFUSED. */
export function decodeAuthority(value: Uint8Array): AuthorityRecord {
  try {
    if (value.length > MAX_RECORD_BYTES) throw new RangeError("too large");
    return fromJsonString(AuthorityRecordSchema, Buffer.from(value).toString("utf8"), { ignoreUnknownFields: true });
  } catch {
    const message = "The record of the cluster's authority cannot be read.";
    throw new Failure({ code: ErrorCode.IDENTITY_REFUSED, message });
  }
}

export class AuthorityStore {
  readonly #ports: AuthorityStorePorts;
  #opened: { readonly revision: bigint; readonly authority: Authority } | null = null;

  constructor(ports: AuthorityStorePorts) {
    this.#ports = ports;
  }

  get clusterName(): string {
    return this.#ports.clusterName;
  }

  /**
   * Writes the first authority, and `together` in the same transaction (the cluster's record, the first member). Throws
   * ALREADY_EXISTS when the store holds a cluster: of two hosts that begin at the same moment one wins, and the other has
   * written nothing.
   */
  async initialise(
    authority: Authority,
    together: readonly Operation[] = [],
    guard: readonly Compare[] = [],
  ): Promise<void> {
    const { store, keys } = this.#ports;
    const isNew: Compare = { key: keys.authority, target: "create", operator: "=", number: 0n };
    const { succeeded } = await store.transact({
      compare: [isNew, ...guard],
      then: [...this.#puts(authority), ...together],
    });
    if (succeeded) return;
    throw new Failure({
      code: ErrorCode.ALREADY_EXISTS,
      message: "This store holds a cluster already. Nothing was written.",
      hint: "Join that cluster with a token of one of its candidates, or give an empty store.",
    });
  }

  /** The authority of now. Throws NOT_A_MEMBER when the store holds none, IDENTITY_REFUSED when it does not open. */
  async current(): Promise<Authority> {
    return (await this.#read()).authority;
  }

  /**
   * Changes the roots and tells who is trusted now, in one transaction. `change` gets the newest and may give the same back:
   * then nothing is written. Throws VERSION_CONFLICT when somebody else changed it meanwhile or `guard` does not hold.
   */
  async update(change: (authority: Authority) => Promise<Authority> | Authority, guard: Guarded): Promise<Authority> {
    const { store, keys } = this.#ports;
    const { authority, revision } = await this.#read();
    const changed = await change(authority);
    if (changed === authority) return authority;
    const isUnchanged: Compare = { key: keys.authority, target: "mod", operator: "=", number: revision };
    const { succeeded } = await store.transact({ compare: [isUnchanged, ...guard()], then: this.#puts(changed) });
    if (succeeded) return changed;
    const message = "The authority was changed by another host, or this one leads no more. Nothing was written.";
    throw new Failure({ code: ErrorCode.VERSION_CONFLICT, message, retryable: true });
  }

  #puts(authority: Authority): Operation[] {
    const { keys, sealKey } = this.#ports;
    return [
      { kind: "put", key: keys.authority, value: encodeAuthority(authority.toRecord(sealKey)) },
      { kind: "put", key: keys.bundle, value: encodeBundle(authority.bundle) },
    ];
  }

  async #read(): Promise<{ readonly authority: Authority; readonly revision: bigint }> {
    const { store, keys } = this.#ports;
    const { item } = await store.get(keys.authority);
    if (item === null) {
      const message = "The store holds no authority of this cluster.";
      throw new Failure({ code: ErrorCode.NOT_A_MEMBER, message });
    }
    if (this.#opened?.revision === item.modRevision) return this.#opened;
    const opened = { revision: item.modRevision, authority: this.#open(item) };
    this.#opened = opened;
    return opened;
  }

  #open(item: KeyValue): Authority {
    const { clusterName, trustDomain, sealKey } = this.#ports;
    const authority = Authority.open(decodeAuthority(item.value), sealKey);
    if (authority.clusterName === clusterName && authority.trustDomain === trustDomain) return authority;
    const message = "The store holds the authority of another cluster.";
    throw new Failure({ code: ErrorCode.IDENTITY_REFUSED, message });
  }
}
