import { mkdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliSandbox } from "../testing/run-cli.ts";
import { GOOD_POLICY, INVENTORY } from "../testing/samples.ts";

const flow = (fields: object = {}) =>
  JSON.stringify({
    id: "1",
    host: "here",
    time: "2026-11-21T05:00:00Z",
    kind: "FLOW_EVENT_KIND_START",
    direction: "DIRECTION_INGRESS",
    protocol: 6,
    sourceAddress: "10.0.0.5",
    sourcePort: 40_000,
    destinationAddress: "10.9.0.1",
    destinationPort: 443,
    verdict: "VERDICT_ALLOW",
    enforced: "VERDICT_ALLOW",
    subjectKey: "Host/here",
    ...fields,
  });

let sandbox: CliSandbox;
beforeAll(() => {
  sandbox = new CliSandbox();
  mkdirSync(sandbox.path("candidate"));
  writeFileSync(sandbox.path("candidate/web.yaml"), GOOD_POLICY);
  writeFileSync(sandbox.path("candidate/hosts.yaml"), INVENTORY);
  writeFileSync(sandbox.path("allowed.ndjson"), `${flow()}\n${flow()}\n`);
  writeFileSync(sandbox.path("mixed.ndjson"), `${flow()}\nnonsense\n${flow({ destinationPort: 22 })}\n`);
});
afterAll(() => sandbox.dispose());

const simulate = (...args: string[]) => sandbox.run(["policy", "simulate", "candidate", ...args]);

describe("policy simulate", () => {
  it("exits with 0 when nothing that was allowed becomes blocked", async () => {
    const { exitCode, stdout } = await simulate("--flows", "allowed.ndjson");
    expect(stdout).toContain(
      "Checked 2 flows from allowed.ndjson, 2026-11-21T05:00:00.000Z to 2026-11-21T05:00:00.000Z.",
    );
    expect(stdout).toContain("0 newly blocked, 0 newly allowed, 2 stay allowed");
    expect(exitCode).toBe(0);
  });

  it("shows what becomes blocked with a command that really shows its walkthrough", async () => {
    const { exitCode, stdout } = await simulate("--flows", "mixed.ndjson");
    expect(exitCode).toBe(1);
    expect(stdout).toContain("mixed.ndjson:2: it is not valid JSON");
    expect(stdout).toContain("10.0.0.0/24 → default role=web 22/tcp");
    const command = /^ +wardline (policy explain .*)$/m.exec(stdout)?.[1];
    expect(command).toBe("policy explain --from 10.0.0.5 --to 10.9.0.1 --port 22/tcp --policies candidate");
    const explained = await sandbox.run((command ?? "").split(" "));
    expect(explained.stdout).toMatch(/^DENY/);
  });

  it("gives everything as JSON, and compares with present policies", async () => {
    writeFileSync(sandbox.path("present.yaml"), `${GOOD_POLICY.replace("443", "22")}---\n${INVENTORY}`);
    const args = ["policy", "simulate", "candidate", "--flows", "mixed.ndjson", "--base", "present.yaml"];
    const { exitCode, value } = await sandbox.json(args);
    expect(exitCode).toBe(1);
    expect(value).toMatchObject({
      source: "mixed.ndjson",
      total: null,
      read: 2,
      judged: 2,
      unreadable: 1,
      isCancelled: false,
      recorded: { "newly-blocked": 1, "stays-allowed": 1 },
      base: { "newly-blocked": 1, "newly-allowed": 1 },
      problems: ["mixed.ndjson:2: it is not valid JSON"],
    });
    expect((value as { groups: object[] }).groups[0]).toMatchObject({
      recordedClass: "newly-blocked",
      baseClass: "newly-blocked",
      from: "10.0.0.0/24",
      to: "default role=web",
      port: 22,
      example: { verdict: "deny", toKey: "Host/here", direction: "ingress" },
    });
  });

  it("reads standard input, samples, a limit and a window, and says how much it read", async () => {
    const lines = `${Array.from({ length: 10 }, () => flow({ time: new Date().toISOString() })).join("\n")}\n${flow({ time: "2020-01-01T00:00:00Z" })}\n`;
    const run = async (...args: string[]) => {
      const all = ["policy", "simulate", "candidate", "--flows", "-", "--format", "json", ...args];
      return JSON.parse((await sandbox.run(all, lines)).stdout);
    };
    expect(await run("--sample", "1/4")).toMatchObject({ read: 11, judged: 3, sampledOut: 8 });
    expect(await run("--limit", "5")).toMatchObject({ read: 5, judged: 5 });
    expect(await run("--since", "1h")).toMatchObject({ read: 10, judged: 10 });
  });

  it("stops at a bad line when it is to be strict, and refuses what is no flow file", async () => {
    const strict = await simulate("--flows", "mixed.ndjson", "--strict");
    expect(strict).toMatchObject({ exitCode: 2, stdout: "" });
    expect(strict.stderr).toContain("mixed.ndjson:2: it is not valid JSON");
    expect((await simulate("--flows", "absent.ndjson")).exitCode).toBe(2);
    expect((await simulate("--flows", "candidate")).exitCode).toBe(2);
    expect((await simulate("--flows", "allowed.ndjson", "--sample", "10")).exitCode).toBe(2);
  });

  it("asks the store when no file is named", async () => {
    const { exitCode, value } = await sandbox.json(["policy", "simulate", "candidate", "--since", "24h"]);
    expect(exitCode).toBe(0);
    expect(value).toMatchObject({ source: "the store", total: 0, read: 0 });
  });
});
