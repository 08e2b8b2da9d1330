/** What becomes of files: merged, removed, damaged, cut off in the middle of writing. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ErrorCode } from "@wardline/domain/errors";
import { EVERYTHING } from "@wardline/domain/flows";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Clock, silentLogger, systemClock } from "../../ports.ts";
import { type RetentionLimits, USUAL_RETENTION_LIMITS } from "../flow-history.ts";
import { batchOf } from "../testing/batches.ts";
import { firstPage, START_MS } from "../testing/history-contract.ts";
import { MemoryHistory } from "../testing/memory-history.ts";
import { LABELS } from "../testing/random-queries.ts";
import { randomBatches, seededRandom } from "../testing/random-records.ts";
import { DamagedBlock, PackedColumns, packColumns } from "./columns.ts";
import { SqliteHistory } from "./sqlite-history.ts";

const DAY_MS = 86_400_000;
const FOREVER = { ...USUAL_RETENTION_LIMITS, recordDays: 1e5, minuteDays: 1e5, hourDays: 1e5, dayDays: 1e5 };
const NEVER = new AbortController().signal;

class TestClock implements Clock {
  now = START_MS;
  nowMs(): number {
    return this.now;
  }
  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(delayMs, signal);
  }
}

let directory: string;
let clock: TestClock;
let limits: RetentionLimits;
let history: SqliteHistory;

function open(): SqliteHistory {
  const leafLimits = { rows: 100 };
  return new SqliteHistory({ directory, retention: () => limits, clock, logger: silentLogger, leafLimits });
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-history-"));
  clock = new TestClock();
  limits = FOREVER;
  history = open();
});
afterEach(async () => {
  await history.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Batches of 50 records; two of them fill a leaf. */
async function store(first: number, batches: number): Promise<void> {
  for (let sequence = first; sequence < first + batches; sequence++) {
    const startMs = START_MS + sequence * 10_000;
    const options = { firstSequence: sequence, batches: 1, records: 50, startMs };
    await history.ingest([batchOf("h1", randomBatches(seededRandom(sequence), options))]);
  }
}

const files = () => readdirSync(directory).filter((name) => name.endsWith(".db"));
const counted = async () => {
  let records = 0;
  let progress: object = {};
  const options = { by: ["host"], order: "records", limit: 1, labels: LABELS } as const;
  for await (const answer of history.group(EVERYTHING, options, NEVER)) {
    records = answer.total.records;
    progress = answer.progress;
  }
  return { records, ...progress };
};

describe("partitions", () => {
  it("merges minutes at once, hours after the day and days after the month, and counts nothing twice", async () => {
    await store(1, 6);
    await history.maintain();
    expect(files().filter((name) => name.startsWith("minute"))).toHaveLength(3);
    expect(files().filter((name) => name.startsWith("hour"))).toHaveLength(0);
    clock.now += DAY_MS;
    await history.maintain();
    expect(files().filter((name) => name.startsWith("hour"))).toHaveLength(1);
    clock.now += 31 * DAY_MS;
    await history.maintain();
    expect(files().filter((name) => name.startsWith("day"))).toHaveLength(1);
    expect(await counted()).toMatchObject({ records: 300, isComplete: true });
    // Cut inside of a day: only the records themselves say it exactly.
    const query = { ...EVERYTHING, sinceMs: START_MS + 25_000 };
    const { progress } = await firstPage(history, query, 1_000);
    expect(progress).toMatchObject({ coarsest: "record", matched: 250 });
  });

  it("answers from coarser files when finer ones have gone, and says so", async () => {
    await store(1, 6);
    await history.maintain();
    clock.now += 40 * DAY_MS;
    await history.maintain();
    limits = { ...FOREVER, recordDays: 7, minuteDays: 20 };
    await history.maintain();
    expect(files().some((name) => name.startsWith("minute"))).toBe(false);
    expect(await counted()).toMatchObject({ records: 300 });
    const { records, progress } = await firstPage(history, EVERYTHING, 1_000);
    expect(records.every(({ resolution }) => resolution === "hour")).toBe(true);
    expect(progress).toMatchObject({ coarsest: "hour", isComplete: true, matched: 300 });
    expect(progress.coarseBeforeMs).toBeGreaterThan(START_MS);
    limits = { ...FOREVER, recordDays: 1, minuteDays: 1, hourDays: 1, dayDays: 10 };
    await history.maintain();
    expect(await counted()).toMatchObject({ records: 0 });
    expect(await history.positions("h1")).toEqual([{ journalId: "journal-h1", sequence: 6n }]);
  });

  it("keeps to a number of records and of bytes: the finest and oldest go first", async () => {
    await store(1, 8);
    await history.maintain();
    const before = await history.state();
    const dry = await history.retain({ ...FOREVER, maxRecords: before.records - 150 }, clock.now, false);
    expect(dry.removedRecords).toBe(200);
    expect((await history.state()).records).toBe(before.records);
    limits = { ...FOREVER, maxRecords: before.records - 150 };
    await history.maintain();
    const leaves = files()
      .filter((name) => name.startsWith("leaf"))
      .sort();
    expect(leaves[0]).toBe("leaf-0000000003.db");
    expect(await counted()).toMatchObject({ records: 400 });
    limits = { ...FOREVER, maxBytes: 1 };
    await history.maintain();
    expect((await history.state()).partitions).toHaveLength(1);
    await store(9, 1);
    expect(await counted()).toMatchObject({ records: 50 });
  });

  it.each([
    ["has other bytes in the middle", (path: string) => overwrite(path, Math.floor(statSync(path).size / 2))],
    ["is cut off", (path: string) => truncateSync(path, Math.floor(statSync(path).size / 3))],
    ["is no database at all", (path: string) => overwrite(path, 0)],
  ])(
    "moves a file aside that %s, tells it, and asks for what was in it again",
    async (_, damage) => {
      await store(1, 6);
      await history.maintain();
      await history.close();
      for (const name of ["leaf-0000000002.db", "minute-0000000002-0000000002.db"]) damage(join(directory, name));
      history = open();
      await history.positions("h1");
      for (let round = 0; round < 8; round++) await history.maintain();
      expect((await counted()).records).toBe(200);
      const { problems } = await history.state();
      expect(problems.join()).toContain(ErrorCode[ErrorCode.HISTORY_DAMAGED]);
      expect(readdirSync(join(directory, "damaged")).filter((name) => name.endsWith(".db"))).toHaveLength(2);
      expect(await history.gaps("h1")).toEqual([{ journalId: "journal-h1", firstSequence: 3n, lastSequence: 4n }]);
      await store(3, 2);
      expect(await history.gaps("h1")).toEqual([]);
      expect((await counted()).records).toBe(300);
      await store(3, 2);
      expect((await counted()).records).toBe(300);
    },
    60_000,
  );

  it("finds a damaged block while it answers, and answers without it", async () => {
    await store(1, 4);
    await history.maintain();
    const reference = (await firstPage(history, EVERYTHING, 1_000)).records.length;
    expect(reference).toBe(200);
    await history.close();
    const path = join(directory, "leaf-0000000001.db");
    for (let at = 4_096; at < statSync(path).size; at += 512) overwrite(path, at, 8);
    history = open();
    await history.positions("h1");
    const { records, progress } = await firstPage(history, EVERYTHING, 1_000);
    // The minutes of it are still there.
    expect(progress).toMatchObject({ matched: 200, coarsest: "minute" });
    expect(records.length).toBeGreaterThan(100);
  });

  it("begins anew with a damaged newest file: what was in it is asked for again", async () => {
    await store(1, 3);
    await history.maintain();
    await history.close();
    overwrite(join(directory, "leaf-0000000002.db"), 0);
    history = open();
    expect(await history.positions("h1")).toEqual([{ journalId: "journal-h1", sequence: 2n }]);
    await store(3, 2);
    expect((await counted()).records).toBe(200);
  });

  it("lets another process take over, and the first one notice it", async () => {
    await store(1, 1);
    const other = open();
    try {
      const options = { firstSequence: 2, batches: 1, records: 50, startMs: START_MS };
      expect(await other.ingest([batchOf("h1", randomBatches(seededRandom(2), options))])).toBe(50);
      expect(await history.ingest([batchOf("h1", randomBatches(seededRandom(2), options))])).toBe(0);
      await store(3, 1);
      expect((await counted()).records).toBe(150);
    } finally {
      await other.close();
    }
  });

  it("has another process that asks see that a host was forgotten", async () => {
    const ofHost = (hostId: string, sequence: number) => {
      const startMs = START_MS + sequence * 10_000;
      return batchOf(
        hostId,
        randomBatches(seededRandom(sequence), { firstSequence: sequence, batches: 1, records: 40, startMs }),
      );
    };
    for (let sequence = 1; sequence <= 4; sequence++) {
      for (const hostId of ["h1", "h2"]) await history.ingest([ofHost(hostId, sequence)]);
    }
    await history.maintain();
    const other = open();
    const seen = async () => {
      let hosts: unknown[] = [];
      const options = { by: ["host"], order: "records", limit: 10, labels: LABELS } as const;
      for await (const { groups } of other.group(EVERYTHING, options, NEVER)) {
        hosts = groups.map(({ values, sums }) => [values[0], sums.records]);
      }
      return hosts;
    };
    // Both of its readers have read the files by then.
    for (let turn = 0; turn < 4; turn++) {
      expect(await seen()).toEqual([
        ["alpha", 160],
        ["beta", 160],
      ]);
    }
    await history.forgetHost("h2");
    for (let turn = 0; turn < 4; turn++) expect(await seen()).toEqual([["alpha", 160]]);
    await other.close();
  });

  it("loses and doubles nothing when its process is killed again and again", async () => {
    await history.close();
    const batches = 250;
    const program = fileURLToPath(new URL("./testing/endless-writer.ts", import.meta.url));
    let kills = 0;
    for (;;) {
      const writer = spawn(process.execPath, [program, directory, String(batches), String(START_MS)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = once(writer, "exit");
      await Promise.race([once(writer.stdout, "data"), ended]);
      const timer = setTimeout(() => writer.kill("SIGKILL"), kills >= 6 ? 120_000 : 20 + kills * 80);
      await ended;
      clearTimeout(timer);
      if (writer.exitCode === 0) break;
      kills++;
    }
    expect(kills).toBeGreaterThan(0);
    history = open();
    await history.positions("h1");
    const reference = new MemoryHistory();
    for (let sequence = 1; sequence <= batches; sequence++) {
      const options = { firstSequence: sequence, batches: 1, records: 20, startMs: START_MS + sequence * 10_000 };
      await reference.ingest([batchOf("h1", randomBatches(seededRandom(sequence), options))]);
    }
    for (const answer of [await sums(history), await sums(reference)]) expect(answer).toMatchObject({ records: 5_000 });
    expect(await sums(history)).toEqual(await sums(reference));
    expect(await replayed(history)).toEqual(await replayed(reference));
    expect(await history.gaps("h1")).toEqual([]);
  }, 240_000);

  it("stops a query that nobody waits for", async () => {
    await store(1, 8);
    const controller = new AbortController();
    const pieces: number[] = [];
    for await (const { records } of history.search(
      EVERYTHING,
      { limit: 1e6, pageToken: "", labels: LABELS },
      controller.signal,
    )) {
      pieces.push(records.length);
      controller.abort();
    }
    expect(pieces).toHaveLength(1);
    await history.series(EVERYTHING, { stepMs: 60_000, splitBy: null, labels: LABELS }, AbortSignal.abort());
    expect((await counted()).records).toBe(400);
  });
});

async function sums(from: Pick<SqliteHistory, "group">) {
  const options = { by: ["verdict"], order: "bytes", limit: 5, labels: LABELS } as const;
  let total: object = {};
  for await (const answer of from.group(EVERYTHING, options, NEVER)) total = answer.total;
  return total;
}

async function replayed(from: Pick<SqliteHistory, "replay">): Promise<number> {
  let records = 0;
  for await (const piece of from.replay(EVERYTHING, { labels: LABELS }, NEVER)) records += piece.length;
  return records;
}

function overwrite(path: string, at: number, bytes = 2_000): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(bytes, 0x5a), 0, bytes, at);
  closeSync(file);
}

describe("columns", () => {
  it.each([
    ["one value", [7, 7, 7]],
    ["small numbers", [0, 255, 3]],
    ["times in seconds", [START_MS, START_MS + 10_000, START_MS + 70_000]],
    ["large numbers", [0, Number.MAX_SAFE_INTEGER, 1]],
    ["negative ones and fractions", [-1.5, 2, 1e300]],
    ["nothing", []],
  ])("come back as they were: %s", (_, values) => {
    const blob = packColumns([Float64Array.from(values), new Float64Array(values.length)], values.length);
    const packed = new PackedColumns(blob);
    const column = new Float64Array(values.length);
    packed.read(0, column);
    expect([...column]).toEqual(values);
    for (const at of [0, 5, 20, blob.length - 1]) {
      const damaged = blob.slice();
      damaged[at]! ^= 1;
      expect(() => new PackedColumns(damaged), String(at)).toThrow(DamagedBlock);
    }
  });
});

const noDisk =
  process.platform === "linux" && process.getuid?.() === 0 ? null : "needs root on Linux, for a small disk";

describe.skipIf(noDisk !== null)(`a full disk${noDisk ? ` (${noDisk})` : ""}`, () => {
  it("is told, loses nothing, and is got over without a restart", async () => {
    await history.close();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1200k", "tmpfs", directory]);
    try {
      history = open();
      let stored = 0;
      const fill = async () => {
        for (; stored < 60; stored++) await store(stored + 1, 1);
      };
      await expect(fill()).rejects.toMatchObject({ code: ErrorCode.DISK_FULL });
      expect(stored).toBeGreaterThan(1);
      expect((await history.state()).problems.join()).toMatch(/full/);
      execFileSync("mount", ["-o", "remount,size=64m", directory]);
      await fill();
      expect(await history.positions("h1")).toEqual([{ journalId: "journal-h1", sequence: 60n }]);
      expect((await counted()).records).toBe(3_000);
      await history.maintain();
      expect((await counted()).records).toBe(3_000);
      expect((await history.state()).problems).toEqual([]);
    } finally {
      await history.close();
      execFileSync("umount", [directory]);
    }
  }, 60_000);
});
