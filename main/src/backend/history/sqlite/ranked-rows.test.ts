/** Lists of more rows than are looked at at once: every stretch in every order, as one list that was sorted whole. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FlowQuery, measureOf, parseFlowQuery } from "@wardline/domain/flows";
import { fromWireFlowRecord } from "@wardline/domain/wire";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLogger, systemClock } from "../../ports.ts";
import { dimensionValue } from "../dimensions.ts";
import { ROW_SORTS, type RowSort, type StoredRecord, USUAL_RETENTION_LIMITS } from "../flow-history.ts";
import { batchOf } from "../testing/batches.ts";
import { START_MS } from "../testing/history-contract.ts";
import { MemoryHistory } from "../testing/memory-history.ts";
import { LABELS } from "../testing/random-queries.ts";
import { pick, type Random, randomBatches, seededRandom } from "../testing/random-records.ts";
import { Catalog } from "./catalog.ts";
import { FileCache } from "./file-cache.ts";
import { storedRecord } from "./found-records.ts";
import type { FileRef } from "./open-file.ts";
import { QueryControl } from "./query-control.ts";
import { RankedRows } from "./ranked-rows.ts";
import { refOf } from "./seal.ts";
import { SqliteHistory } from "./sqlite-history.ts";

const NEVER = new AbortController().signal;
const CONTROL = new QueryControl(new Int32Array(1));
const FOREVER = { ...USUAL_RETENTION_LIMITS, recordDays: 1e5, minuteDays: 1e5, hourDays: 1e5, dayDays: 1e5 };
const QUERIES = [
  "",
  "verdict:deny",
  "bytes>1M",
  "port:443 packets<=50",
  "process:3",
  "bytes>100k -host:h2 duration<4s",
];
const [OPEN_MS, SPAN_MS] = [Number.NEGATIVE_INFINITY, 600_000];

/** What a row is sorted by, and when it was seen: those that are the same in both may change places. */
function keyOf(sort: RowSort, { record, host }: StoredRecord): unknown[] {
  const plain = fromWireFlowRecord(record, host);
  if (sort === "time") return [plain.firstSeenMs];
  if (sort === "verdict") return [plain.verdict, plain.enforced, plain.firstSeenMs];
  const isMeasure = ["bytes", "packets", "connections", "denied", "duration"].includes(sort);
  const value = isMeasure ? measureOf(sort as "bytes", plain) : dimensionValue(sort as "host", plain);
  return [value, plain.firstSeenMs];
}

describe("lists of many rows", () => {
  const directory = mkdtempSync(join(tmpdir(), "wardline-lists-"));
  const cache = new FileCache();
  // Some keys have more rows than are put in order at a time.
  const ranked = new RankedRows(cache, { gathered: 150, many: 400 });
  const reference = new MemoryHistory();
  const random: Random = seededRandom(31);
  let files: FileRef[] = [];

  beforeAll(async () => {
    const leafLimits = { rows: 2_700 };
    const ports = { directory, retention: () => FOREVER, clock: systemClock, logger: silentLogger, leafLimits };
    const history = new SqliteHistory(ports);
    // A host whose clock was wrong: times of one file lie further apart than 32 bits of milliseconds.
    const wrong = { firstSequence: 1, batches: 2, records: 20, startMs: START_MS - 100 * 86_400_000 };
    const odd = batchOf("h9", randomBatches(random, wrong));
    await history.ingest([odd]);
    await reference.ingest([odd]);
    for (const host of ["h1", "h2", "h3"]) {
      for (let first = 1; first < 60; first += 20) {
        const startMs = START_MS + first * 10_000;
        const options = { firstSequence: first, batches: 20, records: 40, startMs, lateMs: 200_000 };
        const batch = batchOf(host, randomBatches(random, options));
        await history.ingest([batch]);
        await reference.ingest([batch]);
      }
    }
    await history.maintain();
    await history.close();
    const partitions = await new Catalog(directory).list();
    const [least, most] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    const growing = { minStartMs: least, maxStartMs: most, minEndMs: least, maxEndMs: most };
    files = partitions
      .filter(({ resolution }) => resolution === "record")
      .map(({ path, description, firstLeaf, resolution }) =>
        description
          ? refOf(path, description)
          : { path, resolution, firstLeaf, isSealed: false, records: 0, ...growing },
      );
  }, 60_000);
  afterAll(() => {
    cache.closeAll();
    rmSync(directory, { recursive: true, force: true });
  });

  it("has partitions that are sealed and one that grows", () => {
    expect(files.map(({ isSealed }) => isSealed)).toEqual([true, true, false]);
  });

  it.each(QUERIES)(
    "answers %j in every order",
    async (text) => {
      const { query } = parseFlowQuery(text, { nowMs: START_MS });
      if (!query) throw new Error(`${text} is no query.`);
      const sinceMs = random() < 0.5 ? null : START_MS + Math.floor(random() * SPAN_MS);
      const asked: FlowQuery = { ...query, sinceMs };
      for (const sort of ROW_SORTS) {
        const order = { sort, isAscending: random() < 0.5 };
        const whole = { order, from: 0, atMs: null, limit: 100_000, snapshot: "", labels: LABELS };
        const expected = (await reference.rows(asked, whole, NEVER))!.rows;
        const read = (from: number, limit: number) =>
          ranked.read({ files, query: asked, labels: {}, order, from, atMs: null, limit, snapshot: null }, CONTROL);
        const seen = new Set<string>();
        for (let from = 0; from < expected.length; from += 997) {
          const { rows, rowCount } = read(from, 997);
          expect(rowCount).toBe(expected.length);
          for (const { id } of rows) seen.add(id);
          const keys = rows.map(storedRecord).map((row) => keyOf(sort, row));
          expect({ order, from, keys }).toEqual({
            ...{ order, from },
            keys: expected.slice(from, from + 997).map((row) => keyOf(sort, row)),
          });
        }
        expect(seen.size).toBe(expected.length);
        const anywhere = Math.floor(random() * (expected.length + 10));
        const { rows } = read(anywhere, 40);
        expect(rows.map(storedRecord).map((row) => keyOf(sort, row))).toEqual(
          expected.slice(anywhere, anywhere + 40).map((row) => keyOf(sort, row)),
        );
      }
    },
    60_000,
  );

  it("finds the rank of any moment", async () => {
    const query: FlowQuery = { where: { kind: "all" }, sinceMs: null, untilMs: null };
    for (let round = 0; round < 40; round++) {
      const order = { sort: "time" as const, isAscending: random() < 0.5 };
      const atMs = START_MS + pick(random, [OPEN_MS, random() * SPAN_MS * 1.5, Math.floor(random() * SPAN_MS)]);
      const options = { order, from: 0, atMs, limit: 1, snapshot: "", labels: LABELS };
      const { from } = (await reference.rows(query, options, NEVER))!;
      const read = ranked.read({ files, query, labels: {}, order, from: 0, atMs, limit: 1, snapshot: null }, CONTROL);
      expect({ atMs, order, from: read.from }).toEqual({ atMs, order, from });
    }
  });
});

it("has a place for every row in any order, also where a host says more bytes than there can be", async () => {
  const directory = mkdtempSync(join(tmpdir(), "wardline-lists-"));
  const cache = new FileCache();
  try {
    const ports = { directory, retention: () => FOREVER, clock: systemClock, logger: silentLogger };
    const history = new SqliteHistory(ports);
    const batches = randomBatches(seededRandom(1), { firstSequence: 1, batches: 1, records: 20, startMs: START_MS });
    // Every other one, as sums of many records that are each possible could be.
    for (const [index, record] of batches[0]!.records.entries())
      if (index % 2 === 0) record.originatorBytes = record.responderBytes = 2n ** 64n - 1n;
    await history.ingest([batchOf("h1", batches)]);
    await history.close();
    const [partition] = await new Catalog(directory).list();
    const [least, most] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    const extent = { minStartMs: least, maxStartMs: most, minEndMs: least, maxEndMs: most };
    const files = [{ ...partition!, isSealed: false, records: 0, ...extent }];
    const query: FlowQuery = { where: { kind: "all" }, sinceMs: null, untilMs: null };
    for (const isAscending of [false, true]) {
      let checks = 0;
      const control = new QueryControl(new Int32Array(1));
      control.check = () => {
        if (++checks > 10_000) throw new Error("It goes on and on.");
      };
      const order = { sort: "bytes" as const, isAscending };
      const asked = { files, query, labels: {}, order, from: 0, atMs: null, limit: 20, snapshot: null };
      const bytes = new RankedRows(cache).read(asked, control).rows.map(({ outBytes, inBytes }) => outBytes + inBytes);
      expect(bytes).toHaveLength(20);
      expect(bytes).toEqual(bytes.toSorted((a, b) => (isAscending ? a - b : b - a)));
    }
  } finally {
    cache.closeAll();
    rmSync(directory, { recursive: true, force: true });
  }
});
