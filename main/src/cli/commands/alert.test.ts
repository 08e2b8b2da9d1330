import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { AnomalySeverity, DetectorKind, FindingSchema, FindingState } from "@wardline/api/wardline/v1/anomaly";
import { parseFlowQuery } from "@wardline/domain/flows";
import { timestampOf } from "@wardline/domain/wire";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { receiverProblems } from "../../backend/alerts/check-receiver.ts";
import { AnomaliesTable } from "../../backend/anomalies/anomalies-table.ts";
import { silentLogger } from "../../backend/ports.ts";
import { Store } from "../../backend/store/store.ts";
import { InProcessCli } from "../testing/run-in-process.ts";
import { parseAlertFile } from "./alert-file.ts";

let cli: InProcessCli;
let server: Server;
let url: string;
const bodies: string[] = [];
let status = 200;
beforeAll(async () => {
  cli = new InProcessCli();
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => {
      body += part.toString();
    });
    request.on("end", () => {
      bodies.push(body);
      response.writeHead(status).end("hello");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  server.close();
  cli.dispose();
});

function file(text: string): string {
  const path = cli.path("alerts.yaml");
  writeFileSync(path, text);
  return path;
}

describe("wardline alert", () => {
  it("shows the usual rules, and that nobody evaluates them", async () => {
    const rules = await cli.run("alert", "rules");
    expect(rules.stdout).toMatch(/host-unreachable +yes +host unreachable +300 s +desktop/);
    const list = await cli.run("alert", "list");
    expect([list.exitCode, list.stdout]).toEqual([0, "Nothing fires.\n"]);
    expect(list.stderr).toContain("nobody is told of anything");
    // The first command loads the console's code.
  }, 240_000);

  it("sets rules and receivers from a file, and says with its place what is wrong", async () => {
    const wrong = file(`receivers:
  - name: hook
    webhook: { url: "http://10.0.0.1/", secret: inline, colour: red }
rules:
  - name: scans
    finding: { minSeverity: hihg }
    for: soon
`);
    const refused = await cli.run("alert", "apply", wrong);
    expect(refused.exitCode).toBe(1);
    expect(refused.stdout.split("\n").map((line) => line.replace(wrong, "FILE"))).toEqual([
      'FILE:3:65: There is no field "colour" here; there are url, allowLocal, secret.',
      "FILE:3:49: A secret does not stand in the file: write { env: NAME } or { file: PATH }.",
      'FILE:6:29: "hihg" is none of low, medium, high, critical.',
      'FILE:7:10: "soon" is no time such as 90s, 5m or 2h.',
      "",
    ]);
    const meaning = await cli.run(
      "alert",
      "apply",
      file("rules:\n  - name: scans\n    host: drifted\n    steps:\n      - receivers: [desktop, nobody]\n"),
    );
    expect(meaning.stdout).toContain(':5:30: There is no receiver "nobody"');
    expect((await cli.run("alert", "rules")).stdout).not.toContain("scans");
  });

  it("takes secrets from the environment, and shows them to nobody", async () => {
    process.env.HOOK_SECRET = "s3cret-value";
    const path = file(`receivers:
  - name: hook
    webhook: { url: "${url}", allowLocal: true, secret: { env: HOOK_SECRET } }
rules:
  - name: scans
    finding: { minSeverity: medium, detectors: [port-scan] }
    groupBy: [rule, host]
    steps:
      - receivers: [hook]
      - after: 15m
        receivers: [desktop]
`);
    const checked = await cli.run("alert", "apply", path, "--check");
    expect(checked.stdout).toContain("1 receivers and 1 rules can be set");
    const applied = await cli.run("alert", "apply", path);
    delete process.env.HOOK_SECRET;
    expect([applied.exitCode, applied.stderr]).toEqual([0, "Try each receiver: wardline alert test NAME\n"]);
    const receivers = await cli.json("alert", "receivers");
    expect(JSON.stringify(receivers.value)).not.toContain("s3cret-value");
    expect(receivers.value.receivers[1]).toMatchObject({
      name: "hook",
      secretKeptIn: "file",
      webhook: { hasSecret: true },
    });
    expect((await cli.run("alert", "rules")).stdout).toMatch(
      /scans +yes +findings from medium +0 s +hook; after 900 s desktop/,
    );
  });

  it("tries a receiver and tells the truth", async () => {
    const good = await cli.run("alert", "test", "hook");
    expect([good.exitCode, good.stdout]).toEqual([
      0,
      expect.stringMatching(/^accepted .*HTTP 200 in \d+ ms\n.*is at 127.0.0.1/),
    ]);
    expect(JSON.parse(bodies.at(-1) ?? "{}")).toMatchObject({ rules: ["test"] });
    status = 500;
    const bad = await cli.run("alert", "test", "hook");
    status = 200;
    expect([bad.exitCode, bad.stdout]).toEqual([1, expect.stringMatching(/^failed .*HTTP 500 in \d+ ms: hello\n/)]);
    expect((await cli.run("alert", "test", "nobody")).exitCode).toBe(2);
  });

  it("silences with a preview, and never everything", async () => {
    const dry = await cli.run("alert", "silence", "host=web-1", "--dry-run");
    expect(dry.stdout).toContain("Would hold back until");
    const made = await cli.json("alert", "silence", "host=web-1", "detector=beacon", "--for", "1h", "--reason", "test");
    expect(made.value.silence.matches).toEqual({ host: "web-1", detector: "beacon" });
    const list = await cli.run("alert", "silence");
    expect(list.stdout).toContain("host=web-1 detector=beacon");
    expect((await cli.run("alert", "unsilence", made.value.silence.id.slice(0, 8))).exitCode).toBe(0);
    expect((await cli.run("alert", "silence")).stdout).toBe("Nothing is silenced.\n");
    expect((await cli.run("alert", "silence", "everything")).exitCode).toBe(2);
    expect((await cli.run("alert", "silence", "colour=red")).stderr).toContain("no label of alerts");
    expect((await cli.run("alert", "unsilence", "x")).exitCode).toBe(2);
  });

  it("says when a rule would have fired, and what is not recorded", async () => {
    const backtest = await cli.run("alert", "backtest", "scans", "--since", "1d");
    expect([backtest.exitCode, backtest.stdout]).toEqual([0, "As it is it would have fired 0 times.\n"]);
    expect(backtest.stderr).toContain("nothing is recorded");
    expect((await cli.run("alert", "backtest", "none")).exitCode).toBe(2);
  });

  it("removes what nothing uses", async () => {
    expect((await cli.run("alert", "receivers", "--delete", "hook")).stderr).toContain('told by "scans"');
    expect((await cli.run("alert", "rules", "--delete", "scans")).exitCode).toBe(0);
    expect((await cli.run("alert", "receivers", "--delete", "hook")).exitCode).toBe(0);
    expect((await cli.run("alert", "receivers")).stdout).not.toContain("hook");
    expect((await cli.run("alert", "ack", "0123")).exitCode).toBe(2);
    expect((await cli.run("alert", "history")).stdout).toBe("There was no alert yet.\n");
  });

  it("changes nothing in read-only mode", async () => {
    process.env.WARDLINE_READ_ONLY = "1";
    try {
      for (const argv of [
        ["apply", file("rules: []\n")],
        ["silence", "host=a"],
        ["rules", "--delete", "findings"],
        ["test", "desktop"],
        ["run"],
      ]) {
        expect([argv[0], (await cli.run("alert", ...argv)).stderr]).toEqual([
          argv[0],
          expect.stringContaining("read-only mode"),
        ]);
      }
    } finally {
      delete process.env.WARDLINE_READ_ONLY;
    }
  });

  it("runs in the foreground, delivers, and stops when it is asked to", async () => {
    const path = file(`receivers: [{ name: hook, webhook: { url: "${url}", allowLocal: true } }]
rules: [{ name: findings, finding: { minSeverity: high }, groupWait: 0s, steps: [{ receivers: [hook] }] }]
`);
    expect((await cli.run("alert", "apply", path)).exitCode).toBe(0);
    bodies.length = 0;
    const running = cli.start("alert", "run");
    await expect.poll(running.stdout, { timeout: 40_000 }).toContain("delivers alerts");
    const store = new Store({ stateDir: cli.path("state"), logger: silentLogger });
    const now = timestampOf(Date.now());
    const finding = create(FindingSchema, {
      ...{
        id: "f1",
        host: "alpha",
        detector: DetectorKind.BEACON,
        severity: AnomalySeverity.HIGH,
        sentence: "it calls home",
      },
      ...{ state: FindingState.ONGOING, beganAt: now, lastAt: now, detectedAt: now },
    });
    new AnomaliesTable(store).put("local", [finding]);
    store.close();
    await expect.poll(() => bodies.length, { timeout: 40_000 }).toBe(1);
    expect(JSON.parse(bodies[0] ?? "")).toMatchObject({ kind: "firing", firing: [{ findingId: "f1" }] });
    running.interrupt();
    const { exitCode, stderr } = await running.ended;
    const list = await cli.run("alert", "list");
    expect([list.exitCode, list.stdout]).toEqual([
      1,
      expect.stringMatching(/high +firing .* findings .* it calls home/),
    ]);
    expect((await cli.run("alert", "history")).stdout).toMatch(/hook: accepted .*HTTP 200/);
    expect([exitCode, stderr.split("\n").at(-2)]).toEqual([
      0,
      "Stopped. What was not delivered yet waits for the next process.",
    ]);
  }, 240_000);
});

describe("the documentation's example", () => {
  it("can be set as it stands there", () => {
    const page = readFileSync(new URL("../../../../docs/alerts.md", import.meta.url), "utf8");
    const [, text = ""] = /```yaml\n(.*?)```/s.exec(page) ?? [];
    const secret = cli.path("hook-secret");
    writeFileSync(secret, "s3cret\n");
    const { configuration, problems } = parseAlertFile(text.replace("/etc/wardline/hook-secret", secret), {
      SMTP_PASSWORD: "p",
    });
    expect(problems).toEqual([]);
    expect(configuration.receivers.map((each) => [each.receiver.name, each.secret])).toEqual([
      ["ops-mail", "p"],
      ["chat", "s3cret"],
      ["am", ""],
    ]);
    const urls = configuration.allowedUrls ?? [];
    expect(configuration.receivers.flatMap(({ receiver }) => receiverProblems(receiver, urls))).toEqual([]);
    const queries = configuration.rules.flatMap(({ source }) => (source.kind === "denies" ? [source.query] : []));
    expect(queries.map((query) => parseFlowQuery(query, { nowMs: 0 }).query)).toEqual([expect.anything()]);
    expect(configuration.rules.map(({ steps }) => steps.map(({ afterSeconds }) => afterSeconds))).toEqual([
      [0, 900],
      [0],
    ]);
  });
});

describe("hostile files", () => {
  it.each([
    ["rules: &a [*a]\n", "Here stand the fields"],
    ["a: 1\na: 2\n", "unique"],
    ["- 1\n", "Here stand the fields"],
    ["rules: 7\n", "a list"],
    ["receivers: [{ name: x, desktop: {}, webhook: {} }]\n", "one of desktop"],
    ["receivers: [{ name: x, webhook: { url: https://a.b/, secret: { env: NOT_SET_ANYWHERE } } }]\n", "is not set"],
    ["rules: [{ name: x }]\n", "is about one of"],
    ["\u0000", "fields"],
  ])("%j", (text, message) => {
    const { problems } = parseAlertFile(text, {});
    expect(problems.map((problem) => problem.message).join("\n")).toContain(message);
  });
});
