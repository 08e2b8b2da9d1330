import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import { ErrorCode } from "@wardline/domain/errors";
import { EVERYTHING, type FlowRecord, NO_LABELS } from "@wardline/domain/flows";
import { toWireFlowRecord } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger, systemClock } from "../../ports.ts";
import { LeaseTable, SettingsTable } from "../../store/settings-table.ts";
import { Store } from "../../store/store.ts";
import { MemoryHistory } from "../testing/memory-history.ts";
import { ExportPositions } from "./export-positions.ts";
import { exportOnAndOn, exportOnce } from "./otlp-export.ts";
import { OtlpSender, type OtlpTarget } from "./otlp-sender.ts";
import { OtlpReceiver } from "./testing/otlp-receiver.ts";

const START_MS = Date.UTC(2026, 10, 21, 12);

function record(changes: Partial<FlowRecord> = {}): FlowRecord {
  const windowStartMs = changes.windowStartMs ?? START_MS;
  return {
    ...{
      host: "web-1",
      windowStartMs,
      windowMs: 10_000,
      firstSeenMs: windowStartMs + 1,
      lastSeenMs: windowStartMs + 5_000,
    },
    ...{ direction: "egress", protocol: 6, sourceAddress: "192.0.2.10", destinationAddress: "2001:db8::20" },
    ...{ destinationPort: 5432, sourceName: "web-1", destinationName: "", observedName: "", verdict: "allow" },
    ...{ enforced: "allow", policyKeys: ["NetworkPolicy/default/web", "Policy/ops/db"], decisionSummary: "allowed" },
    ...{ subjectKey: "Host/web-1", cgroupPath: "" },
    process: { pid: 7, userId: 33, userName: "www-data", command: "psql", executable: "/usr/bin/psql" },
    ...{
      started: 2,
      ended: 1,
      deniedPackets: 0,
      packets: 20,
      originatorBytes: 1_000,
      responderBytes: 5_000,
      foldedFlows: 0,
    },
    ...changes,
  };
}

let dir: string;
let store: Store;
let history: MemoryHistory;
let receiver: OtlpReceiver;
let port: number;
let sequence: bigint;
const senders: OtlpSender[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "wardline-otlp-"));
  store = new Store({ stateDir: dir, logger: silentLogger });
  history = new MemoryHistory();
  receiver = new OtlpReceiver();
  port = await receiver.start();
  sequence = 0n;
});
afterEach(async () => {
  await Promise.all(senders.splice(0).map((sender) => sender.close()));
  await receiver.stop();
  store.close();
  rmSync(dir, { recursive: true, force: true });
});

async function keep(records: readonly FlowRecord[], hostId = "local"): Promise<void> {
  sequence += 1n;
  const batch = create(FlowRecordBatchSchema, { sequence, records: records.map(toWireFlowRecord) });
  await history.ingest([{ hostId, hostName: "web-1", journalId: hostId, batches: [batch] }]);
}

function senderTo(target: Partial<OtlpTarget> = {}): OtlpSender {
  const sender = new OtlpSender({ url: new URL(`http://127.0.0.1:${port}`), headers: {}, timeoutMs: 3_000, ...target });
  senders.push(sender);
  return sender;
}
const portsOf = (sender: OtlpSender) => ({
  history,
  sender,
  clock: systemClock,
  labels: () => NO_LABELS,
  withMetrics: true,
});
const signal = () => AbortSignal.timeout(20_000);

describe("exportOnce", () => {
  it("sends records as log records with semantic attributes, and their sums as metrics", async () => {
    await keep([
      record(),
      record({ verdict: "deny", started: 0, deniedPackets: 4, protocol: 1, destinationPort: 2048 }),
    ]);
    const sender = senderTo({ headers: { "x-token": "secret" } });
    expect(await exportOnce(portsOf(sender), EVERYTHING, 0, signal())).toBe(2);
    expect(receiver.requests.map(({ path }) => path)).toEqual(["/v1/logs", "/v1/metrics"]);
    expect(receiver.requests[0]?.headers).toMatchObject({
      "x-token": "secret",
      "content-type": "application/x-protobuf",
    });
    const [allowed, denied] = receiver.logs;
    expect(allowed).toMatchObject({
      timeMs: START_MS + 1,
      severityText: "INFO",
      eventName: "wardline.flow",
      body: "allow web-1 (192.0.2.10) > 2001:db8::20 tcp/5432",
      resource: { "service.name": "wardline" },
      attributes: {
        "source.address": "192.0.2.10",
        "destination.address": "2001:db8::20",
        "destination.port": 5432,
        "network.transport": "tcp",
        "network.type": "ipv6",
        "network.io.direction": "transmit",
        "host.name": "web-1",
        "host.id": "local",
        "process.executable.path": "/usr/bin/psql",
        "process.owner": "www-data",
        "process.pid": 7,
        "wardline.verdict": "allow",
        "wardline.policy.keys": ["NetworkPolicy/default/web", "Policy/ops/db"],
        "wardline.connections": 2,
        "wardline.bytes.sent": 1_000,
        "wardline.bytes.received": 5_000,
      },
    });
    expect(denied?.severityText).toBe("WARN");
    expect(denied?.attributes).not.toHaveProperty("destination.port");
    expect(allowed?.attributes["log.record.uid"]).not.toBe(denied?.attributes["log.record.uid"]);
    const sums = Object.fromEntries(
      receiver.points.map(({ name, value, attributes }) => [
        `${name} ${attributes["wardline.verdict"]} ${attributes["network.io.direction"] ?? ""}`.trim(),
        value,
      ]),
    );
    expect(sums).toMatchObject({
      "wardline.flow.connections allow": 2,
      "wardline.flow.denied_packets deny": 4,
      "wardline.flow.io allow transmit": 1_000,
      "wardline.flow.records deny": 1,
    });
    expect(receiver.points.every(({ temporality, isMonotonic }) => temporality === 1 && isMonotonic)).toBe(true);
  });
  it("sends in requests of a bounded size, and stops at the limit", async () => {
    await keep(Array.from({ length: 2_500 }, (_, index) => record({ destinationPort: index })));
    expect(await exportOnce(portsOf(senderTo()), EVERYTHING, 0, signal())).toBe(2_500);
    expect(receiver.requests.filter(({ path }) => path === "/v1/logs").length).toBe(3);
    expect(new Set(receiver.logs.map(({ attributes }) => attributes["log.record.uid"])).size).toBe(2_500);
    expect(await exportOnce(portsOf(senderTo()), EVERYTHING, 7, signal())).toBe(7);
  });
  it("says that the collector refuses, or is not there", async () => {
    await keep([record()]);
    receiver.answers.push(401);
    await expect(exportOnce(portsOf(senderTo()), EVERYTHING, 0, signal())).rejects.toMatchObject({
      code: ErrorCode.DELIVERY_FAILED,
      message: expect.stringMatching(
        /^The collector at http:\/\/127\.0\.0\.1:\d+ did not take the flows: .*0 records were delivered before\.$/s,
      ),
    });
    const nowhere = senderTo({ url: new URL("http://127.0.0.1:1"), timeoutMs: 500 });
    await expect(exportOnce(portsOf(nowhere), EVERYTHING, 0, signal())).rejects.toMatchObject({
      code: ErrorCode.DELIVERY_FAILED,
    });
  });
});

describe("exportOnAndOn", () => {
  const EVERY_MS = 20;
  function followed(sender: OtlpSender, notes: string[] = [], processId = "one") {
    const positions = new ExportPositions(new SettingsTable(store), new LeaseTable(store), processId);
    const ending = new AbortController();
    const ports = {
      ...{ ...portsOf(sender), positions, everyMs: EVERY_MS, note: (text: string) => void notes.push(text) },
      hosts: () => [
        { id: "local", name: "web-1" },
        { id: "other", name: "web-1" },
      ],
    };
    const wanted = { url: "http://collector/", query: EVERYTHING, fromMs: START_MS };
    const ended = exportOnAndOn(ports, wanted, AbortSignal.any([ending.signal, signal()]));
    const end = () => {
      ending.abort();
      return ended;
    };
    return { ended, end };
  }
  const portsSeen = () => receiver.logs.map(({ attributes }) => attributes["destination.port"]);

  it("goes on after a restart where it ended: nothing twice, nothing left out", async () => {
    await keep([record({ windowStartMs: START_MS - 60_000, destinationPort: 1 }), record({ destinationPort: 2 })]);
    const first = followed(senderTo());
    await expect.poll(portsSeen).toEqual([2]);
    await keep([record({ windowStartMs: START_MS + 10_000, destinationPort: 3 })]);
    await keep([record({ windowStartMs: START_MS + 20_000, destinationPort: 4 })]);
    await expect.poll(portsSeen).toEqual([2, 3, 4]);
    expect(await first.end()).toBe(3);
    await keep([record({ windowStartMs: START_MS + 30_000, destinationPort: 5 })]);
    const second = followed(senderTo(), [], "two");
    await expect.poll(portsSeen).toEqual([2, 3, 4, 5]);
    // Another host begins by itself, however late it delivers.
    await keep([record({ windowStartMs: START_MS + 10_000, destinationPort: 6 })], "other");
    await expect.poll(portsSeen).toEqual([2, 3, 4, 5, 6]);
    await second.end();
    expect(new Set(receiver.logs.map(({ attributes }) => attributes["log.record.uid"])).size).toBe(5);
  });
  it("keeps a window together that the host delivers in parts", async () => {
    const follow = followed(senderTo());
    await keep([record({ destinationPort: 1 }), record({ windowStartMs: START_MS + 10_000, destinationPort: 2 })]);
    await expect.poll(() => portsSeen().includes(1)).toBe(true);
    await keep([
      record({ windowStartMs: START_MS + 10_000, destinationPort: 3 }),
      record({ windowStartMs: START_MS + 20_000, destinationPort: 4 }),
    ]);
    await expect.poll(() => portsSeen().length).toBe(4);
    await follow.end();
    expect([...portsSeen()].sort()).toEqual([1, 2, 3, 4]);
  });
  it("waits for a collector that is away, and says so once", async () => {
    receiver.answers.push(400, 400, 400);
    const notes: string[] = [];
    const follow = followed(senderTo(), notes);
    await keep([record({ destinationPort: 9 })]);
    await expect.poll(portsSeen).toEqual([9]);
    await expect.poll(() => notes.length).toBe(2);
    await follow.end();
    expect(notes[0]).toContain("Trying again; nothing is left out.");
    expect(notes[1]).toBe("The collector takes flows again.");
  });
  it("refuses to run twice for one collector and query", async () => {
    const one = followed(senderTo());
    await expect.poll(() => new LeaseTable(store).acquire("probe", "x", 0, 1)).toBe(true);
    await expect(followed(senderTo(), [], "two").ended).rejects.toMatchObject({ code: ErrorCode.ALREADY_EXISTS });
    await one.end();
  });
});

const problem = (() => {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return null;
  } catch {
    return "no openssl";
  }
})();

describe.skipIf(problem !== null)(`over TLS (${problem ?? "with openssl"})`, () => {
  it("checks the collector's certificate, and shows its own", async () => {
    const path = (name: string) => join(dir, name);
    const subject = ["-subj", "/CN=collector", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1", "-nodes"];
    const make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", ...subject];
    execFileSync("openssl", [...make, "-keyout", path("key.pem"), "-out", path("cert.pem")], { stdio: "ignore" });
    const [key, cert] = [readFileSync(path("key.pem"), "utf8"), readFileSync(path("cert.pem"), "utf8")];
    const secure = new OtlpReceiver({ key, cert, ca: cert, requestCert: true });
    const url = new URL(`https://127.0.0.1:${await secure.start()}`);
    await keep([record()]);
    await expect(exportOnce(portsOf(senderTo({ url, timeoutMs: 800 })), EVERYTHING, 0, signal())).rejects.toMatchObject(
      {
        code: ErrorCode.DELIVERY_FAILED,
      },
    );
    expect(secure.logs).toEqual([]);
    expect(await exportOnce(portsOf(senderTo({ url, ca: cert, cert, key })), EVERYTHING, 0, signal())).toBe(1);
    expect(secure.logs.length).toBe(1);
    await secure.stop();
  });
});
