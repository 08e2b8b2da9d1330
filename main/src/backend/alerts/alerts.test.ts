import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { ActivityService } from "@wardline/api/wardline/console/v1/activity";
import {
  type AlertBoard,
  AlertService,
  AlertState,
  DeliveryResult,
  EscalationStepSchema,
} from "@wardline/api/wardline/console/v1/alerts";
import * as anomaly from "@wardline/api/wardline/v1/anomaly";
import { type Finding, FindingSchema } from "@wardline/api/wardline/v1/anomaly";
import type { AlertRule } from "@wardline/domain/alerts";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError, timestampOf } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AnomaliesTable } from "../anomalies/anomalies-table.ts";
import { type SecretsPort, silentLogger } from "../ports.ts";
import { Store } from "../store/store.ts";
import { startTestConsole, type TestConsole } from "../testing/console.ts";
import { FakeAgent } from "../testing/fake-agent.ts";
import { toWireRule } from "./alert-wire.ts";

let stateDir: string;
let testers: TestConsole[];
let servers: Server[];
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "wardline-alerts-"));
  testers = [];
  servers = [];
});
afterEach(async () => {
  for (const tester of testers) await tester.close();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(stateDir, { recursive: true });
});

type Options = Parameters<typeof startTestConsole>[1];

interface Started {
  readonly tester: TestConsole;
  readonly alerts: Client<typeof AlertService>;
  board(): AlertBoard;
  find(...findings: Finding[]): void;
}

/** A console on the test's store. Findings are put where the mirror puts them. */
function start(options: Options = {}): Started {
  const tester = startTestConsole(new FakeAgent(), { stateDir, alerts: { delivers: true }, ...options });
  testers.push(tester);
  const { backend } = tester;
  const transport = createRouterTransport((router) => backend.routes(router));
  return {
    tester,
    alerts: createClient(AlertService, transport),
    board: () => backend.alerts.board.board(),
    find: (...findings) => {
      const store = new Store({ stateDir, logger: silentLogger });
      new AnomaliesTable(store).put("local", findings);
      store.close();
    },
  };
}

function finding(id: string, change: Partial<Omit<Finding, "$typeName" | "$unknown">> = {}): Finding {
  const now = timestampOf(Date.now());
  return create(FindingSchema, {
    ...{ id, host: "alpha", detector: anomaly.DetectorKind.BEACON, severity: anomaly.AnomalySeverity.HIGH },
    ...{ state: anomaly.FindingState.ONGOING, sentence: `curl <b>${id}</b> calls home every 60 s`, process: "curl" },
    ...{ beganAt: now, lastAt: now, detectedAt: now, remote: "192.0.2.9" },
    ...change,
  });
}

const step = (receiver: string) => create(EscalationStepSchema, { afterSeconds: 0, receivers: [receiver] });

async function hookServer(answer: () => number = () => 200) {
  const bodies: { kind: string; firingCount: number; firing: { id: string }[] }[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => {
      body += part.toString();
    });
    request.on("end", () => {
      const status = answer();
      if (status < 300) bodies.push(JSON.parse(body));
      response.writeHead(status).end();
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { bodies, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

async function codeOf(call: Promise<unknown>): Promise<[ErrorCode | undefined, string]> {
  const failure = await call.then(
    () => null,
    (error: unknown) => failureFromConnectError(error),
  );
  return [failure?.code, failure?.message ?? ""];
}

/** A rule on findings that tells a webhook at once. */
async function withHook({ alerts, board }: Started, url: string, secret = ""): Promise<void> {
  await alerts.putReceiver({
    receiver: { name: "hook", kind: { case: "webhook", value: { url, allowLocal: true, secret } } },
  });
  const rule = board().rules.find(({ name }) => name === "findings");
  await alerts.putAlertRule({
    rule: { ...rule, groupWaitSeconds: 0, steps: [step("hook")] } as never,
  });
}

const until = (what: () => unknown) => expect.poll(what, { timeout: 10_000, interval: 50 });

describe("a console that nobody has set up", () => {
  it("has rules that tell the person who sits there, and a window shows it", async () => {
    const started = start();
    const { tester, board, find } = started;
    expect(board().rules.map(({ name }) => name)).toEqual([
      ...["findings", "host-unreachable", "host-drifted", "cluster-without-leader"],
      ...["mesh-not-healed", "mesh-waits-for-approval", "mesh-partitioned"],
    ]);
    expect(board().receivers.map(({ name, kind }) => [name, kind.case])).toEqual([["desktop", "desktop"]]);
    await until(() => board().isDelivering).toBe(true);
    await started.alerts.putAlertRule({ rule: { ...board().rules[0], groupWaitSeconds: 0 } as never });
    find(finding("f1"), finding("f2", { severity: anomaly.AnomalySeverity.MEDIUM }));
    await until(() => board().alerts.map(({ findingId, state }) => [findingId, state])).toEqual([
      ["f1", AlertState.FIRING],
    ]);
    const leaving = new AbortController();
    const client = createClient(
      ActivityService,
      createRouterTransport((router) => tester.backend.routes(router)),
    );
    const titles: string[] = [];
    for await (const { alerts } of client.watchActivity({}, { signal: leaving.signal })) {
      titles.push(...(alerts?.notifications.map(({ title, body }) => `${title}: ${body}`) ?? []));
      if (titles.length > 0) break;
    }
    expect(titles).toEqual(["high: findings on alpha: curl <b>f1</b> calls home every 60 s"]);
    await until(() => board().receivers[0]?.last?.result).toBe(DeliveryResult.HANDED_OVER);
  }, 30_000);

  it("gives the desktop's own shell what it can show itself", async () => {
    const shown: string[] = [];
    const shell = { kind: "electron", notify: async ({ title }: { title: string }) => void shown.push(title) } as const;
    const { find, board, alerts } = start({ shell });
    const rule = board().rules[0];
    await alerts.putAlertRule({ rule: { ...rule, groupWaitSeconds: 0 } as never });
    find(finding("f1"));
    await until(() => shown).toEqual(["high: findings on alpha"]);
  });
});

describe("what fires is told", () => {
  it("and its end, and what is in the history afterwards", async () => {
    const started = start();
    const { alerts, board, find } = started;
    const hook = await hookServer();
    await withHook(started, hook.url, "s3cret");
    find(finding("f1"));
    await until(() => hook.bodies.map(({ kind }) => kind)).toEqual(["firing"]);
    await until(() => board().alerts[0]?.deliveries.map(({ result, attempts }) => [result, attempts])).toEqual([
      [DeliveryResult.ACCEPTED, 1],
    ]);
    find(finding("f1", { state: anomaly.FindingState.OVER }));
    await until(() => hook.bodies.map(({ kind }) => kind)).toEqual(["firing", "resolved"]);
    await until(() => board().alerts).toEqual([]);
    const { alerts: past, total } = await alerts.listAlertHistory({ limit: 1 });
    expect([past[0]?.findingId, past[0]?.state, total]).toEqual(["f1", AlertState.RESOLVED, 1n]);
  });

  it("again after a failure, also by the next process", async () => {
    let isDown = true;
    let asked = 0;
    const hook = await hookServer(() => {
      asked++;
      return isDown ? 503 : 200;
    });
    const network = { random: () => 0 };
    const first = start({ alerts: { delivers: true, network } });
    await withHook(first, hook.url);
    first.find(finding("f1"));
    await until(() => first.board().receivers[1]?.last?.result).toBe(DeliveryResult.RETRYING);
    await first.tester.backend.close();
    isDown = false;
    const second = start({ alerts: { delivers: true, network } });
    await until(() => hook.bodies.length).toBe(1);
    await until(() => second.board().receivers[1]?.last).toMatchObject({ result: DeliveryResult.ACCEPTED });
    expect(second.board().receivers[1]?.last?.attempts).toBe(asked);
    // It goes on from what was kept: nothing is told twice.
    expect(hook.bodies[0]?.firing).toHaveLength(1);
    testers.shift();
  }, 30_000);

  it("by one process of several, and by the next one when that ends", async () => {
    const hook = await hookServer();
    const first = start();
    await withHook(first, hook.url);
    await until(() => first.board().isDelivering).toBe(true);
    const second = start();
    second.find(finding("f1"));
    await until(() => hook.bodies.length).toBe(1);
    expect(second.board()).toMatchObject({ isDelivering: false, deliveredBy: expect.stringContaining("process") });
    await first.tester.backend.close();
    testers.shift();
    await until(() => second.board().isDelivering).toBe(true);
    second.find(finding("f2", { detector: anomaly.DetectorKind.PORT_SCAN }));
    await until(() => hook.bodies.length).toBe(2);
    expect(hook.bodies.flatMap(({ firing }) => firing).length).toBe(2);
  }, 30_000);

  it("in a few messages when 10,000 findings come in a minute", async () => {
    const started = start();
    const hook = await hookServer();
    await withHook(started, hook.url);
    const kinds = [anomaly.DetectorKind.BEACON, anomaly.DetectorKind.PORT_SCAN];
    for (let part = 0; part < 10; part++) {
      const findings = Array.from({ length: 1_000 }, (_, index) => {
        const id = `f${part}-${index}`;
        return finding(id, { detector: kinds[index % 2] ?? anomaly.DetectorKind.BEACON });
      });
      started.find(...findings);
    }
    const { backend } = started.tester;
    await expect
      .poll(() => backend.alerts.runner.problems.length + started.board().alerts.length, { timeout: 60_000 })
      .toBeGreaterThanOrEqual(500);
    await until(() => hook.bodies.length).toBeGreaterThan(0);
    expect(hook.bodies.length).toBeLessThanOrEqual(10);
    expect(hook.bodies[0]?.firing.length).toBeLessThanOrEqual(50);
  }, 90_000);
});

describe("what people say", () => {
  it("acknowledging counts in every process", async () => {
    const hook = await hookServer();
    const first = start();
    await withHook(first, hook.url);
    first.find(finding("f1"));
    await until(() => first.board().alerts.length).toBe(1);
    const id = first.board().alerts[0]?.id ?? "";
    const second = start({ alerts: { delivers: false } });
    await second.alerts.acknowledgeAlert({ id, reason: "looking" });
    await until(() => first.board().alerts[0]?.acknowledgedBy).toBe("tester");
    expect(await codeOf(second.alerts.acknowledgeAlert({ id: "no" }))).toMatchObject([
      ErrorCode.NOT_FOUND,
      expect.any(String),
    ]);
  });

  it("a silence is previewed, holds back, and cannot be about everything", async () => {
    const started = start();
    const { alerts, board, find } = started;
    const hook = await hookServer();
    await withHook(started, hook.url);
    find(finding("f1"));
    await until(() => hook.bodies.length).toBe(1);
    const silence = { matches: { process: "curl" }, until: timestampOf(Date.now() + 60_000), reason: "known" };
    const preview = await alerts.putSilence({ silence, dryRun: true });
    expect([preview.silencedNow.map(({ findingId }) => findingId), preview.silencedBefore]).toEqual([["f1"], 1n]);
    expect(board().silences).toEqual([]);
    const kept = await alerts.putSilence({ silence });
    find(finding("f2", { detector: anomaly.DetectorKind.NOVELTY }));
    await until(() => board().alerts.map(({ silencedBy }) => silencedBy)).toEqual([kept.silence?.id, kept.silence?.id]);
    expect(hook.bodies).toHaveLength(1);
    await alerts.deleteSilence({ id: kept.silence?.id ?? "" });
    await until(() => hook.bodies.length).toBe(2);
    const everything = alerts.putSilence({ silence: { ...silence, matches: {} } });
    expect(await codeOf(everything)).toEqual([ErrorCode.INVALID_ARGUMENT, expect.stringContaining("every alert")]);
    expect((await codeOf(alerts.putSilence({ silence: { matches: { host: "a" } } })))[1]).toContain("no end");
  });

  it("rules and receivers that make no sense are refused, and nothing changes", async () => {
    const { alerts, board } = start({ alerts: { delivers: false } });
    const [rule] = board().rules;
    const before = board();
    const wrong = {
      ...rule,
      name: "denies",
      source: 2,
      query: "process:(",
      threshold: 0n,
      windowSeconds: 60,
      severity: 3,
      steps: [step("nobody")],
    };
    const [code, message] = await codeOf(alerts.putAlertRule({ rule: wrong as never }));
    expect(code).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(message).toMatch(
      /denies.query: .*\ndenies.threshold: .*\nsteps.0.receivers.0: There is no receiver "nobody"/s,
    );
    const mail = { server: "x y", port: 0, from: "a@b.c\r\nBcc: d@e.f", to: [], security: 2 };
    expect(
      (await codeOf(alerts.putReceiver({ receiver: { name: "m", kind: { case: "email", value: mail as never } } })))[1],
    ).toMatch(/server: .*\n.*port: .*\n.*from: .*\n.*to: /s);
    const inward = { url: "http://169.254.169.254/", allowLocal: true };
    expect(
      (
        await codeOf(alerts.putReceiver({ receiver: { name: "m", kind: { case: "webhook", value: inward as never } } }))
      )[1],
    ).toContain("credentials");
    expect((await codeOf(alerts.deleteReceiver({ name: "desktop" })))[1]).toContain('"findings"');
    expect(board()).toEqual(before);
    await alerts.setAllowedUrls({ urls: ["https://hooks.test/a"] });
    const other = { url: "https://other.test/", allowLocal: false };
    expect(
      (
        await codeOf(alerts.putReceiver({ receiver: { name: "m", kind: { case: "webhook", value: other as never } } }))
      )[1],
    ).toContain("allowed URLs");
  });

  it("testing a receiver tells the truth", async () => {
    const started = start({ alerts: { delivers: false } });
    const { alerts } = started;
    const hook = await hookServer();
    await withHook(started, hook.url);
    const good = await alerts.testReceiver({ which: { case: "name", value: "hook" } });
    expect(good.delivery?.result).toBe(DeliveryResult.ACCEPTED);
    expect(good.steps.at(-1)).toContain("What it does with it, it does not say");
    const desktop = await alerts.testReceiver({ which: { case: "name", value: "desktop" } });
    expect(desktop.delivery?.result).toBe(DeliveryResult.FAILED);
    expect(desktop.steps.at(-1)).toContain("No window of this console is open");
    const [code] = await codeOf(alerts.testReceiver({ which: { case: "name", value: "none" } }));
    expect(code).toBe(ErrorCode.NOT_FOUND);
  }, 20_000);
});

describe("secrets", () => {
  const keyring: SecretsPort = {
    protection: async () => "keyring",
    encrypt: async (text) => Buffer.from([...Buffer.from(text)].map((byte) => byte ^ 0x55)),
    decrypt: async (sealed) => Buffer.from([...sealed].map((byte) => byte ^ 0x55)).toString(),
  };

  it("lie in a private file where there is no keyring, and nowhere else", async () => {
    const started = start({ alerts: { delivers: false } });
    await withHook(started, "https://hooks.test/", "s3cret-value");
    const path = join(stateDir, "alert-secrets.json");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(started.board().receivers.find(({ name }) => name === "hook")).toMatchObject({
      secretKeptIn: "file",
      kind: { value: { hasSecret: true, secret: "" } },
    });
    await started.tester.backend.close();
    testers.pop();
    const holders = readdirSync(stateDir).filter((name) => readFileSync(join(stateDir, name)).includes("s3cret-value"));
    expect(holders).toEqual(["alert-secrets.json"]);
  });

  it("are sealed by the keyring where there is one; who cannot open it says so", async () => {
    const started = start({ alerts: { delivers: false }, shell: { kind: "electron", secrets: keyring } });
    const hook = await hookServer();
    await withHook(started, hook.url, "s3cret-value");
    expect(started.board().receivers.find(({ name }) => name === "hook")?.secretKeptIn).toBe("keyring");
    expect(readdirSync(stateDir)).not.toContain("alert-secrets.json");
    const without = start({ alerts: { delivers: false } });
    const { delivery } = await without.alerts.testReceiver({ which: { case: "name", value: "hook" } });
    expect(delivery).toMatchObject({ result: DeliveryResult.FAILED, detail: expect.stringContaining("cannot open") });
    expect(hook.bodies).toEqual([]);
  });

  it("do not go to another address than the one they were given for", async () => {
    const started = start({ alerts: { delivers: false } });
    await withHook(started, "https://hooks.test/", "s3cret-value");
    const moved = { name: "hook", kind: { case: "webhook", value: { url: "https://thief.test/" } } } as const;
    const { receiver } = await started.alerts.putReceiver({ receiver: moved as never });
    expect(receiver).toMatchObject({ secretKeptIn: "", kind: { value: { hasSecret: false } } });
    const { service } = started.tester.backend.alerts;
    const placed = () => started.board().receivers.find(({ name }) => name === "hook")?.secretKeptIn;
    const apply = (url: string, secret: string) =>
      service.apply({
        receivers: [{ receiver: { name: "hook", kind: "webhook", url, allowLocal: false }, secret }],
        rules: [],
        allowedUrls: null,
      });
    await apply("https://hooks.test/", "s3cret-value");
    await apply("https://hooks.test/", "");
    expect(placed()).toBe("file");
    await apply("https://thief.test/", "");
    expect(placed()).toBe("");
  });
});

describe("backtests of rules", () => {
  it("say when a rule would have fired, and compare two settings", async () => {
    const { alerts, board, find } = start({ alerts: { delivers: false } });
    find(
      finding("f1"),
      finding("f2", { severity: anomaly.AnomalySeverity.CRITICAL }),
      finding("f3", { severity: anomaly.AnomalySeverity.LOW }),
    );
    const rule = board().rules[0];
    const until = timestampOf(Date.now() + 60_000);
    const otherRule = { ...rule, minSeverity: anomaly.AnomalySeverity.LOW };
    const answers = [];
    for await (const answer of alerts.backtestRule({ rule: rule as never, otherRule: otherRule as never, until }))
      answers.push(answer);
    const last = answers.at(-1);
    expect([last?.progress, last?.run?.count, last?.otherRun?.count]).toEqual([1, 2n, 3n]);
    expect(last?.run?.alerts.map(({ findingId }) => findingId).sort()).toEqual(["f1", "f2"]);
    expect(last?.gaps.join()).toContain("Findings are recorded since");
    const host = toWireRule(HOST_RULE);
    const hostAnswers = [];
    for await (const answer of alerts.backtestRule({ rule: host, until })) hostAnswers.push(answer);
    expect(hostAnswers.at(-1)?.gaps).toEqual(["Conditions of hosts: nothing is recorded."]);
  });
});

const HOST_RULE: AlertRule = {
  ...{ name: "x", description: "", enabled: true, source: { kind: "host", condition: "unreachable" }, forSeconds: 0 },
  ...{ hostSelector: "", severity: "high", groupBy: ["rule"], groupWaitSeconds: 0, repeatSeconds: 60, steps: [] },
};
