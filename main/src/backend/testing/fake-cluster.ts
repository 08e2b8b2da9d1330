/**
 * A cluster in memory behind fake agents: one agreed state, nodes that answer for it through the real contract. Writes end
 * at the leader; candidates hand them on, plain members answer NOT_LEADER, as real agents do.
 */
import { createHash, randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/agent/v1/cluster";
import {
  type ClusterStatus,
  ClusterStatusSchema,
  type DesiredHead,
  DesiredHeadSchema,
  type DocumentVersion,
  DocumentVersionSchema,
  type Member,
  MemberSchema,
  MemberState,
  type ServiceInstance,
  SetState,
  StoreKind,
  TermSchema,
} from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToConnectError } from "@wardline/domain/wire";
import { ChangeSignal } from "../async/signal.ts";

const START_MS = 1_700_000_000_000;

/** The state that all nodes of one cluster share. */
export class FakeCluster {
  readonly changes = new ChangeSignal();
  readonly name: string;
  leader: string | null;
  term = 1n;
  store = StoreKind.ETCD;
  storeIsWritable = true;
  readonly members = new Map<string, Member>();
  /** Every version of every document, oldest first. */
  readonly versions = new Map<string, DocumentVersion[]>();
  readonly sets: DesiredHead[] = [];
  readonly notes = new Map<string, { number: bigint; update: Uint8Array }[]>();
  readonly services: ServiceInstance[] = [];
  readonly tokens = new Map<string, string>();
  /** Names of the calls that reached a leader, with who wrote. */
  readonly calls: string[] = [];
  readonly #id = randomUUID();
  #noteNumber = 0n;

  constructor(name: string, leader: string) {
    this.name = name;
    this.leader = leader;
  }

  get head(): DesiredHead | undefined {
    return this.sets.at(-1);
  }

  admit(name: string, isCandidate: boolean, labels: Readonly<Record<string, string>> = {}): void {
    const record = { name, candidate: isCandidate, labels: { ...labels }, peerAddress: "10.0.0.1:7443" };
    this.members.set(name, create(MemberSchema, { record, state: MemberState.HEALTHY }));
    this.changes.notify();
  }

  lead(name: string | null): void {
    this.leader = name;
    this.term++;
    this.changes.notify();
  }

  statusFor(self: string): ClusterStatus {
    const leader = this.leader;
    const started = timestampFromMs(START_MS);
    const term = leader === null ? null : create(TermSchema, { number: this.term, leader, startedAt: started });
    const members = [...this.members.values()].map((member) =>
      create(MemberSchema, { ...member, isLeader: member.record?.name === leader }),
    );
    return create(ClusterStatusSchema, {
      clusterName: this.name,
      trustDomain: `${this.name}.wardline`,
      self,
      store: this.store,
      storeWritable: this.storeIsWritable,
      readAt: timestampFromMs(Date.now()),
      members,
      ...(term ? { currentTerm: term, terms: [term] } : {}),
      ...(this.head ? { head: this.head } : {}),
    });
  }

  newest(key: string): DocumentVersion | undefined {
    return this.versions.get(key)?.at(-1);
  }

  /** A write by anybody, checked as the leader checks it. `keyOf` is the reader of the policy engine in real agents. */
  write(request: Partial<wire.WriteDocumentsRequest>, author: string): wire.WriteDocumentsResponse {
    const writes = request.writes ?? [];
    const planned = writes.map((each) => ({ ...each, key: each.deleteKey || keyOf(each.text) }));
    for (const { key, baseVersion } of planned) {
      const now = this.newest(key);
      const isSame = baseVersion === 0n ? !now || now.deleted : now?.version === baseVersion;
      if (!isSame) throw failed(ErrorCode.VERSION_CONFLICT, `${key} was changed since version ${baseVersion}.`);
    }
    const setNumber = (this.head?.setNumber ?? 0n) + 1n;
    const isPending = request.confirmWithin !== undefined;
    if (request.dryRun) return create(wire.WriteDocumentsResponseSchema);
    const written = planned.map(({ key, text }) => {
      const version = create(DocumentVersionSchema, {
        ...{ key, text, author, setNumber, reason: request.reason ?? "", term: this.term },
        version: (this.newest(key)?.version ?? 0n) + 1n,
        deleted: text === "",
        digest: text === "" ? "" : digestOf(text),
        writtenAt: timestampFromMs(START_MS + Number(setNumber) * 1000),
      });
      this.versions.set(key, [...(this.versions.get(key) ?? []), version]);
      return create(DocumentVersionSchema, { ...version, text: "" });
    });
    this.sets.push(
      create(DesiredHeadSchema, {
        ...{ setNumber, author, reason: request.reason ?? "", term: this.term, mode: request.mode ?? 0 },
        state: isPending ? SetState.PENDING : SetState.CONFIRMED,
        digest: digestOf(`${this.#id} ${setNumber}`),
        documentCount: this.documents().length,
        changedKeys: planned.map(({ key }) => key),
        changedCount: planned.length,
        confirmedSetNumber: isPending ? setNumber - 1n : setNumber,
        writtenAt: timestampFromMs(START_MS + Number(setNumber) * 1000),
      }),
    );
    this.changes.notify();
    return create(wire.WriteDocumentsResponseSchema, { head: this.head!, written });
  }

  documents(): DocumentVersion[] {
    return [...this.versions.keys()].sort().flatMap((key) => this.newest(key) ?? []);
  }

  /** Keeps the pending set, or takes it back: then each document is what it was before. */
  settle(isKept: boolean): DesiredHead {
    const { head } = this;
    if (head?.state !== SetState.PENDING) throw failed(ErrorCode.NOTHING_PENDING, "Nothing waits.");
    head.state = isKept ? SetState.CONFIRMED : SetState.ROLLED_BACK;
    if (isKept) head.confirmedSetNumber = head.setNumber;
    else {
      for (const [key, versions] of this.versions) {
        const kept = versions.filter(({ setNumber }) => setNumber !== head.setNumber);
        if (kept.length === 0) this.versions.delete(key);
        else this.versions.set(key, kept);
      }
    }
    this.changes.notify();
    return head;
  }

  pushNote(document: string, update: Uint8Array, replacesUpTo = 0n): wire.PushNotesResponse {
    const kept = (this.notes.get(document) ?? []).filter(({ number }) => number > replacesUpTo);
    if (kept.length >= 500) throw failed(ErrorCode.TOO_LARGE, "Too many updates.");
    const number = ++this.#noteNumber;
    this.notes.set(document, [...kept, { number, update }]);
    this.changes.notify();
    return create(wire.PushNotesResponseSchema, { number, kept: kept.length + 1 });
  }
}

/** What one agent answers for a cluster, or for none. */
export class FakeClusterNode {
  readonly self: string;
  cluster: FakeCluster | null;
  /** What the next leave cannot do in the cluster. */
  leaveProblems: string[] = [];
  /** Tokens are looked up here: a real one says itself which cluster it is of. */
  readonly world: Map<string, FakeCluster>;
  /** Changes a status before it is sent (hostile agents). */
  onStatus: (status: ClusterStatus) => ClusterStatus = (status) => status;
  /** The next call of this name fails with it, before or after it took effect. */
  readonly failures = new Map<string, { failure: unknown; isAfter: boolean }>();

  constructor(self: string, cluster: FakeCluster | null, world: Map<string, FakeCluster> = new Map()) {
    this.self = self;
    this.cluster = cluster;
    this.world = world;
  }

  routes(closing: AbortSignal): Partial<ServiceImpl<typeof wire.ClusterService>> {
    return {
      ...this.#membership(closing),
      ...this.#documents(closing),
      ...this.#notesAndServices(closing),
    };
  }

  #membership(closing: AbortSignal): Partial<ServiceImpl<typeof wire.ClusterService>> {
    return {
      getCluster: () => this.#run("getCluster", () => ({ status: this.#status() })),
      watchCluster: (_request, context) => this.#watchCluster(AbortSignal.any([closing, context.signal])),
      initCluster: (request) => this.#run("initCluster", () => this.#init(request)),
      createJoinToken: (request) =>
        this.#write("createJoinToken", (cluster) => {
          const token = `wl1.${cluster.name}.${cluster.tokens.size + 1}`;
          cluster.tokens.set(token, `${request.memberName} ${request.candidate}`);
          this.world.set(token, cluster);
          return { token, expiresAt: timestampFromMs(Date.now() + 600_000) };
        }),
      joinCluster: (request) => this.#run("joinCluster", () => this.#join(request)),
      leaveCluster: () =>
        this.#run("leaveCluster", () => {
          this.#required().members.delete(this.self);
          this.#required().changes.notify();
          this.cluster = null;
          return { problems: this.leaveProblems };
        }),
      removeMember: ({ memberName }) =>
        this.#write("removeMember", (cluster) => {
          if (!cluster.members.delete(memberName)) throw failed(ErrorCode.NOT_FOUND, "no such member");
          cluster.changes.notify();
          return { status: this.#status() };
        }),
      resignLeadership: () =>
        this.#write("resignLeadership", (cluster) => {
          const next = [...cluster.members.values()].find(
            ({ record }) => record?.candidate && record.name !== cluster.leader,
          );
          cluster.lead(next?.record?.name ?? cluster.leader);
          return { status: this.#status() };
        }),
    };
  }

  #documents(closing: AbortSignal): Partial<ServiceImpl<typeof wire.ClusterService>> {
    return {
      listDocuments: (request) => this.#run("listDocuments", () => this.#list(request)),
      getDocument: ({ key, version }) =>
        this.#run("getDocument", () => {
          const versions = this.#required().versions.get(key) ?? [];
          const found = version === 0n ? versions.at(-1) : versions.find((each) => each.version === version);
          if (!found) throw failed(ErrorCode.NOT_FOUND, `There is no ${key}.`);
          return { document: found };
        }),
      listDocumentHistory: ({ key }) => ({
        versions: [...(this.#required().versions.get(key) ?? [])].reverse().map((each) => ({ ...each, text: "" })),
      }),
      listSets: ({ limit, beforeSetNumber }) => ({
        sets: [...this.#required().sets]
          .reverse()
          .filter(({ setNumber }) => beforeSetNumber === 0n || setNumber < beforeSetNumber)
          .slice(0, limit || 20),
      }),
      watchDocuments: (_request, context) => this.#watchDocuments(AbortSignal.any([closing, context.signal])),
      writeDocuments: (request) =>
        this.#write("writeDocuments", (cluster) => {
          if (request.mode === 0) throw failed(ErrorCode.INVALID_ARGUMENT, "The mode is missing.");
          return cluster.write(request, `tester on ${this.self}`);
        }),
      rollbackDocuments: (request) =>
        this.#write("rollbackDocuments", (cluster) => {
          const old = cluster.versions.get(request.key)?.find(({ version }) => version === request.toVersion);
          if (!old) throw failed(ErrorCode.NOT_FOUND, "There is no such version.");
          const baseVersion = cluster.newest(request.key)?.version ?? 0n;
          const write = create(wire.DocumentWriteSchema, { text: old.text, baseVersion });
          const { head, written } = cluster.write({ writes: [write], reason: request.reason }, "tester");
          return create(wire.RollbackDocumentsResponseSchema, { ...(head ? { head } : {}), written });
        }),
      confirmSet: ({ rollBack }) => this.#write("confirmSet", (cluster) => ({ head: cluster.settle(!rollBack) })),
    };
  }

  #notesAndServices(closing: AbortSignal): Partial<ServiceImpl<typeof wire.ClusterService>> {
    return {
      watchNotes: ({ document }, context) => this.#watchNotes(document, AbortSignal.any([closing, context.signal])),
      pushNotes: ({ document, update, replacesUpTo }) =>
        this.#write("pushNotes", (cluster) => cluster.pushNote(document, update, replacesUpTo)),
      registerService: ({ instance }) =>
        this.#write("registerService", (cluster) => {
          cluster.services.push(instance!);
          return { instance: instance! };
        }),
      deregisterService: ({ service }) =>
        this.#write("deregisterService", ({ services }) => {
          const left = services.filter((each) => each.service !== service);
          const removed = services.length - left.length;
          services.splice(0, services.length, ...left);
          return { removed };
        }),
      listServices: () => ({ instances: this.#required().services }),
      resolve: ({ query }) => ({
        endpoints: [{ key: `host/${query?.host ?? ""}`, addresses: ["10.0.0.1"], source: "member", port: 0 }],
      }),
    };
  }

  /** Where a real agent would forward to: nothing answers through a candidate that cannot reach the leader. */
  #write<Result>(name: string, body: (cluster: FakeCluster) => Result): Promise<Result> {
    return this.#run(name, () => {
      const cluster = this.#required();
      if (!cluster.storeIsWritable) throw failed(ErrorCode.STORE_UNAVAILABLE, "The store has no majority.");
      const isCandidate = cluster.members.get(this.self)?.record?.candidate ?? false;
      if (cluster.leader === null) throw failed(ErrorCode.NOT_LEADER, "Nobody leads at the moment.");
      if (cluster.leader !== this.self && !isCandidate) {
        throw failed(ErrorCode.NOT_LEADER, `${cluster.leader} leads.`);
      }
      cluster.calls.push(`${name} at ${this.self}`);
      return body(cluster);
    });
  }

  async #run<Result>(name: string, body: () => Result): Promise<Result> {
    const planned = this.failures.get(name);
    if (planned) this.failures.delete(name);
    if (planned && !planned.isAfter) throw planned.failure;
    const result = body();
    if (planned) throw planned.failure;
    return result;
  }

  #required(): FakeCluster {
    if (this.cluster) return this.cluster;
    throw failed(ErrorCode.NOT_A_MEMBER, "This host is in no cluster.");
  }

  #status(): ClusterStatus {
    const status = this.cluster?.statusFor(this.self) ?? create(ClusterStatusSchema, { self: this.self });
    return this.onStatus(status);
  }

  #init({ clusterName, peerAddress, labels }: wire.InitClusterRequest) {
    if (this.cluster) throw failed(ErrorCode.ALREADY_EXISTS, "This host is in a cluster already.");
    this.cluster = new FakeCluster(clusterName, this.self);
    this.cluster.admit(this.self, true, labels);
    this.cluster.members.get(this.self)!.record!.peerAddress = peerAddress;
    return { status: this.#status() };
  }

  #join({ token, peerAddress }: wire.JoinClusterRequest) {
    const cluster = this.world.get(token);
    const granted = cluster?.tokens.get(token);
    if (!cluster || granted === undefined) throw failed(ErrorCode.TOKEN_INVALID, "The token is unknown or used.");
    cluster.tokens.delete(token);
    cluster.admit(this.self, granted.endsWith(" true"));
    cluster.members.get(this.self)!.record!.peerAddress = peerAddress;
    this.cluster = cluster;
    return { status: this.#status() };
  }

  #list({ withDeleted, withTexts, keyPrefix, limit, afterKey }: wire.ListDocumentsRequest) {
    const { head } = this.#required();
    const found = this.#required()
      .documents()
      .filter(({ key, deleted }) => key.startsWith(keyPrefix) && key > afterKey && (withDeleted || !deleted));
    const most = limit || 1_000;
    return create(wire.ListDocumentsResponseSchema, {
      documents: found
        .slice(0, most)
        .map((each) => create(DocumentVersionSchema, withTexts ? each : { ...each, text: "" })),
      more: found.length > most,
      readAt: timestampFromMs(Date.now()),
      ...(head ? { head } : {}),
    });
  }

  async *#watchCluster(signal: AbortSignal) {
    for (let sequence = 1n; !signal.aborted; sequence++) {
      const { changes } = this.cluster ?? new FakeCluster("", "");
      const seen = changes.version;
      yield { sequence, status: this.#status() };
      await changes.wait(seen, 60_000, signal);
    }
  }

  async *#watchDocuments(signal: AbortSignal) {
    const { changes } = this.#required();
    for (let sequence = 1n; !signal.aborted; sequence++) {
      const seen = changes.version;
      const { head } = this.#required();
      yield {
        ...{ sequence, snapshot: true, snapshotComplete: true, documents: this.#required().documents() },
        ...(head ? { head } : {}),
      };
      await changes.wait(seen, 60_000, signal);
    }
  }

  async *#watchNotes(document: string, signal: AbortSignal) {
    const { changes, notes } = this.#required();
    let upTo = 0n;
    for (let sequence = 1n; !signal.aborted; ) {
      const seen = changes.version;
      const fresh = (notes.get(document) ?? []).filter(({ number }) => number > upTo);
      if (fresh.length > 0 || sequence === 1n) {
        upTo = fresh.at(-1)?.number ?? upTo;
        yield { sequence: sequence++, updates: fresh.map(({ update }) => update), upTo };
      }
      await changes.wait(seen, 60_000, signal);
    }
  }
}

function failed(code: ErrorCode, message: string) {
  return failureToConnectError(new Failure({ code, message, retryable: code === ErrorCode.NOT_LEADER }));
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Enough of the reader of real agents for the texts of tests. */
function keyOf(text: string): string {
  const field = (name: string) => new RegExp(`\\b${name}: *"?([A-Za-z0-9.-]+)`).exec(text)?.[1] ?? "";
  const kind = field("kind").toLowerCase();
  const isWide = kind === "host" || kind === "service";
  return `${kind}/${isWide ? "-" : field("namespace") || "default"}/${field("name")}`;
}
