/** `wardline flows query|top|map|stats|saved|export` on a store with records, without an agent. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import type { FlowRecord } from "@wardline/domain/flows";
import { toWireFlowRecord } from "@wardline/domain/wire";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OtlpReceiver } from "../../backend/history/export/testing/otlp-receiver.ts";
import { USUAL_RETENTION_LIMITS } from "../../backend/history/flow-history.ts";
import { openHistory } from "../../backend/history/open-history.ts";
import { silentLogger, systemClock } from "../../backend/ports.ts";
import { InProcessCli } from "../testing/run-in-process.ts";

const MINUTE_MS = 60_000;
const NOW_MS = Date.now();

function record(changes: Partial<FlowRecord> = {}, agoMs = 10 * MINUTE_MS): FlowRecord {
  const windowStartMs = Math.floor((NOW_MS - agoMs) / 10_000) * 10_000;
  return {
    ...{ host: "here", windowStartMs, windowMs: 10_000, firstSeenMs: windowStartMs, lastSeenMs: windowStartMs + 5_000 },
    ...{ direction: "egress", protocol: 6, sourceAddress: "192.0.2.10", destinationAddress: "192.0.2.20" },
    ...{ destinationPort: 5432, sourceName: "here", destinationName: "db-1", observedName: "" },
    ...{ verdict: "allow", enforced: "allow", policyKeys: ["NetworkPolicy/default/web"], decisionSummary: "allowed" },
    ...{ subjectKey: "Host/here", cgroupPath: "/system.slice/app.service" },
    process: { pid: 7, userId: 33, userName: "www-data", command: "psql", executable: "/usr/bin/psql" },
    ...{ started: 2, ended: 2, deniedPackets: 0, packets: 20, originatorBytes: 1_000, responderBytes: 5_000 },
    foldedFlows: 0,
    ...changes,
  };
}

let cli: InProcessCli;
beforeAll(async () => {
  cli = new InProcessCli();
  const retention = () => USUAL_RETENTION_LIMITS;
  const stateDir = join(cli.dir, "state");
  const history = openHistory({ stateDir, retention, clock: systemClock, logger: silentLogger });
  const records = [
    ...Array.from({ length: 5 }, (_, index) => record({}, (10 + index) * MINUTE_MS)),
    record({
      verdict: "deny",
      deniedPackets: 9,
      started: 0,
      destinationPort: 22,
      destinationAddress: "203.0.113.9",
      destinationName: "",
      observedName: "evil\u001b[31m.example.com",
    }),
    record({}, 90 * MINUTE_MS),
  ].map(toWireFlowRecord);
  const batch = create(FlowRecordBatchSchema, { sequence: 1n, records });
  await history.ingest([{ hostId: "local", hostName: "here", journalId: "j", batches: [batch] }]);
  await history.close();
});
afterAll(() => cli.dispose());

const lines = (text: string) => text.trimEnd().split("\n");

describe("wardline flows query", () => {
  it("prints a table newest first, and says what was searched", async () => {
    const { exitCode, stdout, stderr } = await cli.run("flows", "query", "port:5432", "since:-1h");
    expect(exitCode).toBe(0);
    const [header, ...rows] = lines(stdout);
    expect(header).toMatch(/^TIME +VERDICT +FROM +TO +PORT/);
    expect(rows.length).toBe(5);
    expect(rows[0]).toContain("here (192.0.2.10)");
    expect(rows.map((row) => row.slice(0, 19))).toEqual([...rows.map((row) => row.slice(0, 19))].sort().reverse());
    expect(stderr).toMatch(/5 of 5 records; searched \d+; until \d{4}-/);
  });
  it("takes words with a hyphen, --since, and a limit", async () => {
    const { stdout } = await cli.run(
      "flows",
      "query",
      "-verdict:deny",
      "-host:nosuch",
      "--limit",
      "2",
      "--since",
      "1h",
    );
    expect(lines(stdout).length).toBe(3);
    const more = await cli.run("flows", "query", "--limit", "2");
    expect(more.stderr).toContain("2 of more than");
  });
  it("gives lines of JSON, also as --json", async () => {
    const { stdout } = await cli.run("flows", "query", "verdict:deny", "--json");
    expect(lines(stdout).map((line) => JSON.parse(line))).toMatchObject([
      { host: "here", record: { destinationAddress: "203.0.113.9", deniedPackets: "9" } },
    ]);
  });
  it("shows nothing of a host's text as it is", async () => {
    const { stdout } = await cli.run("flows", "query", "verdict:deny");
    expect(stdout).toContain("evil\\u{1b}[31m.example.com (203.0.113.9)");
  });
  it("marks the place of a mistake, as wrong usage", async () => {
    const { exitCode, stdout, stderr } = await cli.run("flows", "query", "port:443", "prot:tcp");
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toContain('query:1:10: error[WL602]: There is no field "prot". Did you mean port?');
    expect(stderr).toContain(" 1 | port:443 prot:tcp\n   |          ^^^^");
    const json = await cli.run("flows", "query", "prot:tcp", "--json");
    expect([json.exitCode, JSON.parse(json.stderr).error.code]).toEqual([2, "QUERY_INVALID"]);
  });
  it.each([
    [["flows", "query", "--limt", "5"], "There is no option --limt."],
    [["flows", "query", "--limit", "x"], "not a number"],
    [["flows", "query", "@nosuch"], "There is no saved query nosuch."],
    [["flows", "top", "--by", "colour"], 'Flows are not grouped by "colour".'],
    [["flows", "top", "--by", "port,port"], "different dimensions"],
    [["flows", "map", "--by", "label:"], "not grouped by"],
    [["flows", "map", "--compare", "1h", "since:-1h"], "--compare says both windows"],
    [["flows", "export", "--follow"], "an option of --otlp"],
    [["flows", "--query", "prot:80"], 'There is no field "prot".'],
    [["flows", "--query", "port:80", "--port", "80"], "cannot be used with"],
  ])("%j is wrong usage", async (args, message) => {
    const { exitCode, stderr } = await cli.run(...args);
    expect([exitCode, stderr.includes(message) ? message : stderr]).toEqual([2, message]);
  });
});

describe("wardline flows top", () => {
  it("sums by dimensions with names beside addresses", async () => {
    const { exitCode, stdout, stderr } = await cli.run("flows", "top", "--by", "peer,protocol", "--order", "bytes");
    expect(exitCode).toBe(0);
    expect(lines(stdout).map((line) => line.replace(/ {2,}/g, " | ").replace(/ \| \d{4}-.*/, ""))).toEqual([
      "PEER | PROTOCOL | CONNS | DENIED | SENT | RECEIVED | LAST SEEN",
      "db-1 (192.0.2.20) | tcp | 12 | 0 | 6.0 kB | 30.0 kB",
      "evil\\u{1b}[31m.example.com (203.0.113.9) | tcp | 0 | 9 | 1.0 kB | 5.0 kB",
    ]);
    expect(stderr).toContain("2 of 2 groups; 7 records");
    const json = await cli.run("flows", "top", "--by", "port", "--json");
    expect(JSON.parse(lines(json.stdout).at(-1) ?? "")).toMatchObject({ end: { groups: 2, total: { records: "7" } } });
  });
});

describe("wardline flows map", () => {
  it("shows who talks to whom, and what changed", async () => {
    const { stdout, exitCode } = await cli.run("flows", "map", "verdict:allow");
    expect(exitCode).toBe(0);
    expect(lines(stdout)[1]).toMatch(/^here +db-1 \(192\.0\.2\.20\) +5432\/tcp +12 /);
    const changed = await cli.run("flows", "map", "--compare", "1h");
    expect(changed.stdout).toContain(
      "here talks to evil\\u{1b}[31m.example.com (203.0.113.9) on tcp/22: 9 denied packets, none before\n",
    );
    const none = await cli.run("flows", "map", "--compare", "1h", "port:1");
    expect(none.stdout).toBe("Nothing changed.\n");
    const json = await cli.json("flows", "map", "--compare", "1h");
    expect(json.value).toMatchObject({ changes: [{ kind: "MAP_CHANGE_KIND_NEW_EDGE", port: 22 }] });
  });
});

describe("wardline flows stats", () => {
  it("says what is held, of whom, and for how long", async () => {
    const { exitCode, stdout } = await cli.run("flows", "stats");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^\d+ records in .* \(sqlite\)/);
    expect(stdout).toContain("Kept: records 7 days, minutes 30, hours 180, days 730; at most 50.0M records, 8.6 GB");
    expect((await cli.json("flows", "stats")).value).toMatchObject({ backend: "sqlite", retention: { recordDays: 7 } });
  });
});

describe("wardline flows retention", () => {
  it("says how long, and what a change would remove", async () => {
    expect((await cli.run("flows", "retention")).stdout).toMatch(/^Kept: records 7 days, minutes 30, .* 8\.6 GB\n$/);
    const dry = await cli.run("flows", "retention", "--records", "2d", "--max-size", "1GiB", "--dry-run");
    expect([dry.exitCode, dry.stdout]).toEqual([
      0,
      expect.stringMatching(/^Would remove 0 records .*\nKept: records 2 days, minutes 30, .* 1\.1 GB\n$/),
    ]);
    expect((await cli.json("flows", "retention")).value).toMatchObject({ recordDays: 7 });
    expect((await cli.run("flows", "retention", "--records", "60d")).exitCode).toBe(2);
  });
});

describe("wardline flows saved", () => {
  it("keeps queries, which others can ask by name", async () => {
    expect((await cli.run("flows", "saved")).stdout).toBe("No saved queries.\n");
    const added = await cli.run(
      "flows",
      "saved",
      "add",
      "denied",
      "verdict:deny",
      "-port:53",
      "--by",
      "port",
      "--description",
      "d",
    );
    expect([added.exitCode, added.stdout]).toEqual([0, "Saved. Ask it with: wardline flows query @denied\n"]);
    expect(lines((await cli.run("flows", "saved")).stdout)[1]).toMatch(/^denied +verdict:deny -port:53 +port +d$/);
    const found = await cli.run("flows", "query", "@denied", "port:22", "--json");
    expect(lines(found.stdout).length).toBe(1);
    const bad = await cli.run("flows", "saved", "add", "x", "prot:1");
    expect(bad.exitCode).toBe(2);
    expect((await cli.run("flows", "saved", "remove", "denied")).exitCode).toBe(0);
    expect((await cli.run("flows", "saved", "remove", "denied")).exitCode).toBe(2);
  });
});

describe("wardline flows export", () => {
  it("writes a line for each record and ends with their number", async () => {
    const { exitCode, stdout } = await cli.run("flows", "export", "verdict:allow");
    expect(exitCode).toBe(0);
    const all = lines(stdout).map((line) => JSON.parse(line));
    expect(all.length).toBe(7);
    expect(all.at(-1)).toEqual({ end: { records: 6, isComplete: true } });
  });
});

describe("wardline flows export --otlp", () => {
  it("delivers to a collector, with headers from a file", async () => {
    const receiver = new OtlpReceiver();
    const url = `http://127.0.0.1:${await receiver.start()}`;
    writeFileSync(cli.path("headers"), "# for the collector\nx-token: secret\n", { mode: 0o600 });
    try {
      const { exitCode, stdout, stderr } = await cli.run(
        "flows",
        "export",
        "--otlp",
        url,
        "--otlp-headers",
        cli.path("headers"),
        "port:5432",
      );
      expect([exitCode, stdout, stderr]).toEqual([0, `6 records delivered to ${url}.\n`, ""]);
      expect(receiver.logs.length).toBe(6);
      expect(receiver.requests.every(({ headers }) => headers["x-token"] === "secret")).toBe(true);
      receiver.answers.push(403);
      const refused = await cli.run("flows", "export", "--otlp", url);
      expect(refused.exitCode).toBe(3);
      expect(refused.stderr).toContain("did not take the flows");
      expect(refused.stderr).toContain("0 records were delivered before.");
    } finally {
      await receiver.stop();
    }
  }, 240_000);
  it.each([
    [["collector:4318"], "is not the address of a collector"],
    [["https://user:secret@collector:4318"], "has no user, password or query"],
    [["https://collector:4318", "--otlp-headers", "/nonexistent"], "cannot be read"],
    [["https://collector:4318", "--otlp-headers", "bad"], "Line 1 of"],
    [["https://collector:4318", "--otlp-ca", "bad"], "is not in PEM"],
    [["https://collector:4318", "--otlp-cert", "bad"], "needs its key"],
  ])("%j is wrong usage, and shows no secret", async ([url = "", ...rest], message) => {
    writeFileSync(cli.path("bad"), "not a header with a secret\n", { mode: 0o600 });
    const args = rest.map((word) => (word === "bad" ? cli.path("bad") : word));
    const { exitCode, stderr } = await cli.run("flows", "export", "--otlp", url, ...args);
    expect([exitCode, stderr.includes(message) ? message : stderr]).toEqual([2, message]);
    expect(stderr).not.toContain("secret");
  });
});

it("docs/flows.md has the commands", () => {
  const page = readFileSync(new URL("../../../../docs/flows.md", import.meta.url), "utf8");
  for (const command of ["query", "top", "map", "export", "stats", "saved", "retention"])
    expect(page).toContain(`wardline flows ${command}`);
});
