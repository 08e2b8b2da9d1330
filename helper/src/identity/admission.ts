/** A candidate lets hosts in, gives members new certificates, and servers theirs. Stands behind the peer service. */
import type { KeyObject } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type JoinRequest,
  type JoinResponse,
  JoinResponseSchema,
  type RenewRequest,
  type RenewResponse,
  RenewResponseSchema,
} from "@wardline/api/wardline/peer/v1/peer";
import { type MemberRecord, MemberRecordSchema } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { isMemberName } from "@wardline/domain/identity";
import { bootMs, type Clock } from "../agent/clock.ts";
import type { Keys } from "../cluster/keys.ts";
import type { ClusterStore, Compare } from "../cluster/store/clusterStore.ts";
import type { Authority, IssuedCertificate } from "./authority.ts";
import { fingerprintOfKey, readPublicKey } from "./certificate.ts";
import { type FoundToken, invalidToken, JoinTokens } from "./joinTokens.ts";
import { isJoinSigned, isRenewalSigned } from "./keyPairs.ts";
import { memberProblem, RENEW_AFTER_EXPIRY_MS } from "./memberGate.ts";
import { decodeMember, encodeMember } from "./memberRecords.ts";
import { parsePeerAddress } from "./peerAddress.ts";
import type { ClusterSettings, Guarded, IdentityAudit, PeerIdentity } from "./ports.ts";
import { subjectOfAddress, TryLimiter } from "./tryLimiter.ts";

export interface AdmissionPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly clock: Clock;
  /** Of this host: whoever was removed lets nobody in. */
  readonly selfName: string;
  /** `AuthorityStore.current`. */
  readonly authority: () => Promise<Authority>;
  readonly settings: () => ClusterSettings;
  readonly sealKey: Uint8Array;
  readonly audit: IdentityAudit;
}

const WRONG_TOKENS = { perSubject: 10, together: 200 };
const RENEWALS = { perSubject: 10, together: 20_000 };
const MAX_ATTEMPTS = 4;

export class Admission {
  readonly #ports: AdmissionPorts;
  readonly #tokens: JoinTokens;
  readonly #wrongTokens: TryLimiter;
  readonly #renewals: TryLimiter;

  constructor(ports: AdmissionPorts) {
    this.#ports = ports;
    const { store, keys, clock } = ports;
    this.#tokens = new JoinTokens({ store, keys, wallMs: () => clock.wallMs() });
    this.#wrongTokens = new TryLimiter(WRONG_TOKENS, () => bootMs(clock));
    this.#renewals = new TryLimiter(RENEWALS, () => bootMs(clock));
  }

  /**
   * Throws TOKEN_INVALID, INVALID_ARGUMENT, ALREADY_EXISTS (the name is taken), STORE_UNAVAILABLE. The same host may ask again
   * with the same key while the token lasts, because an answer can get lost.
   * @param remoteAddress for the limit of wrong tries and for the audit log
   */
  async join(request: JoinRequest, remoteAddress: string): Promise<JoinResponse> {
    try {
      const publicKey = readJoin(request);
      const found = await this.#findToken(request, remoteAddress);
      const keyFingerprint = fingerprintOfKey(publicKey);
      const response = await this.#admit(request, found, publicKey, keyFingerprint);
      this.#audit("join", request.memberName, `from ${remoteAddress}, let in by ${found.record.createdBy}`);
      return response;
    } catch (error) {
      const reason = error instanceof Failure ? ErrorCode[error.code] : "failed";
      this.#audit("join-refused", shownName(request.memberName), `from ${remoteAddress}: ${reason}`);
      throw error;
    }
  }

  /** Throws IDENTITY_REFUSED, NOT_A_MEMBER, INVALID_ARGUMENT, STORE_UNAVAILABLE. `caller` is proven, its record is read anew here. */
  async renew(request: RenewRequest, caller: PeerIdentity): Promise<RenewResponse> {
    const { clock } = this.#ports;
    if (!this.#renewals.mayTry(caller.name)) {
      throw refused(`${caller.name} asks for certificates too often.`, true);
    }
    this.#renewals.count(caller.name);
    const publicKey = readPublicKey(request.publicKey);
    if (!publicKey) throw invalid("The public key is not an ECDSA key on P-256.");
    if (!isRenewalSigned(publicKey, caller.certificateFingerprint, request.proof)) {
      throw refused("The request is not signed with the new key.");
    }
    const authority = await this.#ports.authority();
    const issued = await this.#rewrite(caller, async (record) => {
      const problem = memberProblem(caller, record, clock.wallMs(), RENEW_AFTER_EXPIRY_MS);
      if (problem) throw problem;
      return this.#issue(authority, record as MemberRecord, publicKey);
    });
    return create(RenewResponseSchema, { certificateChainPem: issued.chainPem, bundlePem: authority.bundlePem });
  }

  async #findToken(request: JoinRequest, remoteAddress: string): Promise<FoundToken> {
    const subject = subjectOfAddress(remoteAddress);
    if (!this.#wrongTokens.mayTry(subject)) {
      const message = "Too many join tokens that do not count were tried. Try again in a minute.";
      throw new Failure({ code: ErrorCode.TOKEN_INVALID, message, retryable: true });
    }
    try {
      const found = await this.#tokens.find(request.tokenId, request.tokenSecret);
      const { memberName } = found.record;
      if (memberName !== "" && memberName !== request.memberName) throw invalidToken();
      return found;
    } catch (error) {
      if (error instanceof Failure && error.code === ErrorCode.TOKEN_INVALID) this.#wrongTokens.count(subject);
      throw error;
    }
  }

  async #admit(
    request: JoinRequest,
    found: FoundToken,
    publicKey: KeyObject,
    keyFingerprint: string,
  ): Promise<JoinResponse> {
    const { store, keys, clock } = this.#ports;
    const authority = await this.#ports.authority();
    const wasUsed = found.record.usedBy !== "";
    if (wasUsed && (found.record.usedBy !== request.memberName || found.record.usedByKey !== keyFingerprint)) {
      throw invalidToken();
    }
    const bare = memberFrom(request, found, clock.wallMs(), keyFingerprint);
    const issued = await this.#issue(authority, bare, publicKey);
    if (wasUsed) return this.#answer(authority, issued, await this.#present(request.memberName, keyFingerprint));
    const record = create(MemberRecordSchema, {
      ...bare,
      spiffeId: issued.spiffeId,
      certificateExpiresAt: timestampFromMs(issued.expiresAtMs),
    });
    const use = this.#tokens.use(found, request.memberName, keyFingerprint);
    const memberKey = keys.member(request.memberName);
    const {
      succeeded,
      found: [present],
    } = await store.transact({
      compare: [use.compare, { key: memberKey, target: "create", operator: "=", number: 0n }, ...this.#guard()],
      then: [use.put, { kind: "put", key: memberKey, value: encodeMember(record) }],
      otherwise: [{ kind: "get", key: memberKey }],
    });
    if (succeeded) return this.#answer(authority, issued, record);
    if (present) throw nameTaken(request.memberName);
    // The token was used at the same moment, or this candidate was removed.
    throw invalidToken();
  }

  /** The record of a host that asks for the second time. */
  async #present(name: string, keyFingerprint: string): Promise<MemberRecord> {
    const { store, keys } = this.#ports;
    const { item } = await store.get(keys.member(name));
    const record = item ? decodeMember(item.value) : null;
    if (record?.keyFingerprint !== keyFingerprint) throw invalidToken();
    return record;
  }

  #answer(authority: Authority, issued: IssuedCertificate, record: MemberRecord): JoinResponse {
    const { settings, sealKey } = this.#ports;
    const { clusterName, trustDomain, store, leaseMs } = settings();
    return create(JoinResponseSchema, {
      clusterName,
      trustDomain,
      certificateChainPem: issued.chainPem,
      bundlePem: authority.bundlePem,
      record,
      store,
      sealKey: record.candidate ? sealKey : new Uint8Array(),
      leaseMs,
    });
  }

  #issue(authority: Authority, record: MemberRecord, publicKey: KeyObject): Promise<IssuedCertificate> {
    const { ipAddress } = parsePeerAddress(record.peerAddress);
    return authority.issueMember({ name: record.name, publicKey, ipAddress, nowMs: this.#ports.clock.wallMs() });
  }

  /** Writes the new key beside the one that the caller has just used. Others may write the record meanwhile: then once more. */
  async #rewrite(
    caller: PeerIdentity,
    issue: (record: MemberRecord | null) => Promise<IssuedCertificate>,
  ): Promise<IssuedCertificate> {
    const { store, keys } = this.#ports;
    const key = keys.member(caller.name);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const { item } = await store.get(key);
      const present = item ? decodeMember(item.value) : null;
      const issued = await issue(present);
      if (!item || !present) break;
      const record = withKey(present, issued, caller);
      const isUnchanged: Compare = { key, target: "mod", operator: "=", number: item.modRevision };
      const { succeeded } = await store.transact({
        compare: [isUnchanged, ...this.#guard()],
        then: [{ kind: "put", key, value: encodeMember(record) }],
      });
      if (!succeeded) continue;
      this.#audit("renew", caller.name, `until ${new Date(issued.expiresAtMs).toISOString()}`);
      return issued;
    }
    throw refused(`The record of ${caller.name} changes too fast, or this candidate was removed.`, true);
  }

  readonly #guard: Guarded = () => {
    const { keys, selfName } = this.#ports;
    return [{ key: keys.member(selfName), target: "create", operator: ">", number: 0n }];
  };

  #audit(action: "join" | "renew" | "join-refused", subject: string, detail: string): void {
    this.#ports.audit({ action, subject, detail });
  }
}

function readJoin(request: JoinRequest): KeyObject {
  if (!isMemberName(request.memberName)) throw invalid("The host's name is no host name in lower case.");
  parsePeerAddress(request.peerAddress);
  const publicKey = readPublicKey(request.publicKey);
  if (!publicKey) throw invalid("The public key is not an ECDSA key on P-256.");
  if (request.tokenId.length > 64 || request.tokenSecret.length > 64) throw invalidToken();
  if (!isJoinSigned(publicKey, request.tokenId, request.memberName, request.proof)) {
    throw refused("The request is not signed with the host's key.");
  }
  return publicKey;
}

function memberFrom(request: JoinRequest, { record }: FoundToken, nowMs: number, keyFingerprint: string): MemberRecord {
  return create(MemberRecordSchema, {
    name: request.memberName,
    candidate: record.candidate,
    admittedAt: timestampFromMs(nowMs),
    admittedBy: record.createdBy,
    labels: record.labels,
    peerAddress: request.peerAddress,
    keyFingerprint,
  });
}

function withKey(present: MemberRecord, issued: IssuedCertificate, caller: PeerIdentity): MemberRecord {
  const isSameKey = issued.keyFingerprint === caller.keyFingerprint;
  return create(MemberRecordSchema, {
    ...present,
    keyFingerprint: issued.keyFingerprint,
    certificateExpiresAt: timestampFromMs(issued.expiresAtMs),
    previousKeyFingerprint: isSameKey ? present.previousKeyFingerprint : caller.keyFingerprint,
    previousKeyUntil: isSameKey ? present.previousKeyUntil : timestampFromMs(caller.expiresAtMs),
  });
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

function refused(message: string, retryable = false): Failure {
  return new Failure({ code: ErrorCode.IDENTITY_REFUSED, message, retryable });
}

function nameTaken(name: string): Failure {
  return new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: `The cluster has a member called ${name} already. The token was not used.`,
    hint: "When that host is gone or was set up anew, remove the member first; otherwise give this host another name.",
  });
}

/** What a stranger calls itself goes into a log only when it is a name. */
function shownName(name: string): string {
  return isMemberName(name) ? name : "(no name)";
}
