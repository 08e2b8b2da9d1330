/** A member's identity and its links to the others, put together. Loaded only on hosts that are in a cluster. */
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  type CreateJoinTokenRequest,
  type CreateJoinTokenResponse,
  CreateJoinTokenResponseSchema,
  type IssueCertificateRequest,
  type IssueCertificateResponse,
  IssueCertificateResponseSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import {
  type ForwardRequest,
  type ForwardResponse,
  type JoinRequest,
  type JoinResponse,
  type LeaveRequest,
  LeaveRequestSchema,
  type LeaveResponse,
  LeaveResponseSchema,
  type RenewRequest,
  type RenewResponse,
} from "@wardline/api/wardline/peer/v1/peer";
import type { StoreConfiguration } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { toTimestamp } from "../../agent/clock.ts";
import { readPublicKey } from "../../identity/certificate.ts";
import { IdentityStore } from "../../identity/identityStore.ts";
import { TOKEN_LIFE_MS } from "../../identity/joinTokens.ts";
import type { PeerIdentity } from "../../identity/ports.ts";
import { RenewingIdentity } from "../../identity/renewingIdentity.ts";
import { SERVER_LIFE_MS } from "../../identity/serverRequest.ts";
import { sentenceOf, waitFor } from "../leadership/waiting.ts";
import { removeMember } from "../membership/memberRecords.ts";
import type { ClockMeasurement } from "../membership/membership.ts";
import { PrefixMirror } from "../membership/prefixMirror.ts";
import { PeerClient } from "../peers/peerClient.ts";
import { PeerServer } from "../peers/peerServer.ts";
import type { PeerCaller, PeerTarget } from "../peers/ports.ts";
import type { HeldTerm, LeaderDuty } from "../ports.ts";
import { invalid } from "../service/fields.ts";
import type { ClusterStore, Compare } from "../store/clusterStore.ts";
import { type Authorities, openAuthorities, refuseEmbedded } from "./authorities.ts";
import type { NodeConfiguration } from "./configFile.ts";
import type { LinkSurroundings, Links } from "./links.ts";
import { NodeDirectory } from "./memberDirectory.ts";
import { MemberUsers } from "./memberUsers.ts";
import type { NodeLife } from "./nodeLife.ts";
import { KEYS } from "./nodePorts.ts";

/** A token has room for so many places to ask. */
const MAX_TOKEN_CANDIDATES = 8;
const LISTEN_RETRY_MS = 5_000;
const TOKENS_EVERY_MS = 60_000;

/** Throws `Failure` NOT_A_MEMBER or IDENTITY_REFUSED when what lies on the disk cannot be used. */
export async function openMemberLinks(configuration: NodeConfiguration, life: NodeLife): Promise<MemberLinks> {
  const { stateDir, clock, log } = life.ports;
  const identities = new IdentityStore(stateDir);
  const sealKey = configuration.candidate ? await identities.readSealKey() : null;
  if (configuration.candidate && sealKey === null) {
    const message = "This host is a candidate, and its seal key is missing on its disk.";
    throw new Failure({
      code: ErrorCode.IDENTITY_REFUSED,
      message,
      hint: "Let it leave and join again as a candidate.",
    });
  }
  const identity = await RenewingIdentity.open({ store: identities, clock, log, random: Math.random });
  return new MemberLinks(configuration, life, identities, identity, sealKey);
}

export class MemberLinks implements Links {
  readonly identity: RenewingIdentity;
  readonly duties: readonly LeaderDuty[];
  readonly #configuration: NodeConfiguration;
  readonly #life: NodeLife;
  readonly #identities: IdentityStore;
  readonly #sealKey: Uint8Array | null;
  readonly #directory = new NodeDirectory();
  readonly #client: PeerClient;
  readonly #ended = new AbortController();
  #authorities: Authorities | null = null;
  #store: ClusterStore | null = null;
  #server: PeerServer | null = null;
  #bundle: PrefixMirror | null = null;
  #listenProblem: string | null = null;

  constructor(
    configuration: NodeConfiguration,
    life: NodeLife,
    identities: IdentityStore,
    identity: RenewingIdentity,
    sealKey: Uint8Array | null,
  ) {
    this.identity = identity;
    this.#configuration = configuration;
    this.#life = life;
    this.#identities = identities;
    this.#sealKey = sealKey;
    this.#client = new PeerClient({ identity, directory: this.#directory, clock: life.ports.clock });
    this.duties = [
      { name: "tokens", run: (term) => this.#removeTokens(term) },
      { name: "authority", run: async (term) => this.#authorities?.upkeep.run(term) },
      ...(configuration.store.usersPerMember ? [this.#usersDuty(configuration.store)] : []),
    ];
  }

  problems(): readonly string[] {
    return this.#listenProblem === null ? this.identity.problems() : [this.#listenProblem, ...this.identity.problems()];
  }

  async start(surroundings: LinkSurroundings): Promise<void> {
    const { clock, log } = this.#life.ports;
    const { store } = surroundings;
    this.#store = store;
    this.#directory.begin(surroundings);
    if (this.#sealKey !== null)
      this.#authorities = openAuthorities(store, this.#sealKey, this.#configuration, this.#life);
    void this.#authorities?.serverFiles.start();
    this.identity.start((request, self) => this.#renew(request, self));
    this.#bundle = new PrefixMirror({ store, prefix: KEYS.bundle, clock, random: Math.random, log }, () => {
      void this.#adoptBundle();
    });
    this.#bundle.start();
    if (!(await this.#listen(surroundings))) void this.#listenLater(surroundings);
  }

  async close(): Promise<void> {
    this.#ended.abort();
    this.#directory.end();
    await this.identity.stop();
    this.#authorities?.serverFiles.stop();
    this.#client.close();
    await this.#server?.close();
    await this.#bundle?.stop();
  }

  async measureClock(memberName: string, signal: AbortSignal): Promise<ClockMeasurement> {
    const { offsetMs, uncertaintyMs } = await this.#client.ping(await this.#target(memberName), { signal });
    return { offsetMs, uncertaintyMs };
  }

  async forward(leaderName: string, request: ForwardRequest, timeoutMs: number): Promise<ForwardResponse> {
    return this.#client.forward(await this.#target(leaderName), request, { timeoutMs });
  }

  async isStillMember(): Promise<boolean | null> {
    for (const { name, peerAddress } of this.#candidates()) {
      if (name === this.identity.name) continue;
      try {
        await this.#client.ping({ name, peerAddress });
        return true;
      } catch (error) {
        if (error instanceof Failure && error.code === ErrorCode.NOT_A_MEMBER) return false;
      }
    }
    return null;
  }

  async leave(actor: string): Promise<void> {
    const request = create(LeaveRequestSchema, { actor });
    let problem = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "no candidate of the cluster is known" });
    for (const { name, peerAddress } of this.#candidates()) {
      try {
        await this.#client.leave({ name, peerAddress }, request);
        return;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        problem = error;
      }
    }
    throw problem;
  }

  memberUsers(configuration: StoreConfiguration): MemberUsers {
    const { clock, log } = this.#life.ports;
    const authority = () => this.#needAuthorities().store.current();
    return new MemberUsers({ configuration, authority, roots: () => this.identity.roots, clock, log });
  }

  async createJoinToken(
    request: CreateJoinTokenRequest,
    createdBy: string,
    term: HeldTerm,
  ): Promise<CreateJoinTokenResponse> {
    const { store, tokens } = this.#needAuthorities();
    refuseEmbedded(this.#store);
    const { memberName, candidate, labels, expiresIn } = request;
    const { trustDomain, signingFingerprint: rootFingerprint } = await store.current();
    const lifeMs = expiresIn ? durationMs(expiresIn) : TOKEN_LIFE_MS;
    const wanted = { memberName, candidate, labels, lifeMs, createdBy };
    const origin = { trustDomain, rootFingerprint, candidates: this.#placesToAsk() };
    const { text, expiresAtMs } = await tokens.create(wanted, origin, () => term.fence);
    return create(CreateJoinTokenResponseSchema, { token: text, expiresAt: toTimestamp(expiresAtMs) });
  }

  async issueCertificate(request: IssueCertificateRequest): Promise<IssueCertificateResponse> {
    const publicKey = readPublicKey(request.publicKey);
    if (publicKey === null) throw invalid("The public key is no ECDSA key on P-256 (DER, SPKI).");
    const authority = await this.#needAuthorities().store.current();
    const { name, dnsNames, ipAddresses, validFor } = request;
    const lifeMs = validFor ? durationMs(validFor) : SERVER_LIFE_MS;
    const nowMs = this.#life.ports.clock.wallMs();
    const { chainPem } = await authority.issueServer({ name, publicKey, dnsNames, ipAddresses, nowMs, lifeMs });
    return create(IssueCertificateResponseSchema, { certificateChainPem: chainPem, bundlePem: authority.bundlePem });
  }

  #needAuthorities(): Authorities {
    if (this.#authorities !== null) return this.#authorities;
    const message = "This host is a plain member: it holds no key of the authority.";
    throw new Failure({ code: ErrorCode.NOT_LEADER, message, hint: "Ask at a candidate." });
  }

  async #join(request: JoinRequest, remoteAddress: string): Promise<JoinResponse> {
    const { admission } = this.#needAuthorities();
    refuseEmbedded(this.#store);
    const response = await admission.join(request, remoteAddress);
    await this.#openStoreFor(response);
    return response;
  }

  /** So that its first connection counts. The leader's duty does the same a moment later. */
  async #openStoreFor({ record, store }: JoinResponse): Promise<void> {
    if (record === undefined || !store?.usersPerMember) return;
    await this.memberUsers(store)
      .admit(record)
      .catch((error: unknown) => {
        this.#life.ports.log.warn({ problem: sentenceOf(error) }, "the store does not know the new member yet");
      });
  }

  #usersDuty(store: StoreConfiguration): LeaderDuty {
    return {
      name: "store-users",
      run: async (term) => {
        const { surroundings } = this.#directory;
        if (surroundings) await this.memberUsers(store).run(term, surroundings.store, surroundings.membership);
      },
    };
  }

  /** A member may always go: who on it may decide that is its own matter. */
  async #letGo({ actor }: LeaveRequest, { record: { name } }: PeerCaller): Promise<LeaveResponse> {
    const { ports } = this.#life;
    const store = this.#store;
    this.#needAuthorities();
    if (store === null) throw invalid("This host does not work yet.");
    const isStillMember: Compare = { key: KEYS.member(ports.hostName), target: "create", operator: ">", number: 0n };
    await removeMember(store, KEYS, name, [isStillMember]);
    const { store: configured } = this.#configuration;
    if (configured.usersPerMember) await this.memberUsers(configured).remove(name);
    const by = /^[\x20-\x7e]{1,200}$/.test(actor) ? actor : "somebody";
    await ports.trail.automatic("cluster.leave", `${name} left, by ${by} on ${name}`);
    return create(LeaveResponseSchema);
  }

  /** A candidate asks its own authority first; the others when the store does not answer it. */
  async #renew(request: RenewRequest, self: PeerIdentity): Promise<RenewResponse> {
    try {
      if (this.#authorities !== null) return await this.#authorities.admission.renew(request, self);
    } catch (error) {
      if (!(error instanceof Failure && error.retryable)) throw error;
    }
    return this.#client.renewAtAny(this.#candidates(), request);
  }

  #candidates(): readonly PeerTarget[] {
    const known = this.#directory.candidates();
    return known.length > 0 ? known : this.#configuration.knownMembers;
  }

  /** This host first, because it answers now. */
  #placesToAsk(): readonly PeerTarget[] {
    const { memberName: name, peerAddress } = this.#configuration;
    const others = this.#candidates().filter((candidate) => candidate.name !== name);
    const places = [
      { name, peerAddress },
      ...others.map((each) => ({ name: each.name, peerAddress: each.peerAddress })),
    ];
    return places.slice(0, MAX_TOKEN_CANDIDATES);
  }

  async #target(memberName: string): Promise<PeerTarget> {
    const record = this.#directory.find(memberName) ?? (await this.#directory.refresh(memberName));
    if (record !== null) return record;
    throw new Failure({ code: ErrorCode.NOT_FOUND, message: `${memberName} is no member of this cluster.` });
  }

  /** False when the address cannot be used now: another process may still have it, or the network is not up. */
  async #listen({ answer }: LinkSurroundings): Promise<boolean> {
    const { clock, log } = this.#life.ports;
    const server = new PeerServer({
      identity: this.identity,
      directory: this.#directory,
      clock,
      log,
      peerAddress: this.#configuration.peerAddress,
      handlers: {
        join: (request, { remoteAddress }) => this.#join(request, remoteAddress),
        renew: (request, { identity }) => this.#needAuthorities().admission.renew(request, identity),
        leave: (request, caller) => this.#letGo(request, caller),
        forward: (request, { record: { name, candidate } }) => answer(request, { name, candidate }),
      },
    });
    try {
      await server.listen();
      this.#server = server;
      this.#listenProblem = null;
      if (this.#ended.signal.aborted) await server.close();
      return true;
    } catch (error) {
      this.#listenProblem = sentenceOf(error);
      return false;
    }
  }

  async #listenLater(surroundings: LinkSurroundings): Promise<void> {
    const { signal } = this.#ended;
    for (let isListening = false; !isListening && !signal.aborted; ) {
      await waitFor(this.#life.ports.clock, LISTEN_RETRY_MS, signal);
      if (!signal.aborted) isListening = await this.#listen(surroundings);
    }
  }

  /** Roots change by the leader's hand; each host takes them when a root that it trusts vouches for them. */
  async #adoptBundle(): Promise<void> {
    const item = this.#bundle?.items().get(KEYS.bundle);
    if (item === undefined) return;
    try {
      await this.identity.adoptBundle(item.value);
      const authority = await this.#authorities?.store.current();
      if (authority && this.#sealKey) await this.#identities.writeAuthority(authority.toRecord(this.#sealKey));
    } catch (error) {
      this.#life.ports.log.warn({ problem: sentenceOf(error) }, "the cluster's roots were not taken");
    }
  }

  async #removeTokens({ signal, fence }: HeldTerm): Promise<void> {
    while (!signal.aborted) {
      await this.#authorities?.tokens.removeExpired(() => fence);
      await waitFor(this.#life.ports.clock, TOKENS_EVERY_MS, signal);
    }
  }
}
