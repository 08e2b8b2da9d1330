import { create } from "@bufbuild/protobuf";
import { type ClusterStatus, ClusterStatusSchema, MemberState, SyncState } from "@wardline/api/wardline/v1/cluster";
import { FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import type { AlertRule } from "@wardline/domain/alerts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, describe, expect, it } from "vitest";
import type { KnownCluster } from "../cluster/known-cluster.ts";
import { MemoryHistory } from "../history/testing/memory-history.ts";
import { randomRecord, seededRandom } from "../history/testing/random-records.ts";
import type { TestConsole } from "../testing/console.ts";
import { testFleet } from "../testing/fleet.ts";
import { toWireRule } from "./alert-wire.ts";
import { clusterFacts } from "./host-facts.ts";

const testers: TestConsole[] = [];
afterEach(async () => {
  for (const tester of testers.splice(0)) await tester.close();
});

const until = (what: () => unknown) => expect.poll(what, { timeout: 15_000, interval: 50 });

function ruleOf(change: Partial<AlertRule>): AlertRule {
  return {
    ...{
      name: "rule",
      description: "",
      enabled: true,
      source: { kind: "host", condition: "unreachable" },
      forSeconds: 0,
    },
    ...{ hostSelector: "", severity: "high", groupBy: ["rule"], groupWaitSeconds: 0, repeatSeconds: 60, steps: [] },
    ...change,
  };
}

function start(names: readonly string[], rule: AlertRule, flowHistory?: MemoryHistory) {
  const fleet = testFleet(names);
  const options = { alerts: { delivers: true, needsHosts: true }, ...(flowHistory ? { flowHistory } : {}) };
  const tester = fleet.start(options);
  testers.push(tester);
  const { service, board } = tester.backend.alerts;
  for (const { name } of board.board().rules) service.deleteRule({ name } as never);
  service.putRule({ rule: toWireRule(rule) } as never);
  const open = () => board.board().alerts.map(({ host, sentence }) => `${host}: ${sentence}`);
  return { fleet, tester, open, board: () => board.board() };
}

describe("hosts", () => {
  it("that are not reached fire, and are over when they are reached again", async () => {
    const { fleet, tester, open } = start(["web-1", "web-2"], ruleOf({}));
    await fleet.connected(tester);
    await until(open).toEqual([]);
    const agent = fleet.agent("web-1");
    agent.dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "no <route>" });
    agent.dropConnections();
    await until(open).toEqual(["web-1: web-1 is not reached: no <route>"]);
    agent.dialFailure = null;
    tester.backend.registry.byIdOrName("web-1").connection.retryNow();
    await until(open).toEqual([]);
    const kinds = tester.backend.alerts.service.listHistory({ limit: 10, pageToken: "" } as never);
    expect(kinds.alerts.map(({ host }) => host)).toEqual(["web-1"]);
  }, 40_000);

  it("are those that the rule selects", async () => {
    const { fleet, tester, open } = start(["web-1", "web-2"], ruleOf({ hostSelector: "web-2" }));
    for (const name of ["web-1", "web-2"]) {
      fleet.agent(name).dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "away" });
    }
    await until(open).toEqual(["web-2: web-2 is not reached: away"]);
    expect(tester.backend.alerts.runner.problems).toEqual([]);
  }, 40_000);
});

describe("denied packets", () => {
  const source = { kind: "denies", query: "port:22", threshold: 5, windowSeconds: 600 } as const;

  it("of the recorded history fire for each host that denied enough of them", async () => {
    const flowHistory = new MemoryHistory();
    const startMs = Date.now() - 60_000;
    const random = seededRandom(7);
    const record = {
      ...randomRecord(random, startMs),
      verdict: Verdict.DENY,
      destinationPort: 22,
      protocol: 6,
      deniedPackets: 5n,
      foldedFlows: 0,
    };
    const batch = create(FlowRecordBatchSchema, { sequence: 1n, records: [record as never] });
    for (const [hostId, hostName] of [["web-1", "web-1"]]) {
      await flowHistory.ingest([{ hostId: hostId ?? "", hostName: hostName ?? "", journalId: "j", batches: [batch] }]);
    }
    const { open, tester } = start(["web-1", "web-2"], ruleOf({ source }), flowHistory);
    await until(open).toEqual(['web-1: web-1 denied 5 packets or more in 600 s that match "port:22".']);
    const answers = [];
    const { service } = tester.backend.alerts;
    const request = {
      rule: toWireRule(ruleOf({ source })),
      otherRule: toWireRule(ruleOf({ source: { ...source, threshold: 6 } })),
    };
    for await (const answer of service.backtest(request as never, new AbortController().signal)) answers.push(answer);
    expect([answers.at(-1)?.run?.count, answers.at(-1)?.otherRun?.count]).toEqual([1n, 0n]);
  }, 40_000);

  it("that cannot be asked for are said to be so", async () => {
    const flowHistory = new MemoryHistory();
    flowHistory.group = () => {
      throw new Failure({ code: ErrorCode.HISTORY_DAMAGED, message: "The history is damaged." });
    };
    const { board } = start([], ruleOf({ source }), flowHistory);
    await until(() => board().problems).toEqual(['The rule "rule" could not be judged: The history is damaged.']);
  }, 40_000);
});

describe("clusters", () => {
  const known = (
    status: Partial<Omit<ClusterStatus, "$typeName" | "$unknown">>,
    problem: Failure | null = null,
  ): KnownCluster => ({
    ...{ key: "k", name: "prod", receivedAtMs: 0, through: null, problem, hosts: [] },
    status: create(ClusterStatusSchema, { clusterName: "prod", storeWritable: true, ...status } as never),
  });

  it("say what is wrong with them", () => {
    const members = [
      { record: { name: "a" }, state: MemberState.HEALTHY },
      { record: { name: "b" }, state: MemberState.GONE },
      {
        record: { name: "c" },
        state: MemberState.HEALTHY,
        report: { state: SyncState.REFUSED, problem: { message: "no\nway" } },
      },
    ];
    const { facts } = clusterFacts([known({ storeWritable: false, members: members as never })]);
    expect(facts.map(({ condition, about, sentence }) => [condition, about, sentence])).toEqual([
      ["no-leader", "", "Nobody leads the cluster prod."],
      [
        "store-unavailable",
        "",
        "The store of the cluster prod takes no changes: it is out of reach or has no majority.",
      ],
      ["member-unhealthy", "b", "b has gone without a word in the cluster prod."],
      ["set-refused", "c", "c refused the desired set of the cluster prod: no way"],
    ]);
  });

  it("of which nobody says anything are not judged", () => {
    const problem = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "away" });
    expect(clusterFacts([known({}, problem)])).toMatchObject({ facts: [], unknown: new Set(["prod"]) });
    const currentTerm = { number: 1n, leader: "a" };
    expect(clusterFacts([known({ currentTerm: currentTerm as never })]).facts).toEqual([]);
  });
});
