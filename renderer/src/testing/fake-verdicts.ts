/** Answers of the fake backend about verdicts and suggestions: every state of each cell, and hostile names. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { FlowClass, type SimulatePoliciesRequest } from "@wardline/api/wardline/console/v1/policies";
import {
  type ExplainVerdictRequest,
  type FindSuggestionsRequest,
  type ListVerdictsRequest,
  ShownVerdict,
  StagedReason,
  type VerdictCell,
  VerdictCellSchema,
  VerdictColumn,
  type VerdictRow,
  VerdictRowSchema,
  type VerdictService,
} from "@wardline/api/wardline/console/v1/verdicts";
import { DecisionReason, Direction, EnforcementMode, Tier, Verdict } from "@wardline/api/wardline/v1/policy";
import { HOSTILE_NAME } from "./fake-data.ts";
import { explain } from "./fake-engine.ts";

export type VerdictKind = "changed" | "agree" | "hostile" | "many" | "slow";

const MINUTE_MS = 60_000;
const VERSION = { draft: 1, staged: 2, enforced: 3, former: 4, lost: 5, reported: 6, unknownReport: 7 } as const;
const V = ShownVerdict;

interface FakePorts {
  readonly gate: () => Promise<void>;
}

export class FakeVerdicts {
  readonly kind: VerdictKind;
  readonly asked: ListVerdictsRequest[] = [];
  readonly explained: ExplainVerdictRequest[] = [];
  readonly suggested: FindSuggestionsRequest[] = [];
  readonly simulated: SimulatePoliciesRequest[] = [];
  readonly #ports: FakePorts;

  constructor(kind: VerdictKind, ports: FakePorts) {
    this.kind = kind;
    this.#ports = ports;
  }

  service(): ServiceImpl<typeof VerdictService> {
    const fake = this;
    return {
      async *listVerdicts(request, context) {
        fake.asked.push(request);
        await fake.#ports.gate();
        const nowMs = Date.now();
        const until = timestampFromMs(nowMs);
        yield {
          event: { case: "basis", value: { versions: versionsAt(nowMs), since: request.since ?? until, until } },
        };
        const total = 3_400_000n;
        yield { event: { case: "progress", value: { totalRecords: total, readRecords: 1_200_000n } } };
        if (fake.kind === "slow") await ended(context.signal);
        const rows = fake.#rows(nowMs).filter((row) => isAsked(row, request));
        for (let start = 0; start < rows.length; start += 100) {
          yield { event: { case: "rows", value: { rows: rows.slice(start, start + 100) } } };
        }
        const source = {
          totalRecords: total,
          readRecords: total,
          gaps: fake.kind === "agree" ? [] : ["host db-1 has not delivered since 12:04"],
        };
        const versions = [version(VERSION.reported, VerdictColumn.REPORTED, nowMs - 90 * MINUTE_MS, { number: 41n })];
        const count = BigInt(rows.length);
        const done = {
          source,
          matchingRows: count,
          disagreeingRows: count,
          leftOut: fake.kind === "many" ? 4_200n : 0n,
        };
        yield { event: { case: "done", value: { ...done, versions, comparedPairs: 12_000n } } };
      },
      async explainVerdict(request) {
        fake.explained.push(request);
        await fake.#ports.gate();
        if (request.column === VerdictColumn.REPORTED && request.ingressStateDigest === "") {
          return { ingressProblem: "The state is not kept here, and the host does not have it (any more)." };
        }
        const { evaluation } = explain({
          from: request.fromAddress,
          to: request.toAddress,
          protocol: request.protocol,
          port: request.port,
        });
        return evaluation ? { evaluation } : {};
      },
      async *findSuggestions(request) {
        fake.suggested.push(request);
        await fake.#ports.gate();
        yield { event: { case: "progress", value: { total: 42_000n, read: 18_000n } } };
        yield { event: { case: "done", value: suggestionsOf(fake.kind, Date.now(), request.generalize) } };
      },
    };
  }

  /** As `PolicyService.SimulatePolicies`. */
  async *simulate(request: SimulatePoliciesRequest, signal: AbortSignal) {
    this.simulated.push(request);
    await this.#ports.gate();
    const nowMs = Date.now();
    const counts = (read: bigint) => ({
      ...{ total: 3_400_000n, read, judged: read / BigInt(Math.max(1, request.sampleEvery)), observed: 12n },
      sampledOut: request.sampleEvery > 1 ? read - read / BigInt(request.sampleEvery) : 0n,
      recorded: [
        { class: FlowClass.NEWLY_BLOCKED, flows: 311n },
        { class: FlowClass.NEWLY_ALLOWED, flows: 7n },
        { class: FlowClass.STAYS_ALLOWED, flows: read - 400n },
        { class: FlowClass.STILL_BLOCKED, flows: 40n },
        { class: FlowClass.UNMATCHED, flows: 42n },
      ],
    });
    yield { event: { case: "progress" as const, value: counts(1_200_000n) } };
    if (this.kind === "slow") await ended(signal);
    const name = this.kind === "hostile" ? HOSTILE_NAME : "default app=office";
    yield { event: { case: "groups" as const, value: { groups: simulatedGroups(name, nowMs) } } };
    yield { event: { case: "done" as const, value: { counts: counts(3_400_000n), otherRecorded: [] } } };
  }

  #rows(nowMs: number): VerdictRow[] {
    if (this.kind === "agree") return [];
    const rows = [
      row("default app=office", "default app=web", 22, nowMs, [V.DENY, V.NOTHING, V.ALLOW, V.ALLOW], 40),
      row("default app=web", "default app=db", 5432, nowMs, [V.ALLOW, V.ALLOW, V.MIXED, V.MIXED], 18_204),
      row("203.0.113.0/24", "default app=web", 443, nowMs, [V.ALLOW, V.DENY, V.OBSERVED, V.OBSERVED], 311),
      row("default app=batch", "default app=db", 6379, nowMs, [V.ALLOW, V.NOTHING, V.DENY, V.NOTHING], 0),
      row("default app=web", "default app=cache", 11211, nowMs, [V.DENY, V.NOTHING, V.UNKNOWN, V.ALLOW], 7),
    ];
    if (this.kind === "hostile") {
      rows.unshift(
        row(
          HOSTILE_NAME.repeat(8),
          `<img src=x onerror=alert(1)>\u202e${HOSTILE_NAME}`,
          22,
          nowMs,
          [V.DENY, V.DENY, V.ALLOW, V.ALLOW],
          1,
        ),
      );
    }
    if (this.kind === "many") {
      for (let index = 0; index < 4_995; index++) {
        rows.push(
          row(
            `default app=service-${index}`,
            "default app=db",
            1024 + index,
            nowMs,
            [V.DENY, V.NOTHING, V.ALLOW, V.ALLOW],
            index,
          ),
        );
      }
    }
    return rows;
  }
}

function simulatedGroups(from: string, nowMs: number) {
  const group = (recordedClass: FlowClass, port: number, verdict: ShownVerdict, flows: bigint) => ({
    ...{ recordedClass, from, to: "default app=web", protocol: 6, port, flows },
    firstSeen: timestampFromMs(nowMs - 600 * MINUTE_MS),
    lastSeen: timestampFromMs(nowMs - 2 * MINUTE_MS),
    example: {
      flow: { sourceAddress: "10.20.4.7", destinationAddress: "10.20.0.11", protocol: 6, destinationPort: port },
      ...{ fromKey: "Host/build-3", toKey: "Host/atlas", direction: Direction.INGRESS, decision: decision(verdict) },
    },
  });
  return [
    group(FlowClass.NEWLY_BLOCKED, 22, V.DENY, 300n),
    group(FlowClass.NEWLY_BLOCKED, 80, V.DENY, 11n),
    group(FlowClass.NEWLY_ALLOWED, 8443, V.ALLOW, 7n),
    group(FlowClass.STAYS_ALLOWED, 443, V.ALLOW, 2_000_000n),
  ];
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function isAsked(candidate: VerdictRow, { group, port, where }: ListVerdictsRequest): boolean {
  const hasGroup = [candidate.from, candidate.to].some((text) => text.toLowerCase().includes(group.toLowerCase()));
  const hasPort = port === undefined || candidate.ports.some(({ low, high }) => low <= port && port <= high);
  const cellOf = (column: VerdictColumn) =>
    [undefined, candidate.draft, candidate.staged, candidate.enforced, candidate.reported][column];
  return (
    hasGroup &&
    hasPort &&
    where.every(({ column, verdicts }) => verdicts.some((one) => one === cellOf(column)?.verdict))
  );
}

function version(
  id: number,
  column: VerdictColumn,
  timeMs: number,
  over: {
    number?: bigint;
    staged?: StagedReason;
    hosts?: readonly string[];
    generation?: bigint;
    unknown?: string;
    deadlineMs?: number;
  } = {},
) {
  return {
    id,
    column,
    stateDigest: over.unknown ? "" : String(id).repeat(64).slice(0, 64),
    versionNumber: over.number ?? 0n,
    stagedReason: over.staged ?? StagedReason.UNSPECIFIED,
    mode: EnforcementMode.ENFORCE,
    time: timestampFromMs(timeMs),
    author: "lena",
    unknownBecause: over.unknown ?? "",
    hosts: (over.hosts ?? []).map((hostName) => ({
      hostId: hostName,
      hostName,
      generation: over.generation ?? 0n,
      ...(over.deadlineMs ? { deadline: timestampFromMs(over.deadlineMs), previousGeneration: 41n } : {}),
    })),
  };
}

function versionsAt(nowMs: number) {
  return [
    version(VERSION.draft, VerdictColumn.DRAFT, nowMs - MINUTE_MS),
    version(VERSION.staged, VerdictColumn.STAGED, nowMs - 3 * MINUTE_MS, {
      ...{ number: 42n, staged: StagedReason.WAITS_FOR_CONFIRMATION, hosts: ["atlas"], generation: 42n },
      deadlineMs: nowMs + 2 * MINUTE_MS,
    }),
    version(VERSION.enforced, VerdictColumn.ENFORCED, nowMs - 90 * MINUTE_MS, {
      number: 41n,
      hosts: ["atlas", "web-1", "web-2"],
      generation: 41n,
    }),
    version(VERSION.former, VerdictColumn.ENFORCED, nowMs - 2_000 * MINUTE_MS, {
      number: 38n,
      hosts: ["db-2"],
      generation: 12n,
    }),
    version(VERSION.lost, VerdictColumn.ENFORCED, nowMs - 90 * MINUTE_MS, {
      ...{
        hosts: ["db-1"],
        unknown: "db-1 cannot be reached: connection refused. When it was heard last it enforced generation 40.",
      },
    }),
  ];
}

const PLACE = { file: "policies/web.yaml", line: 13, column: 5, endLine: 22, endColumn: 24 };

function decision(verdict: ShownVerdict) {
  const isAllowed = verdict === V.ALLOW;
  return {
    id: isAllowed ? "a1b2c3d4e5f60001" : "a1b2c3d4e5f60002",
    verdict: isAllowed ? Verdict.ALLOW : Verdict.DENY,
    reason: isAllowed ? DecisionReason.RULE : DecisionReason.ISOLATED,
    tier: Tier.APPLICATION,
    policyKeys: ["NetworkPolicy/default/web"],
    rule: isAllowed ? "ingress[0]" : "",
    source: PLACE,
    summary: isAllowed ? "allowed by default/web, ingress[0]" : "denied: default/web isolates ingress",
  };
}

function part(verdict: ShownVerdict, versionId: number, hostNames: string[]) {
  const side = (direction: Direction, own: ShownVerdict, decided: boolean) => ({
    direction,
    verdict: own,
    versionId,
    ...(decided ? { decision: decision(own) } : {}),
  });
  return {
    verdict,
    sides: [side(Direction.EGRESS, V.ALLOW, false), side(Direction.INGRESS, verdict, verdict !== V.UNKNOWN)],
    hostNames,
    hostCount: hostNames.length,
    ...{ fromKey: "Host/build-3", fromAddress: "10.20.4.7", toKey: "Host/atlas", toAddress: "10.20.0.11" },
  };
}

function computed(verdict: ShownVerdict, versionId: number): VerdictCell {
  if (verdict === V.NOTHING) return create(VerdictCellSchema, { verdict });
  const parts =
    verdict === V.MIXED
      ? [part(V.ALLOW, VERSION.enforced, ["atlas", "web-1"]), part(V.DENY, VERSION.former, ["db-2"])]
      : [part(verdict, verdict === V.UNKNOWN ? VERSION.lost : versionId, ["atlas"])];
  return create(VerdictCellSchema, { verdict, parts });
}

function reported(verdict: ShownVerdict, count: number, nowMs: number): VerdictCell {
  if (verdict === V.NOTHING) return create(VerdictCellSchema, { verdict });
  const one = (own: ShownVerdict, times: number) => ({
    ...part(own, VERSION.reported, ["atlas"]),
    count: BigInt(times),
    generation: 41n,
    firstSeen: timestampFromMs(nowMs - 600 * MINUTE_MS),
    lastSeen: timestampFromMs(nowMs - 4 * MINUTE_MS),
    talkers: [{ from: "10.20.4.7", to: "10.20.0.11", count: BigInt(times) }],
  });
  const parts = verdict === V.MIXED ? [one(V.ALLOW, count), one(V.DENY, 3)] : [one(verdict, count)];
  return create(VerdictCellSchema, { verdict, parts });
}

function row(
  from: string,
  to: string,
  port: number,
  nowMs: number,
  [draft, staged, enforced, said]: readonly [ShownVerdict, ShownVerdict, ShownVerdict, ShownVerdict],
  count: number,
): VerdictRow {
  return create(VerdictRowSchema, {
    id: `${from} ${to} ${port}`,
    from,
    to,
    ports: [{ protocol: 6, low: port, high: port }],
    draft: computed(draft, VERSION.draft),
    staged: computed(staged, VERSION.staged),
    enforced: computed(enforced, VERSION.enforced),
    reported: reported(said, count, nowMs),
    disagrees: true,
    isRecorded: count > 0,
  });
}

function suggestionsOf(kind: VerdictKind, nowMs: number, width: number) {
  const seen = { from: "web-1 (10.20.0.21)", to: "db-1 (10.20.0.31)", protocol: 6, port: 5432, flows: 18_204n };
  const counts = { total: 42_000n, read: 42_000n };
  if (kind === "agree") return { counts };
  const name = kind === "hostile" ? HOSTILE_NAME : "db";
  return {
    counts,
    suggestions: [
      {
        ...{
          name,
          namespace: "default",
          group: "default app=db",
          subjectKeys: ["Host/db-1", "Host/db-2"],
          confidence: 0.82,
        },
        rules: [
          {
            direction: Direction.INGRESS,
            peers: [width > 0 ? "app=web" : "10.20.0.21"],
            ports: ["5432/tcp"],
            confidence: 0.82,
            evidence: {
              ...{ flows: 18_204n, sources: 2, hours: 21, share: 0.93, seenShare: 1 },
              lastSeen: timestampFromMs(nowMs - 2 * MINUTE_MS),
            },
            talkers: [seen],
          },
        ],
        policyText: `apiVersion: wardline.io/v1\nkind: Policy\nmetadata: { name: ${kind === "hostile" ? "db" : name} }\n`,
        testText: "apiVersion: wardline.io/v1\nkind: PolicyTest\nmetadata: { name: db-keeps }\n",
        path: "policies/default-db.yaml",
      },
    ],
    leftOut: [
      { reason: "scan", connections: 240n, flows: 260n, talkers: [{ ...seen, from: "10.20.9.9" }] },
      { reason: "multicast", connections: 4n, flows: 900n },
    ],
  };
}
