import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FlowHook, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import SqliteDatabase from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../ports.ts";
import { FilesTable } from "./files-table.ts";
import { FlowsTable } from "./flows-table.ts";
import { MIGRATIONS } from "./migrations.ts";
import { LeaseTable, SettingsTable } from "./settings-table.ts";
import { Store } from "./store.ts";
import { VersionsTable } from "./versions-table.ts";

let stateDir: string;
const open = new Set<Store>();

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "wardline-store-"));
});
afterEach(() => {
  for (const store of open) store.close();
  open.clear();
  rmSync(stateDir, { recursive: true, force: true });
});

function openStore(options: Partial<ConstructorParameters<typeof Store>[0]> = {}): Store {
  const store = new Store({ stateDir, logger: silentLogger, ...options });
  open.add(store);
  return store;
}

function close(store: Store): void {
  store.close();
  open.delete(store);
}

function filesOf(store: Store): FilesTable {
  return new FilesTable(store, new SettingsTable(store));
}

function failureOf(body: () => unknown): Failure {
  try {
    body();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

describe("opening", () => {
  it("makes a database that only its owner can read", () => {
    openStore();
    expect(statSync(join(stateDir, "console.db")).mode & 0o777).toBe(0o600);
    for (const name of readdirSync(stateDir))
      expect([name, statSync(join(stateDir, name)).mode & 0o077]).toEqual([name, 0]);
  });

  it("migrates forward with a backup of each step, and keeps what was there", () => {
    const first = openStore();
    filesOf(first).save("a.yaml", "old text", 0, 1);
    close(first);
    const second = openStore({
      migrations: [
        ...MIGRATIONS,
        (db) => void db.exec("ALTER TABLE files ADD COLUMN note TEXT NOT NULL DEFAULT 'new'"),
      ],
    });
    expect(second.get("SELECT text, note FROM files")).toEqual({ text: "old text", note: "new" });
    const backup = new SqliteDatabase(join(stateDir, `console.db.format-${MIGRATIONS.length}.backup`), {
      readonly: true,
    });
    try {
      expect(backup.pragma("user_version", { simple: true })).toBe(MIGRATIONS.length);
      expect(backup.prepare("SELECT text FROM files").get()).toEqual({ text: "old text" });
    } finally {
      backup.close();
    }
  });

  it("keeps flows of a console that knew no processes, as flows of unknown ones", () => {
    const former = openStore({ migrations: MIGRATIONS.slice(0, 1) });
    former.run(`INSERT INTO flows (host_id, agent_epoch_ms, host, time_us, kind, direction, protocol, source_address,
      source_key, source_port, destination_address, destination_key, destination_port, source_name, destination_name,
      verdict, enforced, generation, subject_key, cgroup_path, packets, bytes)
      VALUES ('local', 1, 'alpha', 1, 1, 1, 6, '10.0.0.9', x'00', 1, '10.0.0.1', x'00', 443, '', '', 1, 1, 1, '', '', 1, 60)`);
    close(former);
    const { flows } = new FlowsTable(openStore()).query(undefined, 10, 0);
    expect(flows).toMatchObject([{ host: "alpha", destinationPort: 443, hook: FlowHook.UNSPECIFIED }]);
    expect(flows[0]?.process).toBeUndefined();
  });

  it("leaves the database as it was when a migration fails", () => {
    close(openStore());
    const broken = [
      ...MIGRATIONS,
      (db: SqliteDatabase.Database) => {
        db.exec("CREATE TABLE half (x)");
        throw new Error("broken migration");
      },
    ];
    expect(() => openStore({ migrations: broken })).toThrow("broken migration");
    const store = openStore();
    expect(store.get("SELECT name FROM sqlite_schema WHERE name = 'half'")).toBeUndefined();
  });

  it("refuses a database of a newer console and does not touch it", () => {
    close(openStore());
    const path = join(stateDir, "console.db");
    const newer = new SqliteDatabase(path);
    newer.pragma(`user_version = ${MIGRATIONS.length + 1}`);
    newer.close();
    const before = readFileSync(path);
    const failure = failureOf(() => openStore());
    expect(failure.code).toBe(ErrorCode.VERSION_MISMATCH);
    expect(failure.message).toContain("newer Wardline");
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it.each([
    ["text", Buffer.from("this is not a database, although it is long enough to look like one".repeat(20))],
    ["a torn header", Buffer.from("SQLite format 3\0garbage")],
  ])("refuses %s in its place and does not touch it", (_what, content) => {
    const path = join(stateDir, "console.db");
    writeFileSync(path, content);
    const failure = failureOf(() => openStore());
    expect(failure.message).toContain("damaged or not a Wardline database");
    expect(readFileSync(path).equals(content)).toBe(true);
  });
});

describe("files", () => {
  it("guard against lost updates", () => {
    const files = filesOf(openStore());
    const first = files.save("a.yaml", "one", 0, 1);
    expect(failureOf(() => files.save("a.yaml", "two", 0, 2)).code).toBe(ErrorCode.ALREADY_EXISTS);
    const second = files.save("a.yaml", "two", first, 2);
    expect(failureOf(() => files.save("a.yaml", "three", first, 3)).code).toBe(ErrorCode.REVISION_CONFLICT);
    expect(failureOf(() => files.delete("a.yaml", first)).code).toBe(ErrorCode.REVISION_CONFLICT);
    expect(files.find("a.yaml")).toMatchObject({ text: "two", revision: second });
    files.delete("a.yaml", second);
    expect(failureOf(() => files.save("a.yaml", "four", second, 4)).code).toBe(ErrorCode.REVISION_CONFLICT);
    expect(files.save("a.yaml", "four", 0, 4)).toBeGreaterThan(second);
  });

  it("are renamed to a free name only", () => {
    const files = filesOf(openStore());
    files.save("a.yaml", "a", 0, 1);
    files.save("b.yaml", "b", 0, 1);
    expect(failureOf(() => files.rename("a.yaml", "b.yaml", 2)).code).toBe(ErrorCode.ALREADY_EXISTS);
    expect(failureOf(() => files.rename("c.yaml", "d.yaml", 2)).code).toBe(ErrorCode.NOT_FOUND);
    files.rename("a.yaml", "c.yaml", 2);
    expect(files.all().map(({ path, text }) => [path, text])).toEqual([
      ["b.yaml", "b"],
      ["c.yaml", "a"],
    ]);
  });
});

describe("versions", () => {
  it("keep each text once, and equal content under one id", () => {
    const store = openStore();
    const versions = new VersionsTable(store);
    const version = (id: string, texts: string[]) => ({
      id,
      files: texts.map((text, index) => ({ path: `${index}.yaml`, text })),
      author: "tester",
      reason: "test",
      policyCount: 0,
    });
    versions.record(version("one", ["a", "b"]), 1);
    versions.record(version("two", ["a", "c"]), 2);
    expect(versions.record(version("two", ["a", "c"]), 3).number).toBe(2);
    expect(versions.record(version("one", ["a", "b"]), 4).number).toBe(3);
    expect(versions.list(10).map(({ number, id, fileCount }) => [number, id, fileCount])).toEqual([
      [3, "one", 2],
      [2, "two", 2],
      [1, "one", 2],
    ]);
    expect(store.get("SELECT count(*) AS count FROM blobs")).toEqual({ count: 3 });
    expect(versions.files("two")).toEqual([
      { path: "0.yaml", text: "a" },
      { path: "1.yaml", text: "c" },
    ]);
    expect(failureOf(() => versions.get("three")).code).toBe(ErrorCode.NOT_FOUND);
  });
});

describe("flows", () => {
  const batchOf = (count: number, firstId: number) =>
    Array.from({ length: count }, (_, index) =>
      create(FlowSchema, {
        id: BigInt(firstId + index),
        host: "alpha.example",
        time: timestampFromMs(1_700_000_000_000 + index),
        protocol: 6,
        sourceAddress: "2001:db8:1234:5678::9abc",
        sourcePort: 40_000,
        destinationAddress: "2001:db8:1234:5678::1",
        destinationPort: 443,
        sourceName: "default/frontend",
        destinationName: "alpha.example",
        subjectKey: "Workload/default/backend",
        cgroupPath: "/system.slice/backend.service",
      }),
    );
  const origin = { hostId: "local", agentEpochMs: 1 };

  it("are bounded by rows, the oldest leave, and repeated history does not push others out", () => {
    const flows = new FlowsTable(openStore(), { maxRows: 1000, maxBytes: 1e9 });
    for (let first = 1; first <= 3000; first += 100) flows.insert(origin, batchOf(100, first));
    expect(flows.count()).toBeGreaterThanOrEqual(1000);
    expect(flows.count()).toBeLessThanOrEqual(1010 + 100);
    const [newest] = flows.query(undefined, 1, 0).flows;
    for (let turn = 0; turn < 20; turn++) flows.insert(origin, batchOf(500, 2501));
    expect(flows.query(undefined, 1, 0).flows[0]?.id).toBe(newest?.id);
    expect(flows.count()).toBeGreaterThanOrEqual(1000);
  });

  it("are bounded also when there were more than now may be, and the first that comes is known already", () => {
    const store = openStore();
    const former = new FlowsTable(store, { maxRows: 3000, maxBytes: 1e9 });
    for (let first = 1; first <= 6000; first += 100) former.insert(origin, batchOf(100, first));
    const flows = new FlowsTable(store, { maxRows: 1000, maxBytes: 1e9 });
    expect(flows.insert(origin, batchOf(100, 5901))).toBe(0);
    expect(flows.count()).toBe(1000);
    for (let first = 6001; first <= 8000; first += 100) flows.insert(origin, batchOf(100, first));
    expect(flows.count()).toBeLessThanOrEqual(1010 + 100);
  });

  it("are bounded by bytes: the database stays within what was promised", () => {
    const maxBytes = 4 * 1024 * 1024;
    const store = openStore();
    const flows = new FlowsTable(store, { maxRows: 1e9, maxBytes });
    for (let first = 1; first <= 30_000; first += 1000) flows.insert(origin, batchOf(1000, first));
    const pages = Number(store.database.pragma("page_count", { simple: true }));
    const free = Number(store.database.pragma("freelist_count", { simple: true }));
    const usedBytes = (pages - free) * Number(store.database.pragma("page_size", { simple: true }));
    expect(flows.count()).toBeLessThan(30_000);
    expect(usedBytes).toBeLessThan(maxBytes * 1.15);
    expect(usedBytes).toBeGreaterThan(maxBytes * 0.5);
  });
});

describe("decisions of flows", () => {
  const origin = { hostId: "local", agentEpochMs: 1 };
  let nextId = 1n;
  const flowOf = (decision: number) =>
    create(FlowSchema, {
      id: nextId++,
      host: "alpha.example",
      time: timestampFromMs(1_700_000_000_000),
      decision: { summary: `decision ${decision}`, policyKeys: [`default/${decision}`] },
    });
  const numbers = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index);
  const summaries = (flows: FlowsTable, limit: number) =>
    flows.query(undefined, limit, 0).flows.map(({ decision }) => decision?.summary);

  it("leave with the flows that named them, a few with each batch, and never while one names them", () => {
    const store = openStore();
    const flows = new FlowsTable(store, { maxRows: 5_000, maxBytes: 1e9 });
    const decisions = () => store.get<{ count: number }>("SELECT count(*) AS count FROM flow_decisions")?.count ?? 0;
    for (let first = 0; first < 15_000; first += 500) flows.insert(origin, numbers(first, 500).map(flowOf));
    let most = 0;
    for (let turn = 0; turn < 25; turn++) {
      const before = decisions();
      // Some that only left flows had named come back while they are removed.
      flows.insert(origin, [...numbers(turn * 100, 100), ...numbers(15_000, 300)].map(flowOf));
      most = Math.max(most, before - decisions());
      expect(summaries(flows, 400)).not.toContain(undefined);
    }
    expect(most).toBeLessThanOrEqual(1_000);
    expect(most).toBeGreaterThan(0);
    expect(decisions()).toBeLessThan(10_000);
    expect(summaries(flows, 5_000)).not.toContain(undefined);
    const other = new FlowsTable(store);
    expect(other.insert(origin, [flowOf(39)])).toBeGreaterThan(0);
    expect(summaries(other, 1)).toEqual(["decision 39"]);
  });
});

describe("two processes", () => {
  it("hold a lease one at a time, and take over an expired one", () => {
    const [one, two] = [new LeaseTable(openStore()), new LeaseTable(openStore())];
    expect(one.acquire("flows", "one", 1000, 10_000)).toBe(true);
    expect(two.acquire("flows", "two", 2000, 10_000)).toBe(false);
    expect(one.acquire("flows", "one", 5000, 10_000)).toBe(true);
    expect(two.acquire("flows", "two", 14_999, 10_000)).toBe(false);
    expect(two.acquire("flows", "two", 15_000, 10_000)).toBe(true);
    expect(one.acquire("flows", "one", 15_001, 10_000)).toBe(false);
    two.release("flows", "two");
    expect(one.acquire("flows", "one", 15_002, 10_000)).toBe(true);
  });

  it("open a new store at the same time", async () => {
    const script = join(stateDir, "opener.mts");
    writeFileSync(
      script,
      `import { Store } from ${JSON.stringify(new URL("./store.ts", import.meta.url).href)};
       const logger = { debug() {}, info() {}, warn() {}, error() {} };
       new Store({ stateDir: ${JSON.stringify(join(stateDir, "new"))}, logger }).close();`,
    );
    const starts = Array.from({ length: 4 }, () =>
      promisify(execFile)(process.execPath, ["--disable-warning=ExperimentalWarning", script]),
    );
    expect((await Promise.all(starts)).map(({ stderr }) => stderr)).toEqual(["", "", "", ""]);
    const store = openStore({ stateDir: join(stateDir, "new") });
    expect(store.database.pragma("user_version", { simple: true })).toBe(MIGRATIONS.length);
  });

  it("save at the same time without losing a revision", () => {
    const store = openStore();
    const files = filesOf(store);
    const script = join(stateDir, "writer.mts");
    const storeModule = JSON.stringify(new URL("./store.ts", import.meta.url).href);
    const settingsModule = JSON.stringify(new URL("./settings-table.ts", import.meta.url).href);
    const filesModule = JSON.stringify(new URL("./files-table.ts", import.meta.url).href);
    writeFileSync(
      script,
      `import { Store } from ${storeModule};
       import { SettingsTable } from ${settingsModule};
       import { FilesTable } from ${filesModule};
       const logger = { debug() {}, info() {}, warn() {}, error() {} };
       const store = new Store({ stateDir: ${JSON.stringify(stateDir)}, logger });
       const files = new FilesTable(store, new SettingsTable(store));
       for (let i = 0; i < 50; i++) files.put(\`other-\${i}.yaml\`, "x", i);
       store.close();`,
    );
    const before = store.dataVersion();
    const result = spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", script], { encoding: "utf8" });
    expect(result.stderr).toBe("");
    files.put("mine.yaml", "y", 1);
    expect(store.dataVersion()).not.toBe(before);
    expect(files.all()).toHaveLength(51);
    expect(files.workspaceRevision()).toBe(51);
    expect(new Set(files.all().map(({ revision }) => revision)).size).toBe(51);
  });
});

const canMount = process.getuid?.() === 0 && spawnSync("mount", ["--version"]).status === 0;

describe.skipIf(!canMount)(`a full disk${canMount ? "" : " (skipped: needs root, to mount a small tmpfs)"}`, () => {
  let mountDir: string;

  beforeEach(() => {
    mountDir = join(stateDir, "small");
    mkdirSync(mountDir);
    const result = spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mountDir], { encoding: "utf8" });
    if (result.status !== 0) throw new Error(result.stderr);
  });
  afterEach(() => {
    for (const store of open) close(store);
    spawnSync("umount", ["-l", mountDir]);
  });

  it("is said as such, changes nothing, and is over when there is space again", () => {
    const store = openStore({ stateDir: mountDir });
    const files = filesOf(store);
    files.save("a.yaml", "kept", 0, 1);
    const ballast = join(mountDir, "ballast");
    for (let size = 1024 * 1024; size >= 1024; size /= 2) {
      try {
        writeFileSync(ballast, Buffer.alloc(size), { flag: "a" });
      } catch {
        // Full for this size; a smaller piece may still fit.
      }
    }
    const failure = failureOf(() => files.save("b.yaml", "x".repeat(200_000), 0, 2));
    expect(failure).toMatchObject({ code: ErrorCode.DISK_FULL, retryable: true });
    expect(files.all().map(({ path, text }) => [path, text])).toEqual([["a.yaml", "kept"]]);
    rmSync(ballast);
    files.save("b.yaml", "x".repeat(200_000), 0, 3);
    expect(files.all()).toHaveLength(2);
    expect(store.database.pragma("integrity_check", { simple: true })).toBe("ok");
  });
});
