/** The part of the fake backend that is about the cluster: members in every state, terms, a set that waits, a conflict. */
import { clone, create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  type ClusterView,
  ClusterViewSchema,
  type ConfirmSetRequest,
  type CreateClusterRequest,
  DocumentChange,
  type GetDocumentRequest,
  type JoinHostsRequest,
  type ListDocumentHistoryRequest,
  type Note,
  NoteSchema,
  PlanSyncResponseSchema,
  type RemoveMemberRequest,
  type ResignLeaderRequest,
  type RollbackDocumentsRequest,
  type SetNoteRequest,
  type SyncRequest,
} from "@wardline/api/wardline/console/v1/cluster";
import {
  type DesiredHead,
  DesiredHeadSchema,
  type DocumentVersion,
  DocumentVersionSchema,
  type Member,
  MemberSchema,
  MemberState,
  SetState,
  StoreKind,
  SyncState,
  TermEnd,
  TermSchema,
} from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { failure } from "./fake-workspace.ts";

/** `pending`: a set waits. `degraded`: members in every state, no majority. `alone`: no cluster yet. */
export type ClusterKind = "none" | "well" | "pending" | "degraded" | "alone" | "hostile";

interface Ports {
  readonly notify: () => void;
  readonly gate: () => Promise<void>;
}

const HOUR_MS = 3_600_000;
const BASE = "apiVersion: wardline.io/v1\nkind: Policy\nmetadata:\n  name: web\nspec:\n  ports: [443]\n  log: false\n";

interface FakeMember {
  readonly name: string;
  readonly state: MemberState;
  readonly sync: SyncState;
  readonly active: bigint;
  readonly candidate?: boolean;
  readonly leads?: boolean;
  readonly skewMs?: number;
  readonly problems?: readonly string[];
}

const WELL: readonly FakeMember[] = [
  { name: "web-1", state: MemberState.HEALTHY, sync: SyncState.ACTIVE, active: 12n, candidate: true },
  { name: "web-2", state: MemberState.HEALTHY, sync: SyncState.ACTIVE, active: 12n, candidate: true, leads: true },
  { name: "web-3", state: MemberState.HEALTHY, sync: SyncState.ACTIVE, active: 12n, candidate: true },
];

const DEGRADED: readonly FakeMember[] = [
  { name: "web-1", state: MemberState.HEALTHY, sync: SyncState.CUT_OFF, active: 12n, candidate: true, leads: true },
  {
    name: "web-2",
    state: MemberState.UNHEALTHY,
    sync: SyncState.REFUSED,
    active: 11n,
    candidate: true,
    skewMs: 3_200,
    problems: ["Its clock is 3.2 s ahead of the leader's."],
  },
  { name: "web-3", state: MemberState.GONE, sync: SyncState.ACTIVE, active: 11n, candidate: true },
  { name: "cache-1", state: MemberState.STOPPED, sync: SyncState.ACTIVE, active: 9n },
  { name: "db-1", state: MemberState.JOINING, sync: SyncState.UNSPECIFIED, active: 0n },
];

export class FakeCluster {
  readonly #kind: ClusterKind;
  readonly #ports: Ports;
  /** What a person asked for, for tests. */
  readonly asked: string[] = [];
  clusters: ClusterView[] = [];
  unclusteredHostIds: string[] = [];
  notes: Note[] = [];
  /** Somebody else writes while a plan is shown: the next sync is refused. */
  movesUnderPlan = false;
  /** What somebody else writes while a plan is looked at, in the same place again. */
  theirsNext = "";
  readonly #sets: DesiredHead[] = [];

  constructor(kind: ClusterKind, ports: Ports) {
    this.#kind = kind;
    this.#ports = ports;
    const nowMs = Date.now();
    if (kind === "alone") this.unclusteredHostIds = ["local", "host-web-1", "host-web-2"];
    if (kind === "none" || kind === "alone") return;
    for (let number = 12n; number >= 3n; number -= 1n) this.#sets.push(head(number, nowMs, kind));
    this.clusters = [view(kind, nowMs, this.#sets[0])];
    this.unclusteredHostIds = kind === "well" ? ["host-cache-1", "local"] : [];
    this.notes = [
      create(NoteSchema, {
        subject: "host/web-2",
        text: "Disk is replaced on Thursday: expect it to be away for an hour.",
        author: "lena",
        editedAt: timestampFromMs(nowMs - 2 * HOUR_MS),
      }),
    ];
  }

  #head(): DesiredHead | undefined {
    return this.clusters[0]?.status?.head;
  }

  #write(change: Partial<DesiredHead>): DesiredHead {
    const next = Object.assign(clone(DesiredHeadSchema, this.#head() ?? create(DesiredHeadSchema)), change);
    const status = this.clusters[0]?.status;
    if (status) status.head = next;
    if (this.#sets[0]?.setNumber === next.setNumber) this.#sets.shift();
    this.#sets.unshift(next);
    this.#ports.notify();
    return next;
  }

  /** A new set that waits for its confirmation on every member. */
  #pending(reason: string, withinMs: number): DesiredHead {
    const nowMs = Date.now();
    const before = this.#head()?.setNumber ?? 0n;
    for (const member of this.clusters[0]?.status?.members ?? []) {
      if (!member.report) continue;
      member.report.state = SyncState.PENDING;
      member.report.activeSetNumber = before + 1n;
    }
    return this.#write({
      setNumber: before + 1n,
      state: SetState.PENDING,
      confirmedSetNumber: before,
      reason,
      author: "lena",
      writtenAt: timestampFromMs(nowMs),
      confirmBy: timestampFromMs(nowMs + withinMs),
      confirmWithin: durationFromMs(withinMs),
    });
  }

  #settle(rollBack: boolean): DesiredHead {
    const head = this.#head();
    const back = head?.confirmedSetNumber ?? 0n;
    for (const member of this.clusters[0]?.status?.members ?? []) {
      if (!member.report) continue;
      member.report.state = SyncState.ACTIVE;
      member.report.activeSetNumber = rollBack ? back : (head?.setNumber ?? 0n);
    }
    return this.#write(
      rollBack
        ? { state: SetState.ROLLED_BACK }
        : { state: SetState.CONFIRMED, confirmedSetNumber: head?.setNumber ?? 0n },
    );
  }

  service() {
    const gate = this.#ports.gate;
    return {
      listDocuments: async () => {
        await gate();
        return { documents: { documents: documents(this.#kind), head: this.#head() } };
      },
      getDocument: async ({ key }: GetDocumentRequest) => {
        await gate();
        return { document: documents(this.#kind).find((document) => document.key === key) };
      },
      listDocumentHistory: async ({ query }: ListDocumentHistoryRequest) => {
        await gate();
        return { history: { versions: versions(query?.key ?? "") } };
      },
      listSets: async () => {
        await gate();
        return { sets: { sets: this.#sets.slice(0, 10) } };
      },
      planSync: async () => {
        await gate();
        const planned = create(PlanSyncResponseSchema, plan(this.#kind));
        const [first] = planned.documents;
        if (first && this.theirsNext !== "" && !this.movesUnderPlan) {
          first.theirsText = first.theirsText.replace("9443", this.theirsNext);
          first.theirsVersion = 8n;
        }
        return planned;
      },
      sync: async (request: SyncRequest) => {
        await gate();
        if (this.movesUnderPlan) {
          this.movesUnderPlan = false;
          throw failure(
            ErrorCode.VERSION_CONFLICT,
            Code.Aborted,
            "policy/default/web has version 8 in the cluster, by marek; the plan was made from version 7.",
            "Plan again: what marek wrote is merged with yours.",
          );
        }
        this.asked.push(`sync ${request.choices.map(({ key, text }) => `${key}:${text.length}`).join(",")}`);
        return {
          outcome: { head: this.#pending(request.reason, Number(request.confirmWithin?.seconds ?? 0n) * 1000) },
        };
      },
      pullDocuments: async () => {
        await gate();
        this.asked.push("pull");
        return { updatedPaths: ["inventory/hosts.yaml"] };
      },
      confirmSet: async ({ confirmation }: ConfirmSetRequest) => {
        await gate();
        return { head: this.#settle(confirmation?.rollBack ?? false) };
      },
      rollbackDocuments: async ({ rollback }: RollbackDocumentsRequest) => {
        await gate();
        this.asked.push(`rollback ${rollback?.key ?? ""}${rollback?.toVersion ?? 0n}/${rollback?.toSetNumber ?? 0n}`);
        return { outcome: { head: this.#pending(rollback?.reason ?? "", 300_000) } };
      },
      createCluster: async ({ cluster }: CreateClusterRequest) => {
        await gate();
        this.asked.push(`create ${cluster?.clusterName} at ${cluster?.peerAddress}`);
        this.clusters = [view("well", Date.now(), undefined)];
        this.unclusteredHostIds = [];
        this.#ports.notify();
        return {};
      },
      joinHosts: async ({ hosts }: JoinHostsRequest) => {
        await gate();
        this.asked.push(`join ${hosts.map(({ hostId, candidate }) => `${hostId}${candidate ? "+" : ""}`).join(",")}`);
        return {
          results: hosts.map(({ hostId }) =>
            hostId === "host-cache-1"
              ? {
                  hostId,
                  problem: {
                    code: ErrorCode.STORE_UNAVAILABLE,
                    message: "cache-1 cannot reach https://10.20.0.21:2379: connection refused.",
                    hint: "Let the host through to the store's port, then let it in again.",
                    retryable: true,
                  },
                }
              : { hostId },
          ),
        };
      },
      leaveHost: async () => {
        await gate();
        return {};
      },
      removeMember: async ({ memberName }: RemoveMemberRequest) => {
        await gate();
        this.asked.push(`remove ${memberName}`);
        const status = this.clusters[0]?.status;
        if (status) status.members = status.members.filter(({ record }) => record?.name !== memberName);
        this.#ports.notify();
        return {};
      },
      resignLeader: async ({ clusterName }: ResignLeaderRequest) => {
        await gate();
        this.asked.push(`resign ${clusterName}`);
        return {};
      },
      setNote: async ({ subject, text }: SetNoteRequest) => {
        await gate();
        const editedAt = timestampFromMs(Date.now());
        this.notes = this.notes.filter((note) => note.subject !== subject);
        if (text !== "") this.notes.push(create(NoteSchema, { subject, text, author: "lena", editedAt }));
        this.#ports.notify();
        return {};
      },
    };
  }
}

function head(setNumber: bigint, nowMs: number, kind: ClusterKind): DesiredHead {
  const isNewest = setNumber === 12n;
  const isPending = isNewest && kind === "pending";
  return create(DesiredHeadSchema, {
    setNumber,
    state: isPending ? SetState.PENDING : setNumber === 8n ? SetState.ROLLED_BACK : SetState.CONFIRMED,
    digest: "7f3a".repeat(16),
    documentCount: 14,
    mode: EnforcementMode.ENFORCE,
    changedKeys: setNumber % 3n === 0n ? ["policy/default/web", "policy/shop/db"] : ["policy/default/web"],
    changedCount: setNumber % 3n === 0n ? 6 : 1,
    author: setNumber % 2n === 0n ? "lena" : "marek",
    reason: setNumber === 8n ? "open the printer network" : "let the balancer reach the web tier",
    writtenAt: timestampFromMs(nowMs - Number(13n - setNumber) * 5_400_000 + 5_300_000),
    term: 7n,
    confirmedSetNumber: isPending ? 11n : setNumber,
    ...(isPending ? { confirmBy: timestampFromMs(nowMs + 214_000), confirmWithin: durationFromMs(300_000) } : {}),
  });
}

function view(kind: ClusterKind, nowMs: number, newest: DesiredHead | undefined): ClusterView {
  const isDegraded = kind === "degraded";
  const members = (isDegraded ? DEGRADED : WELL).map((each) => member(each, nowMs, kind));
  const term = (number: number, leader: string, fromMs: number, toMs: number | null, end: TermEnd, gapMs: number) =>
    create(TermSchema, {
      number: BigInt(number),
      leader,
      startedAt: timestampFromMs(nowMs - fromMs),
      ...(toMs === null ? {} : { endedAt: timestampFromMs(nowMs - toMs), end }),
      gap: durationFromMs(gapMs),
    });
  const terms = [
    term(7, isDegraded ? "web-1" : "web-2", 700_000, null, TermEnd.UNSPECIFIED, 5_400),
    term(6, "web-1", 1_500_000, 705_400, TermEnd.LEASE_LOST, 180),
    term(5, "web-3", 2_600_000, 1_500_180, TermEnd.RESIGNED, 4_900),
    term(4, "web-1", 40_000_000, 2_604_900, TermEnd.LEASE_LOST, 0),
  ];
  const name = kind === "hostile" ? "a\u202Ecluster<img src=x onerror=alert(1)>" : "office";
  return create(ClusterViewSchema, {
    throughHostId: "host-web-1",
    throughHostName: "web-1",
    receivedAt: timestampFromMs(nowMs - 400),
    hostIds: { "web-1": "host-web-1", "web-2": "host-web-2", "web-3": "host-web-3" },
    status: {
      clusterName: name,
      trustDomain: `${kind === "hostile" ? "office" : name}.wardline`,
      self: "web-1",
      store: StoreKind.ETCD,
      storeWritable: !isDegraded,
      stale: isDegraded,
      readAt: timestampFromMs(nowMs - (isDegraded ? 95_000 : 400)),
      members,
      ...(terms[0] ? { currentTerm: terms[0] } : {}),
      terms,
      ...(newest ? { head: newest } : {}),
      lease: durationFromMs(5_000),
      heartbeatInterval: durationFromMs(1_667),
      problems: isDegraded ? ["The clock of web-2 is 3.2 s ahead of the leader's."] : [],
      endpoints: [21, 22, 23].map((last, index) => ({
        endpoint: `https://10.20.0.${last}:2379`,
        reachable: !isDegraded || index === 0,
        latencyUs: BigInt(900 + index * 240),
        serverVersion: "3.4.23",
        memberId: `8e9e05c52164694${index}`,
        leaderId: isDegraded ? "" : "8e9e05c521646941",
        raftTerm: 4n,
        raftIndex: 18_412n,
        databaseBytes: 1_482_752n,
        alarms: kind === "pending" && index === 2 ? ["NOSPACE"] : [],
        problem: isDegraded && index > 0 ? `connect ECONNREFUSED 10.20.0.${last}:2379` : "",
      })),
    },
  });
}

function member(each: FakeMember, nowMs: number, kind: ClusterKind): Member {
  const { name, state, active, leads = false, candidate = false, skewMs = 0 } = each;
  const isHeard = state === MemberState.HEALTHY || state === MemberState.UNHEALTHY;
  const isPending = kind === "pending" && name !== "web-3";
  const isRefused = each.sync === SyncState.REFUSED;
  return create(MemberSchema, {
    state,
    isLeader: leads,
    since: timestampFromMs(nowMs - (isHeard ? HOUR_MS * 9 : 240_000)),
    record: {
      name,
      spiffeId: `spiffe://office.wardline/host/${name}`,
      candidate,
      admittedAt: timestampFromMs(nowMs - 6 * 24 * HOUR_MS),
      admittedBy: "lena (uid 1000) on web-1",
      labels: { app: name.split("-")[0] ?? name, env: "production" },
      peerAddress: "10.20.0.21:7443",
      keyFingerprint: "ab".repeat(32),
      certificateExpiresAt: timestampFromMs(nowMs + 17 * HOUR_MS),
    },
    ...(state === MemberState.JOINING
      ? {}
      : {
          presence: {
            name,
            sessionId: "f1",
            state,
            agentVersion: "0.1.0",
            addresses: ["10.20.0.21", "fd00:20::21"],
            startedAt: timestampFromMs(nowMs - 9 * HOUR_MS),
            heartbeatAt: timestampFromMs(nowMs - (isHeard ? 900 : 240_000)),
            heartbeatLatency: durationFromMs(1.4),
            clockOffset: durationFromMs(skewMs),
            clockUncertainty: durationFromMs(2),
            problems: [...(each.problems ?? [])],
          },
          report: {
            host: name,
            state: kind === "pending" ? (isPending ? SyncState.PENDING : SyncState.APPLYING) : each.sync,
            activeSetNumber: kind === "pending" && !isPending ? 11n : active,
            seenSetNumber: 12n,
            activeDigest: "7f3a".repeat(16),
            programDigest: "c0de".repeat(16),
            generation: 31n,
            reportedAt: timestampFromMs(nowMs - 60_000),
            took: durationFromMs(84),
            ...(isRefused
              ? {
                  problem: {
                    code: ErrorCode.WOULD_LOCK_OUT,
                    message: "Set 12 would cut web-2 off from the cluster's store; it returned to set 11 by itself.",
                    hint: "Allow web-2 to reach TCP 2379 of the store's hosts.",
                  },
                }
              : {}),
          },
        }),
  });
}

function documents(kind: ClusterKind): DocumentVersion[] {
  if (kind === "none" || kind === "alone") return [];
  return ["host/-/web-1", "host/-/web-2", "policy/default/web", "policy/shop/db"].map((key, index) =>
    create(DocumentVersionSchema, {
      key,
      version: BigInt(index + 4),
      setNumber: 12n,
      text: BASE,
      author: index % 2 === 0 ? "lena" : "marek",
      reason: "let the balancer reach the web tier",
      writtenAt: timestampFromMs(Date.now() - (index + 1) * HOUR_MS),
      term: 7n,
    }),
  );
}

function versions(key: string): DocumentVersion[] {
  return [3n, 2n, 1n].map((version) =>
    create(DocumentVersionSchema, {
      key,
      version,
      text: BASE.replace("443", String(440n + version)),
      author: version === 2n ? "marek" : "lena",
      reason: version === 1n ? "first policies" : "another port",
      writtenAt: timestampFromMs(Date.now() - Number(4n - version) * HOUR_MS),
      term: 7n,
    }),
  );
}

function plan(kind: ClusterKind) {
  const mine = BASE.replace("443", "8443");
  const theirs = BASE.replace("443", "9443");
  return {
    planId: "plan-1",
    documents: [
      {
        key: "policy/default/web",
        change: kind === "pending" ? DocumentChange.CHANGED : DocumentChange.CONFLICT,
        path: "policies/web.yaml",
        baseVersion: 6n,
        baseText: BASE,
        mineText: mine,
        theirsText: theirs,
        theirsVersion: 7n,
        theirsAuthor: "marek",
        theirsWrittenAt: timestampFromMs(Date.now() - 900_000),
        mergedText: `${BASE.split("  ports")[0]}<<<<<<< yours\n  ports: [8443]\n=======\n  ports: [9443]\n>>>>>>> marek\n  log: false\n`,
      },
      {
        key: "policy/shop/db",
        change: DocumentChange.MERGED,
        path: "policies/db.yaml",
        baseText: BASE,
        mineText: mine,
        theirsText: BASE.replace("log: false", "log: true"),
        theirsVersion: 5n,
        theirsAuthor: "marek",
        mergedText: mine.replace("log: false", "log: true"),
      },
      { key: "policy/default/printer", change: DocumentChange.ADDED, path: "policies/printer.yaml", mineText: BASE },
      { key: "host/-/web-1", change: DocumentChange.UNCHANGED, path: "inventory/hosts.yaml", theirsText: BASE },
      {
        key: "host/-/web-2",
        change: DocumentChange.BEHIND,
        path: "inventory/hosts.yaml",
        theirsText: BASE,
        theirsVersion: 4n,
      },
    ],
  };
}
