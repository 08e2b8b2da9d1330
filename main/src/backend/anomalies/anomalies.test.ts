import { createClient, createRouterTransport } from "@connectrpc/connect";
import { ActivityService } from "@wardline/api/wardline/console/v1/activity";
import { AnomalyService } from "@wardline/api/wardline/console/v1/anomalies";
import {
  AnomalySeverity,
  DetectorKind,
  FeedbackKind,
  type Finding,
  ModelState,
} from "@wardline/api/wardline/v1/anomaly";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { readPolicyFiles } from "@wardline/domain/policy";
import { failureFromConnectError, timestampOf } from "@wardline/domain/wire";
import { afterEach, describe, expect, it } from "vitest";
import { startTestConsole, type TestConsole } from "../testing/console.ts";
import { FakeAgent } from "../testing/fake-agent.ts";
import { EVIDENCE, FakeFindings, findingOf, NOW_MS } from "../testing/fake-findings.ts";
import { draftPolicy } from "./policy-draft.ts";

const WAIT = { timeout: 10_000, interval: 20 };

let running: TestConsole[] = [];
afterEach(async () => {
  for (const console of running) await console.close();
  running = [];
});

function start(
  findings: FakeFindings | null,
  agent = new FakeAgent(),
  over: Parameters<typeof startTestConsole>[1] = {},
) {
  agent.anomalies = findings?.routes ?? null;
  const console = startTestConsole(agent, over);
  running.push(console);
  const transport = createRouterTransport((router) => console.backend.routes(router));
  const client = createClient(AnomalyService, transport);
  const list = () => console.backend.services.anomalies.feed.list();
  const ids = () => list().anomalies.map(({ finding }) => finding?.id);
  return { console, agent, client, list, ids, activity: createClient(ActivityService, transport) };
}

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => "ok",
    (error: unknown) => ErrorCode[failureFromConnectError(error)?.code ?? 0],
  );

describe("findings in the console", () => {
  it("are listed, counted and searched, also after the host forgot them", async () => {
    const findings = new FakeFindings();
    findings.put(
      findingOf("a"),
      findingOf("b", {
        detector: DetectorKind.BEACON,
        severity: AnomalySeverity.LOW,
        sentence: "curl calls 203.0.113.7 every 60 s.",
      }),
    );
    const { client, list, ids, activity } = start(findings);
    await expect.poll(() => ids().sort(), WAIT).toEqual(["a", "b"]);
    expect(list()).toMatchObject({
      total: 2n,
      openBySeverity: [0, 1, 1, 0, 0],
      models: [{ hostId: "local", host: "alpha" }],
    });
    for await (const { anomalies } of activity.watchActivity({})) if (anomalies?.total === 2n) break;
    findings.findings.delete("b");
    const found = await client.searchAnomalies({ text: "CURL 203.0", detectors: [DetectorKind.BEACON] });
    expect(found).toMatchObject({
      total: 1n,
      nextPageToken: "",
      anomalies: [{ hostId: "local", finding: { id: "b" } }],
    });
    const first = await client.searchAnomalies({ limit: 1 });
    const second = await client.searchAnomalies({ limit: 1, pageToken: first.nextPageToken });
    expect([first, second].map(({ anomalies }) => anomalies[0]?.finding?.id).sort()).toEqual(["a", "b"]);
    expect([first.total, second.nextPageToken]).toEqual([2n, ""]);
    expect(await codeOf(client.searchAnomalies({ pageToken: "x" }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(client.searchAnomalies({ limit: 1_001 }))).toBe("INVALID_ARGUMENT");
    expect((await client.searchAnomalies({ minSeverity: AnomalySeverity.HIGH })).total).toBe(0n);
    expect((await client.searchAnomalies({ until: timestampOf(NOW_MS - 3_600_000) })).total).toBe(0n);
  });

  it("are shown with their evidence: asked from the host, and kept here when they are serious", async () => {
    const findings = new FakeFindings();
    findings.put(
      findingOf("mild", { evidence: EVIDENCE }),
      findingOf("serious", { severity: AnomalySeverity.HIGH, evidence: EVIDENCE }),
    );
    const { client, ids, agent } = start(findings);
    await expect.poll(() => ids().length, WAIT).toBe(2);
    await expect.poll(() => findings.asked, WAIT).toEqual(["serious"]);
    const mild = await client.getAnomaly({ hostId: "local", findingId: "mild" });
    expect(mild.anomaly?.finding?.evidence).toHaveLength(2);
    agent.anomalies = null;
    agent.dropConnections();
    agent.dialFailure = new Failure({ code: ErrorCode.AGENT_UNREACHABLE, message: "gone", retryable: true });
    const later = async (findingId: string) =>
      (await client.getAnomaly({ hostId: "local", findingId })).anomaly?.finding;
    await expect.poll(async () => (await later("serious"))?.evidence.length, WAIT).toBe(2);
    await expect.poll(async () => (await later("mild"))?.evidence.length, WAIT).toBe(0);
    expect(await codeOf(client.getAnomaly({ hostId: "local", findingId: "none" }))).not.toBe("ok");
  });

  it("take feedback to the host, and are no longer open then", async () => {
    const findings = new FakeFindings();
    findings.put(findingOf("a"));
    const { client, ids, list } = start(findings);
    await expect.poll(ids, WAIT).toEqual(["a"]);
    const said = { hostId: "local", findingId: "a", kind: FeedbackKind.NORMAL, reason: "our scanner" };
    const { anomaly } = await client.giveAnomalyFeedback(said);
    expect(anomaly?.finding?.feedback).toMatchObject([{ kind: FeedbackKind.NORMAL, reason: "our scanner" }]);
    expect(list().openBySeverity).toEqual([0, 0, 0, 0, 0]);
    findings.refusal = new Failure({ code: ErrorCode.PERMISSION_DENIED, message: "viewer" });
    expect(await codeOf(client.giveAnomalyFeedback(said))).toBe("PERMISSION_DENIED");
    expect(await codeOf(client.giveAnomalyFeedback({ ...said, reason: "x".repeat(501) }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(client.giveAnomalyFeedback({ ...said, hostId: "other" }))).toBe("NOT_FOUND");
  });

  it("have a model per host, which is configured and trained there", async () => {
    const findings = new FakeFindings();
    const { client, list } = start(findings);
    const settings = { targetFalseAlarmsPerDay: 2, learningHours: 12, disabled: [DetectorKind.BEACON] };
    await expect.poll(() => list().models.length, WAIT).toBe(1);
    await client.configureHost({ hostId: "local", settings });
    expect(list().models).toMatchObject([{ settings, model: { reason: "12 hours" } }]);
    expect((await client.trainHost({ hostId: "local" })).model?.state).toBe(ModelState.LEARNING);
    for (const wrong of [{ targetFalseAlarmsPerDay: 101 }, { learningHours: 169 }, { disabled: [99] }])
      expect(await codeOf(client.configureHost({ hostId: "local", settings: wrong as never }))).toBe(
        "INVALID_ARGUMENT",
      );
  });

  it("say so when an agent is older than detection", async () => {
    const { list } = start(null);
    await expect.poll(() => list().models, WAIT).toMatchObject([{ hostId: "local", isOutdated: true }]);
  });

  it("survive a restart of the console, with the revisions that others go by", async () => {
    const findings = new FakeFindings();
    findings.put(findingOf("a"));
    const first = start(findings);
    await expect.poll(first.ids, WAIT).toEqual(["a"]);
    const { feed } = first.console.backend.services.anomalies;
    const before = feed.revision();
    expect(feed.changedSince(0, 10).map(({ finding }) => finding.id)).toEqual(["a"]);
    findings.put(findingOf("b"));
    await expect.poll(() => feed.changedSince(before, 10).map(({ finding }) => finding.id), WAIT).toEqual(["b"]);
    expect(feed.changedSince(feed.revision(), 10)).toEqual([]);
  });
});

describe("an agent that lies", () => {
  it("speaks of itself only, in bounded and harmless words, of possible times and numbers", async () => {
    const findings = new FakeFindings();
    findings.put(
      findingOf("odd", {
        host: "beta",
        severity: 99 as AnomalySeverity,
        score: Number.NaN,
        falseAlarmsPerDay: Number.POSITIVE_INFINITY,
        detectedAt: timestampOf(Date.UTC(9000, 0)),
        beganAt: timestampOf(Date.UTC(9999, 0)),
        sentence: `\u001b[2J<img src=x>\u202e${"x".repeat(100_000)}`,
        process: "\u0007bell",
        features: Array.from({ length: 500 }, () => ({ key: "k", value: Number.NaN })),
        actions: [{ action: { case: "quarantineSubjectKey", value: "\u001b[31mred" } }],
        chainFindingIds: ["ok", "no\u0000id"],
      }),
      findingOf("bad id\n"),
    );
    const { ids, list } = start(findings);
    await expect.poll(ids, WAIT).toEqual(["odd"]);
    const finding = list().anomalies[0]?.finding;
    expect(finding).toMatchObject({ host: "alpha", severity: AnomalySeverity.LOW, score: 0, falseAlarmsPerDay: 0 });
    expect(
      JSON.stringify(finding, (_key, value) => (typeof value === "bigint" ? `${value}` : value)).length,
    ).toBeLessThan(20_000);
    expect(finding?.sentence).toMatch(/^\\u\{1b\}\[2J<img src=x>\\u\{202e\}x+…$/);
    expect(finding?.actions[0]?.action.value).toBe("\\u{1b}[31mred");
    expect(Number(finding?.detectedAt?.seconds) * 1000).toBeLessThan(Date.now() + 1_000);
    expect(finding?.chainFindingIds).toEqual(["ok"]);
  });

  it("cannot put another finding in the place of the one that was asked for, nor fill the store", async () => {
    const findings = new FakeFindings();
    findings.put(findingOf("a", { severity: AnomalySeverity.CRITICAL }));
    const many = Array.from({ length: 3_000 }, (_, index) => findingOf(`m${index}`));
    findings.odd = [{ sequence: 1n, findings: many }];
    const agent = new FakeAgent();
    const routes = findings.routes;
    const { list, client } = start(findings, agent);
    agent.anomalies = { ...routes, getFinding: () => ({ finding: findingOf("else", { evidence: EVIDENCE }) }) };
    agent.dropConnections();
    await expect.poll(() => list().total, WAIT).toBe(1_001n);
    expect((await client.searchAnomalies({ text: "(else)" })).total).toBe(0n);
    expect((await client.getAnomaly({ hostId: "local", findingId: "a" })).anomaly?.finding?.evidence).toEqual([]);
  });
});

const WORLD = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: alpha, labels: {role: web, site: one}}
spec: {addresses: [10.77.0.2]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: beta, labels: {role: web, site: two}}
spec: {addresses: [10.77.0.3]}
---
apiVersion: wardline.io/v1
kind: Policy
metadata: {name: first}
spec:
  tier: admin
  priority: 40
  subject: {hosts: {}}
  egress: [{action: allow, to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]
`;

describe("a policy draft", () => {
  const files = [{ path: "world.yaml", text: WORLD }];
  const { world } = readPolicyFiles(files);
  const draftOf = (finding: Finding) => draftPolicy(finding, { files, ...world });
  const errorsOf = (text: string) =>
    readPolicyFiles([...files, { path: "draft.yaml", text }]).diagnostics.filter(
      ({ severity }) => severity === "error",
    );

  it("denies the ends and ports of the evidence for the one host, before other policies, and says why", () => {
    const draft = draftOf(findingOf("0123456789abcdef", { evidence: EVIDENCE }));
    expect(draft?.name).toBe("deny-port-scan-0123456789ab.yaml");
    expect(draft?.text).toContain("# Drafted from a finding on alpha: nmap on alpha tried 200 ports");
    expect(draft?.text).toContain('subject: {"hosts":{"matchLabels":{"site":"one"}}}');
    expect(draft?.text).toContain("priority: 39");
    expect(draft?.text).toContain('ipBlock: {cidr: "10.77.0.1/32"}');
    expect(draft?.text).toContain("{protocol: TCP, port: 22}");
    expect(errorsOf(draft?.text ?? "")).toEqual([]);
  });

  it("denies every port where it was the tries that mattered, and what came in as such", () => {
    const evidence = Array.from({ length: 40 }, (_, index) => ({
      ...{ ...EVIDENCE[0], direction: Direction.INGRESS, sourceAddress: "2001:db8::7", destinationPort: 1_000 + index },
    }));
    const draft = draftOf(findingOf("x1", { evidence }));
    expect(draft?.text).toMatch(
      /ingress:\n {4}- action: deny\n {6}from:\n {8}- ipBlock: \{cidr: "2001:db8::7\/128"\}\n {6}ports:\n {8}- \{protocol: TCP\}\n$/,
    );
    expect(errorsOf(draft?.text ?? "")).toEqual([]);
  });

  it("goes by the suggested action without evidence, is empty without either, and takes no line from a host", () => {
    const action = { subjectKey: "", remoteCidr: "203.0.113.0/24", protocol: 17, port: 53, ingress: false };
    const draft = draftOf(
      findingOf("x2", { actions: [{ action: { case: "deny", value: action } }], sentence: "a\nkind: Evil\n# \u2028b" }),
    );
    expect(draft?.text).toContain("{protocol: UDP, port: 53}");
    expect(draft?.text).not.toMatch(/^kind: Evil/m);
    expect(errorsOf(draft?.text ?? "")).toEqual([]);
    expect(draftOf(findingOf("x3"))).toBeNull();
  });

  it("says whom else it is for where no label is the subject's alone", () => {
    const draft = draftOf(findingOf("x4", { host: "gamma", subjectKey: "Host/gamma", evidence: EVIDENCE }));
    expect(draft?.text).toMatch(/^# No label is Host\/gamma's alone: this is also for Host\/alpha, Host\/beta\./m);
    expect(errorsOf(draft?.text ?? "")).toEqual([]);
  });
});
