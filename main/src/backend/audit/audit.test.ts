import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import {
  AgentService,
  type ListAuditRequest,
  type AuditEntry as WireEntry,
} from "@wardline/api/wardline/agent/v1/agent";
import { AnomalyService } from "@wardline/api/wardline/agent/v1/anomaly";
import { ClusterService } from "@wardline/api/wardline/agent/v1/cluster";
import { MeshService } from "@wardline/api/wardline/agent/v1/mesh";
import { RecordService } from "@wardline/api/wardline/agent/v1/records";
import {
  AuditFormat,
  AuditState,
  ExportAuditRequestSchema,
  ListAuditRequestSchema,
} from "@wardline/api/wardline/console/v1/audit";
import { SetSettingsRequestSchema } from "@wardline/api/wardline/console/v1/settings";
import { Role } from "@wardline/api/wardline/v1/host";
import { type AuditEntry, sealEntry } from "@wardline/domain/audit";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { csvLine } from "@wardline/domain/text";
import { fromWireAuditEntry, toWireAuditEntry } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AgentConnection } from "../agent/agent-connection.ts";
import type { AgentDialer } from "../agent/dialer.ts";
import { HostRegistry, type ManagedHost } from "../hosts/managed-host.ts";
import { silentLogger, systemClock } from "../ports.ts";
import { SettingsTable } from "../store/settings-table.ts";
import { Store } from "../store/store.ts";
import { AuditMirror } from "./audit-mirror.ts";
import { AuditServiceImpl } from "./audit-service.ts";
import { AuditTables } from "./audit-tables.ts";
import { CONSOLE_LOG_ID, ConsoleAudit } from "./console-audit.ts";

const START_MS = Date.UTC(2026, 0, 1);
const JUST_A_TIME = new Date(START_MS).toISOString();

/** A host that answers for its audit log as the real agent does, from entries that a test may change. */
class AuditedAgent implements AgentDialer {
  readonly address: string;
  entries: AuditEntry[] = [];
  brokenAtSequence = 0;
  /** Entries that its limits have removed. */
  removedCount = 0;
  /** What it says instead, entries as they are on the wire. */
  lie: (answer: HonestAnswer) => void = () => {};
  isAway = false;
  asked: ListAuditRequest[] = [];

  constructor(name: string) {
    this.address = name;
  }

  append(...actions: readonly string[]): void {
    for (const action of actions) {
      const content = { actor: "ops (1000)", role: "operator", action, argumentDigest: "", outcome: "done" } as const;
      const time = new Date(START_MS + this.entries.length * 1000).toISOString();
      this.entries.push(sealEntry({ ...content, detail: "" }, time, this.entries.at(-1) ?? null));
    }
  }

  async dial() {
    if (this.isAway) throw new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "no route", retryable: true });
    const transport = createRouterTransport(({ service }) =>
      service(AgentService, {
        handshake: () => ({ agentVersion: "1", apiMin: 1, apiMax: 1, role: Role.VIEWER, actor: "t (1)" }),
        watchStatus: async function* (_request, { signal }) {
          yield { sequence: 1n, status: { observedAt: timestampFromMs(START_MS) } };
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        },
        listAudit: (request) => this.#list(request),
      }),
    );
    return {
      client: createClient(AgentService, transport),
      cluster: createClient(ClusterService, transport),
      anomalies: createClient(AnomalyService, transport),
      mesh: createClient(MeshService, transport),
      records: createClient(RecordService, transport),
      close() {},
    };
  }

  #list(request: ListAuditRequest) {
    this.asked.push(request);
    const sorted = this.entries.toSorted((a, b) => a.sequence - b.sequence).slice(this.removedCount);
    const entries = request.ascending
      ? sorted.filter(({ sequence }) => BigInt(sequence) > request.afterSequence).slice(0, request.limit)
      : sorted.toReversed().slice(0, request.limit);
    const answer = {
      entries: entries.map(toWireAuditEntry),
      chainValid: this.brokenAtSequence === 0,
      brokenAtSequence: BigInt(this.brokenAtSequence),
      lastSequence: BigInt(sorted.at(-1)?.sequence ?? 0),
      firstSequence: BigInt(sorted[0]?.sequence ?? 0),
    };
    this.lie(answer);
    return answer;
  }
}

interface HonestAnswer {
  readonly entries: WireEntry[];
  brokenAtSequence: bigint;
  lastSequence: bigint;
  firstSequence: bigint;
}

let directory: string;
let store: Store;
let tables: AuditTables;
let service: AuditServiceImpl;
let own: ConsoleAudit;
let registry: HostRegistry;
const connections: AgentConnection[] = [];

function addHost(agent: AuditedAgent): void {
  const connection = new AgentConnection({ dialer: agent, clock: systemClock, logger: silentLogger });
  connection.start();
  connections.push(connection);
  // The mirror needs no more of a host than this.
  registry.add([{ id: agent.address, local: false, connection, record: { alias: agent.address } } as ManagedHost]);
}

function open(maxEntriesPerHost?: number): void {
  store = new Store({ stateDir: directory, logger: silentLogger });
  tables = new AuditTables(store, maxEntriesPerHost);
  const mirror = new AuditMirror({ tables, clock: systemClock, logger: silentLogger });
  registry ??= new HostRegistry([]);
  const settings = new SettingsTable(store);
  const ports = { tables, settings, clock: systemClock, logger: silentLogger, userName: "alice", name: "this console" };
  own = new ConsoleAudit(ports);
  service = new AuditServiceImpl({ registry, tables, mirror, own, userName: "alice" });
}

async function verdicts() {
  const { hosts } = await service.verify({ hostIds: [] } as never);
  const ofHosts = hosts.filter(({ hostId }) => hostId !== CONSOLE_LOG_ID);
  return ofHosts.map(({ hostId, state, atSequence }) => [hostId, AuditState[state], Number(atSequence)]);
}

const actionsSeen = (filter: object = {}) =>
  service
    .list({ hostIds: [], limit: 0, action: "", actor: "", text: "", outcome: "", beforeId: 0n, ...filter } as never)
    .entries.map(({ hostId, entry }) => `${hostId} ${entry?.action}`);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-audit-mirror-"));
  registry = new HostRegistry([]);
  open();
});
afterEach(async () => {
  await Promise.all(connections.splice(0).map((connection) => connection.close()));
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

describe("the mirror of audit logs", () => {
  it("keeps a bounded number of bytes of each host: entries may be as long as a host likes", () => {
    const small = new AuditTables(store, 1_000, 10_000);
    const row = {
      ...{ hostName: "h", log: 1, state: "verified" as const, atSequence: 0, checkedAtMs: 0, foundAtMs: 0 },
      ...{ toleratedAtSequence: 0, acceptedBy: "", acceptedReason: "" },
    };
    const write = (into: AuditTables, hostId: string, sequence: number, size: number) =>
      into.write({ ...row, hostId }, [
        { sequence, timeMs: sequence, actor: "a", action: "x", hash: `${sequence}`, wire: new Uint8Array(size) },
      ]);
    for (let sequence = 1; sequence <= 100; sequence++) {
      write(small, "loud", sequence, 700);
      expect(small.entryCount("loud", 1) * 700).toBeLessThanOrEqual(10_000);
    }
    write(small, "quiet", 1, 700);
    expect([small.newest("loud", 1)?.sequence, small.entryCount("quiet", 1)]).toEqual([100, 1]);
    expect(small.entryCount("loud", 1)).toBeGreaterThan(10);
    // Another console on the same store knows what was there, and one entry stays however large it is.
    write(new AuditTables(store, 1_000, 10_000), "loud", 101, 20_000);
    expect([small.newest("loud", 1)?.sequence, small.entryCount("loud", 1)]).toEqual([101, 1]);
  });

  it("counts what a failed transaction took back and what another process wrote: a host could fill the disk otherwise", () => {
    const small = new AuditTables(store, 1_000, 10_000);
    const row = {
      ...{ hostId: "loud", hostName: "h", log: 1, state: "verified" as const, atSequence: 0, checkedAtMs: 0 },
      ...{ foundAtMs: 0, toleratedAtSequence: 0, acceptedBy: "", acceptedReason: "" },
    };
    const write = (into: AuditTables, sequence: number, size: number) =>
      into.write(row, [
        { sequence, timeMs: sequence, actor: "a", action: "x", hash: `${sequence}`, wire: new Uint8Array(size) },
      ]);
    const kept = () =>
      store.get<{ bytes: number }>("SELECT sum(length(wire)) AS bytes FROM audit_entries WHERE host_id = 'loud'")
        ?.bytes;
    for (let sequence = 1; sequence <= 14; sequence++) write(small, sequence, 700);
    // Almost full; this one makes room for itself and then does not stay.
    expect(() =>
      small.together(() => {
        write(small, 15, 6_000);
        throw new Error("the disk is full");
      }),
    ).toThrow("the disk is full");
    expect(kept()).toBe(9_800);
    write(small, 15, 700);
    expect(kept()).toBeLessThanOrEqual(10_000);
    const other = new AuditTables(store, 1_000, 1_000_000);
    for (let sequence = 16; sequence <= 30; sequence++) write(other, sequence, 700);
    write(small, 31, 700);
    expect(kept()).toBeLessThanOrEqual(10_000);
  });

  it("copies what is new, over restarts of the console, and lists hosts together by time", async () => {
    const alpha = new AuditedAgent("alpha");
    alpha.append("apply", "confirm");
    const beta = new AuditedAgent("beta");
    beta.append("apply");
    addHost(alpha);
    addHost(beta);
    expect(await verdicts()).toEqual([
      ["alpha", "VERIFIED", 0],
      ["beta", "VERIFIED", 0],
    ]);
    store.close();
    open();
    alpha.append("rollback");
    alpha.asked = [];
    await verdicts();
    expect(alpha.asked.map(({ afterSequence }) => afterSequence)).toEqual([1n]);
    expect(actionsSeen()).toEqual(["alpha rollback", "alpha confirm", "beta apply", "alpha apply"]);
    expect(actionsSeen({ hostIds: ["alpha"], action: "confirm" })).toEqual(["alpha confirm"]);
  });

  it("gives pages without a gap and without an entry twice, also among entries of the same time", async () => {
    const alpha = new AuditedAgent("alpha");
    alpha.append("a", "b", "c", "d", "e");
    addHost(alpha);
    await verdicts();
    const seen: string[] = [];
    let cursor = {};
    for (;;) {
      const request = { hostIds: [], limit: 2, action: "", actor: "", text: "", outcome: "", beforeId: 0n, ...cursor };
      const { entries } = service.list(request as never);
      const last = entries.at(-1);
      if (!last?.entry?.time) break;
      seen.push(...entries.map(({ entry }) => entry?.action ?? ""));
      cursor = { before: last.entry.time, beforeId: last.id };
    }
    expect(seen).toEqual(["e", "d", "c", "b", "a"]);
  });

  it("takes only the end of a long log that it sees for the first time", async () => {
    const alpha = new AuditedAgent("alpha");
    alpha.append(...Array.from({ length: 10_300 }, (_, index) => `step-${index + 1}`));
    addHost(alpha);
    expect(await verdicts()).toEqual([["alpha", "VERIFIED", 0]]);
    expect(tables.entryCount("alpha", 1)).toBe(10_000);
    expect(tables.newest("alpha", 1)?.sequence).toBe(10_300);
  });

  it("follows over what the limits of a host remove, and says where they were faster than it", async () => {
    const alpha = new AuditedAgent("alpha");
    alpha.append("a", "b", "c");
    alpha.removedCount = 2;
    addHost(alpha);
    expect(await verdicts()).toEqual([["alpha", "VERIFIED", 0]]);
    alpha.append("d");
    alpha.removedCount = 3;
    expect(await verdicts()).toEqual([["alpha", "VERIFIED", 0]]);
    expect(actionsSeen()).toEqual(["alpha d", "alpha c"]);
    alpha.append("e", "f", "g");
    alpha.removedCount = 5;
    const { hosts } = await service.verify({ hostIds: ["alpha"] } as never);
    expect(hosts[0]).toMatchObject({
      ...{ state: AuditState.TRUNCATED, atSequence: 5n },
      explanation: expect.stringContaining("removed entries from 5 on by the limits of its log"),
    });
    await service.accept({ hostId: "alpha", reason: "this console was off for a year" } as never);
    expect(await verdicts()).toEqual([["alpha", "VERIFIED", 0]]);
  });

  it("is bounded for each host, and goes on from what it kept", async () => {
    store.close();
    open(3);
    const alpha = new AuditedAgent("alpha");
    alpha.append("a", "b", "c", "d", "e");
    addHost(alpha);
    await verdicts();
    expect(actionsSeen()).toEqual(["alpha e", "alpha d", "alpha c"]);
    alpha.append("f");
    expect(await verdicts()).toEqual([["alpha", "VERIFIED", 0]]);
  });

  it.each([
    ["cut short", "TRUNCATED", 3, (agent: AuditedAgent) => agent.entries.splice(2)],
    ["emptied", "TRUNCATED", 1, (agent: AuditedAgent) => agent.entries.splice(0)],
    [
      "written anew to the same length",
      "FORKED",
      4,
      (agent: AuditedAgent) => {
        agent.entries = [];
        agent.append("apply", "confirm", "apply", "nothing");
      },
    ],
    [
      "given an entry that does not follow",
      "BROKEN",
      5,
      (agent: AuditedAgent) => {
        agent.append("x");
        agent.entries[4] = { ...(agent.entries[4] as AuditEntry), actor: "somebody else" };
      },
    ],
    [
      "said to be broken by the host itself",
      "BROKEN",
      2,
      (agent: AuditedAgent) => {
        agent.brokenAtSequence = 2;
      },
    ],
  ])(
    "notices a log that was %s, keeps what it saw, and says so until a person accepts it",
    async (_name, state, at, tamper) => {
      const alpha = new AuditedAgent("alpha");
      alpha.append("apply", "confirm", "apply", "quarantine");
      addHost(alpha);
      await verdicts();
      const before = actionsSeen();
      tamper(alpha);
      expect(await verdicts()).toEqual([["alpha", state, at]]);
      expect(actionsSeen()).toEqual(before);
      // What was found does not go away by itself: neither with time, nor with a restart, nor when the log is put back.
      store.close();
      open();
      expect(await verdicts()).toEqual([["alpha", state, at]]);

      await expect(service.accept({ hostId: "alpha", reason: " " } as never)).rejects.toMatchObject({
        code: ErrorCode.INVALID_ARGUMENT,
      });
      const { verdict } = await service.accept({ hostId: "alpha", reason: "disk was replaced" } as never);
      expect(verdict?.state).toBe(AuditState.VERIFIED);
      expect(tables.current("alpha")).toMatchObject({
        log: 2,
        acceptedBy: "alice",
        acceptedReason: "disk was replaced",
      });
      expect(actionsSeen()).toEqual(expect.arrayContaining(before));
      expect(await verdicts()).toEqual([["alpha", "VERIFIED", 0]]);
    },
  );

  it("tells a host that cannot be asked from one that was tampered with, and asks the others", async () => {
    const [alpha, beta] = [new AuditedAgent("alpha"), new AuditedAgent("beta")];
    alpha.isAway = true;
    beta.append("apply");
    addHost(alpha);
    addHost(beta);
    const { hosts } = await service.verify({ hostIds: [] } as never);
    expect(hosts.slice(0, 2).map(({ state }) => AuditState[state])).toEqual(["UNKNOWN", "VERIFIED"]);
    expect(hosts[0]?.error?.code).toBe(ErrorCode.HOST_UNREACHABLE);
    await expect(service.accept({ hostId: "beta", reason: "why not" } as never)).rejects.toMatchObject({
      code: ErrorCode.NOT_FOUND,
    });
  });

  it("does not go on for ever with a host that always has more to tell", async () => {
    const alpha = new AuditedAgent("alpha");
    alpha.append("apply");
    addHost(alpha);
    await verdicts();
    // It repeats one entry and claims that there are more.
    Object.defineProperty(alpha, "entries", { get: () => [sealed(1), sealed(2)].slice(0, 2) });
    const [verdict] = await verdicts();
    expect(verdict?.[1]).not.toBe("UNKNOWN");
    expect(alpha.asked.length).toBeLessThan(120);
  });

  const replaceNewest = (answer: HonestAnswer, change: Partial<AuditEntry>, wire: Partial<WireEntry> = {}) => {
    const [newest] = answer.entries.splice(-1).map((entry) => ({ ...fromWireAuditEntry(entry), ...change }));
    if (!newest) return;
    const fields = [newest.sequence, newest.time, newest.actor, newest.role, newest.action, newest.argumentDigest];
    const text = JSON.stringify([...fields, newest.outcome, newest.detail, newest.previousHash]);
    const hash = createHash("sha256").update(text).digest("hex");
    answer.entries.push({ ...toWireAuditEntry({ ...newest, time: newest.time || JUST_A_TIME, hash }), ...wire });
  };

  it.each([
    ["an entry without a time", (answer) => replaceNewest(answer, { time: "" }, { time: undefined as never })],
    ["an entry beyond what can be counted", (answer) => replaceNewest(answer, {}, { sequence: 2n ** 64n - 1n })],
    ["an entry of a megabyte", (answer) => replaceNewest(answer, { detail: "x".repeat(1_000_000) })],
    ["a break beyond what can be counted", (answer) => Object.assign(answer, { brokenAtSequence: 2n ** 64n - 1n })],
  ] as [string, (answer: HonestAnswer) => void][])(
    "is not ended by a host that says %s, also when a person accepts it, and the others are verified",
    async (_name, lie) => {
      const [alpha, beta] = [new AuditedAgent("alpha"), new AuditedAgent("beta")];
      for (const host of [alpha, beta]) {
        host.append("apply");
        addHost(host);
      }
      await verdicts();
      alpha.append("confirm");
      alpha.lie = lie;
      const [[, state] = [], other] = await verdicts();
      expect([state, other]).toEqual(["BROKEN", ["beta", "VERIFIED", 0]]);
      expect(actionsSeen({ hostIds: ["alpha"] })).toEqual(["alpha apply"]);
      await service.accept({ hostId: "alpha", reason: "it is what it is" } as never);
      expect((await verdicts()).map(([host]) => host)).toEqual(["alpha", "beta"]);
    },
  );

  it("takes no more entries than it asked for", async () => {
    const alpha = new AuditedAgent("alpha");
    alpha.append("apply");
    addHost(alpha);
    await verdicts();
    alpha.append(...Array.from({ length: 499 }, () => "confirm"));
    alpha.lie = ({ entries }) => void entries.push(...entries.slice(-1));
    expect(await verdicts()).toEqual([["alpha", "VERIFIED", 0]]);
    expect(tables.entryCount("alpha", 1)).toBe(500);
  });
});

function sealed(sequence: number): AuditEntry {
  const content = { actor: "x", role: "none", action: "x", argumentDigest: "", outcome: "done", detail: "" } as const;
  return { ...sealEntry(content, new Date(START_MS).toISOString(), null), sequence };
}

describe("the console's own log", () => {
  const method = { service: "SettingsService", name: "SetSettings", input: SetSettingsRequestSchema };
  const record = (zoom: number, error: unknown = null) =>
    own.record(method, create(SetSettingsRequestSchema, { values: { "display.zoom": zoom } }), error);
  const ownState = async () => {
    const { hosts } = await service.verify({ hostIds: [CONSOLE_LOG_ID] } as never);
    return hosts.map(({ state, atSequence }) => [AuditState[state], Number(atSequence)]);
  };

  it("is a chain of what was changed, in one list with the hosts' logs, without what was written", async () => {
    record(110);
    record(400, new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "no" }));
    own.record({ ...method, service: "PolicyService", name: "SaveFile" }, create(SetSettingsRequestSchema), null);
    expect(actionsSeen()).toEqual(["console settings.set-settings", "console settings.set-settings"]);
    expect(actionsSeen({ outcome: "failed" })).toHaveLength(1);
    expect(actionsSeen({ text: "invalid_ARG" })).toHaveLength(1);
    expect(actionsSeen({ text: "elsewhere" })).toHaveLength(0);
    expect(await ownState()).toEqual([["VERIFIED", 0]]);
  });

  it.each([
    [
      "a changed entry",
      "UPDATE audit_entries SET wire = CAST(replace(CAST(wire AS TEXT), 'alice', 'mallo') AS BLOB) WHERE sequence = 2",
      "BROKEN",
      2,
    ],
    ["a removed entry", "DELETE FROM audit_entries WHERE sequence = 2", "BROKEN", 3],
    ["a cut end", "DELETE FROM audit_entries WHERE sequence = 3", "TRUNCATED", 3],
  ])("tells %s until a person accepts it", async (_what, sql, state, atSequence) => {
    for (const zoom of [110, 120, 130]) record(zoom);
    store.run(sql);
    expect(await ownState()).toEqual([[state, atSequence]]);
    record(140);
    expect(await ownState()).toEqual([[state, atSequence]]);
    const { verdict } = await service.accept({ hostId: CONSOLE_LOG_ID, reason: "restored from a backup" } as never);
    expect(verdict).toMatchObject({ state: AuditState.VERIFIED, log: 2, acceptedBy: "alice" });
    record(150);
    expect(await ownState()).toEqual([["VERIFIED", 0]]);
  });

  it("is exported whole, safe for spreadsheets, with what verifies it", async () => {
    for (let count = 0; count < 3; count++) own.record(method, create(SetSettingsRequestSchema), new Error("x"));
    const filter = create(ListAuditRequestSchema);
    const text = async (format: AuditFormat) => {
      const chunks: Uint8Array[] = [];
      const request = create(ExportAuditRequestSchema, { filter, format });
      for await (const { chunk } of service.export(request, new AbortController().signal)) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    };
    const lines = (await text(AuditFormat.NDJSON))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ sequence }) => sequence)).toEqual([3, 2, 1]);
    expect(lines[0].previousHash).toBe(lines[1].hash);
    const csv = (await text(AuditFormat.CSV)).split("\r\n");
    expect(csv[0]).toMatch(/^time,host,host_id,/);
    expect(csv).toHaveLength(5);
    expect(csvLine(["=1+1", 'a "b", c', "-x", 7])).toBe(`'=1+1,"a ""b"", c",'-x,7\r\n`);
  });
});
