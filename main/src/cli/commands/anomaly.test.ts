import type { Http2Server } from "node:http2";
import { AnomalySeverity, DetectorKind } from "@wardline/api/wardline/v1/anomaly";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { readPolicyFiles } from "@wardline/domain/policy";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FakeAgent } from "../../backend/testing/fake-agent.ts";
import { EVIDENCE, FakeFindings, findingOf } from "../../backend/testing/fake-findings.ts";
import { InProcessCli } from "../testing/run-in-process.ts";

const cli = new InProcessCli();
const findings = new FakeFindings();
let server: Http2Server;
beforeAll(async () => {
  const agent = new FakeAgent();
  agent.anomalies = findings.routes;
  findings.put(findingOf("scan-0001", { severity: AnomalySeverity.HIGH, evidence: EVIDENCE }));
  findings.put(findingOf("beacon-01", { detector: DetectorKind.BEACON, sentence: "curl calls \u001b[31mhome." }));
  server = await agent.serve(cli.socketPath);
});
afterAll(() => {
  server.close();
  cli.dispose();
});

it("lists findings of all hosts, filtered, for people and for programs", async () => {
  const all = await cli.run("anomaly", "list");
  expect(all).toMatchObject({ exitCode: 0, stderr: "" });
  expect(all.stdout).toMatch(/^BEGAN +HOST +SEVERITY +DETECTOR +STATE +ID +WHAT\n/);
  expect(all.stdout).toMatch(/alpha +high +port-scan +over +scan-0001 +nmap on alpha/);
  expect(all.stdout).toContain("curl calls \\u{1b}[31mhome.");
  const some = await cli.run("anomaly", "list", "--detector", "beacon", "--json");
  expect(JSON.parse(some.stdout)).toMatchObject({ total: 1, anomalies: [{ finding: { id: "beacon-01" } }] });
  expect((await cli.run("anomaly", "list", "--severity", "critical")).stdout).toBe("No findings.\n");
  expect((await cli.run("anomaly", "list", "--detector", "magic")).exitCode).toBe(2);
  expect((await cli.run("anomaly", "list", "--host", "elsewhere")).exitCode).toBe(2);
});

it("shows one with its evidence, and the policy that denies it", async () => {
  const shown = await cli.run("anomaly", "show", "scan-");
  expect(shown.exitCode).toBe(0);
  expect(shown.stdout).toMatch(/10\.77\.0\.2 +10\.77\.0\.1 +22/);
  expect(shown.stderr).toContain("wardline anomaly show scan-0001 --policy > deny-port-scan-scan0001.yaml");
  const { stdout: text } = await cli.run("anomaly", "show", "scan-0001", "--policy");
  expect(
    readPolicyFiles([{ path: "draft.yaml", text }]).diagnostics.filter(({ severity }) => severity === "error"),
  ).toEqual([]);
  expect(text).toContain('- ipBlock: {cidr: "10.77.0.1/32"}');
  const nothing = await cli.run("anomaly", "show", "beacon-01", "--policy");
  expect([nothing.exitCode, nothing.stdout]).toEqual([1, ""]);
  expect((await cli.run("anomaly", "show", "none")).exitCode).toBe(2);
});

it("takes feedback, trains and changes settings, and refuses both in read-only mode", async () => {
  const said = await cli.run("anomaly", "feedback", "beacon-01", "normal", "--reason", "updates");
  expect(said).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("is now: normal") });
  expect((await cli.run("anomaly", "list", "--open", "--json")).stdout).not.toContain("beacon-01");
  expect((await cli.run("anomaly", "train")).stdout).toMatch(/^Learned anew: learning \(24 hours\)/);
  const changed = await cli.run("anomaly", "settings", "--host", "local", "--false-alarms", "2", "--disable", "beacon");
  expect(changed.stdout).toMatch(/alpha +learning \(24 hours\) +2 +24 h +beacon/);
  expect((await cli.run("anomaly", "settings", "--false-alarms", "2")).exitCode).toBe(2);
  expect((await cli.run("anomaly", "settings", "--host", "local", "--false-alarms", "0")).exitCode).toBe(2);
  findings.refusal = new Failure({ code: ErrorCode.PERMISSION_DENIED, message: "vera is viewer on this host." });
  const refused = await cli.run("anomaly", "feedback", "scan-0001", "confirmed");
  expect(refused).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("vera is viewer") });
  process.env.WARDLINE_READ_ONLY = "1";
  try {
    expect(await cli.run("anomaly", "train")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("read-only"),
    });
  } finally {
    delete process.env.WARDLINE_READ_ONLY;
  }
});

it("watches what comes", async () => {
  const watching = cli.start("anomaly", "watch", "--json");
  await expect.poll(() => findings.streams, { timeout: 40_000 }).toBeGreaterThan(0);
  findings.put(findingOf("later-001"));
  await expect.poll(() => watching.stdout(), { timeout: 40_000 }).toContain("later-001");
  watching.interrupt();
  expect((await watching.ended).exitCode).toBe(0);
});

it("tells what a backtest found, and what was missing of the history", async () => {
  const { exitCode, value, stderr } = await cli.json(
    "anomaly",
    "backtest",
    "--since",
    "1h",
    "--compare-false-alarms",
    "5",
  );
  expect(exitCode).toBe(1);
  expect(value).toMatchObject({ progress: 1, run: {}, otherRun: {}, gaps: ["Nothing is recorded of that time."] });
  expect(stderr).toBe("");
  const text = await cli.run("anomaly", "backtest", "--since", "1h");
  expect(text.stdout).toMatch(/DETECTOR +FINDINGS\nall +0\nper host and day +0\.00\n0 records were looked at/);
});
