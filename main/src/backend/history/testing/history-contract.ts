/**
 * What every store of the history of flows does alike: the same answers as the reference in memory, to every question,
 * whatever has become of the records meanwhile.
 */
import { isDeepStrictEqual } from "node:util";
import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { FlowRecordSchema } from "@wardline/api/wardline/v1/flow_record";
import {
  EVERYTHING,
  FLOW_DIMENSIONS,
  FLOW_MEASURES,
  type FlowQuery,
  measureOf,
  type QueryNode,
} from "@wardline/domain/flows";
import { fromWireFlowRecord } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dimensionValue } from "../dimensions.ts";
import {
  type FlowHistory,
  type IngestBatch,
  ROW_SORTS,
  type RowSort,
  type RowsOptions,
  type SearchProgress,
  type StoredRecord,
} from "../flow-history.ts";
import { batchOf } from "./batches.ts";
import { MemoryHistory } from "./memory-history.ts";
import { everyCondition, LABELS, randomNode } from "./random-queries.ts";
import { pick, type Random, randomBatches, seededRandom } from "./random-records.ts";

export interface ContractStore {
  readonly history: FlowHistory;
  /** Seals, merges and so on: whatever happens to records with time, except that they go. */
  readonly age: () => Promise<void>;
  /** Closes it and opens it again, as another process would. */
  readonly reopen: () => Promise<FlowHistory>;
  readonly close: () => Promise<void>;
}

export const START_MS = Date.UTC(2026, 5, 1, 10);
const NEVER = new AbortController().signal;
const STEP_MS = 60_000;

const NEWEST = { sort: "time", isAscending: false } as const;

/** What the rows have in the order they were sorted by, for rows of which several are the same in it. */
function valuesOf(sort: RowSort, rows: readonly StoredRecord[]): unknown[] {
  return rows.map(({ record, host }) => {
    const plain = fromWireFlowRecord(record, host);
    if (sort === "time") return plain.firstSeenMs;
    if (sort === "verdict") return [plain.verdict, plain.enforced];
    if (isMeasure(sort)) return measureOf(sort, plain);
    return dimensionValue(sort, plain);
  });
}

function isMeasure(sort: RowSort): sort is "bytes" | "packets" | "connections" | "denied" | "duration" {
  return ["bytes", "packets", "connections", "denied", "duration"].includes(sort);
}

/** @param open an empty store, of small partitions */
export function historyContract(name: string, open: () => Promise<ContractStore>): void {
  describe(name, () => {
    let store: ContractStore;
    let reference: MemoryHistory;
    let random: Random;

    beforeEach(async () => {
      store = await open();
      reference = new MemoryHistory();
      random = seededRandom(7);
    });
    afterEach(() => store.close());

    const both = async (batches: readonly IngestBatch[]) => {
      const added = await store.history.ingest(batches);
      expect(added).toBe(await reference.ingest(batches));
    };

    it("answers every question as the reference does, before and after records were rolled up", async () => {
      await both(fleetBatches(random, 12, 10));
      await expectSameAnswers(store.history, reference, random, 2);
      await store.age();
      await expectSameAnswers(store.history, reference, random, 3);
      await both(fleetBatches(random, 6, 12, 13));
      await expectSameAnswers(store.history, reference, random, 9);
    }, 240_000);

    it("gives records back whole", async () => {
      const [batch] = fleetBatches(random, 1, 40);
      await both([batch!]);
      await store.age();
      const { records } = await firstPage(store.history, EVERYTHING, 100);
      const stored = records.map(({ record }) => JSON.stringify(toJson(FlowRecordSchema, record))).sort();
      const sent = batch!.batches.flatMap((each) => each.records);
      expect(stored).toEqual(sent.map((record) => JSON.stringify(toJson(FlowRecordSchema, record))).sort());
      expect(new Set(records.map(({ id }) => id)).size).toBe(records.length);
    });

    it("takes a batch once, and knows how far it is after a restart", async () => {
      const [batch] = fleetBatches(random, 4, 10);
      expect(await store.history.ingest([batch!])).toBe(40);
      expect(await store.history.ingest([batch!])).toBe(0);
      const history = await store.reopen();
      // Also in a process that has written nothing.
      expect(await history.state()).toMatchObject({ records: 40, oldestMs: expect.any(Number) });
      expect(await history.positions("h1")).toEqual([{ journalId: "journal-h1", sequence: 4n }]);
      expect(await history.ingest([batch!])).toBe(0);
      expect(await history.gaps("h1")).toEqual([]);
      expect((await firstPage(history, EVERYTHING, 1_000)).records).toHaveLength(40);
    });

    it("gives pages that hold while records arrive and are rolled up", async () => {
      await both(fleetBatches(random, 8, 20));
      const expected = (await firstPage(reference, EVERYTHING, 10_000)).records;
      const pages: StoredRecord[] = [];
      let pageToken = "";
      for (let page = 0; ; page++) {
        const found = await firstPage(store.history, EVERYTHING, 37, pageToken);
        pages.push(...found.records);
        pageToken = found.nextPageToken;
        if (pageToken === "") break;
        const later = { firstSequence: 100 + page, batches: 1, records: 5, startMs: START_MS + 3_600_000 };
        await store.history.ingest([batchOf("h1", randomBatches(random, later))]);
        if (page === 1) await store.age();
      }
      expect(pages.map(timeOf)).toEqual(expected.map(timeOf));
      expect(pages.map(contentOf).sort()).toEqual(expected.map(contentOf).sort());
    }, 60_000);

    it("says that a page is not all, and that nothing is left", async () => {
      await both(fleetBatches(random, 4, 20));
      const part = await firstPage(store.history, EVERYTHING, 10);
      expect(part.records).toHaveLength(10);
      expect(part.progress).toMatchObject({ isComplete: false, matched: 10, coarsest: "record" });
      const where: QueryNode = { kind: "field", field: "host", values: ["nobody"] };
      const none = await firstPage(store.history, { ...EVERYTHING, where }, 10);
      expect(none).toMatchObject({ records: [], nextPageToken: "" });
      expect(none.progress).toMatchObject({ isComplete: true, matched: 0, searched: 240, total: 240 });
    });

    it("refuses a page that was never given out", async () => {
      await expect(firstPage(store.history, EVERYTHING, 10, "<script>")).rejects.toThrow("page");
    });

    it("gives any stretch of a result in any order, and keeps it as it was while records arrive and are rolled up", async () => {
      await both(fleetBatches(random, 8, 20));
      const list = async (history: FlowHistory, options: Partial<RowsOptions>) => {
        const asked = { order: NEWEST, from: 0, atMs: null, limit: 1_000, snapshot: "", labels: LABELS, ...options };
        const read = await history.rows(EVERYTHING, asked, NEVER);
        if (!read) throw new Error("The question was not answered.");
        return read;
      };
      const texts = (rows: readonly StoredRecord[]) => rows.map(contentOf);
      for (const sort of ROW_SORTS) {
        for (const isAscending of [false, true]) {
          const order = { sort, isAscending };
          const [read, expected] = [await list(store.history, { order }), await list(reference, { order })];
          expect({ order, rows: valuesOf(sort, read.rows) }).toEqual({ order, rows: valuesOf(sort, expected.rows) });
          expect(texts(read.rows).sort()).toEqual(texts(expected.rows).sort());
          expect(read).toMatchObject({ rowCount: expected.rowCount, listed: expected.rowCount, newer: 0 });
        }
      }
      const all = await list(store.history, {});
      const { snapshot } = all;
      const middle = all.rows[30]!.record.firstSeen!;
      const atMs = Number(middle.seconds) * 1000 + middle.nanos / 1e6;
      const at = await list(store.history, { atMs, limit: 1, snapshot });
      expect(timestampMs(at.rows[0]!.record.firstSeen!)).toBe(atMs);
      await store.history.ingest([
        batchOf("h1", randomBatches(random, { firstSequence: 100, batches: 2, records: 5, startMs: START_MS })),
      ]);
      const part = await list(store.history, { snapshot, from: 17, limit: 40 });
      expect(part).toMatchObject({ from: 17, rowCount: all.rowCount, newer: 10 });
      expect(texts(part.rows)).toEqual(texts(all.rows.slice(17, 57)));
      expect((await list(store.history, {})).rowCount).toBe(all.rowCount + 10);
      await store.age();
      expect(texts((await list(store.history, { snapshot })).rows)).toEqual(texts(all.rows));
      expect((await list(store.history, { snapshot, from: 1_000_000 })).rows).toEqual([]);
      await expect(list(store.history, { snapshot: "<script>" })).rejects.toThrow("list");
    }, 60_000);

    it("lists folded flows without an end after all whose end is known, whichever way", async () => {
      const batches = randomBatches(random, { firstSequence: 1, batches: 2, records: 20, startMs: START_MS });
      for (const { records } of batches) Object.assign(records[3]!, { destinationAddress: "", foldedFlows: 300 });
      await both([batchOf("h1", batches)]);
      for (const isAscending of [false, true]) {
        const order = { sort: "destination", isAscending } as const;
        const options = { order, from: 0, atMs: null, limit: 100, snapshot: "", labels: LABELS };
        const ends = (await store.history.rows(EVERYTHING, options, NEVER))!.rows.map(
          ({ record }) => record.destinationAddress,
        );
        expect(ends.slice(-3).map((end) => end === "")).toEqual([false, true, true]);
        const expected = (await reference.rows(EVERYTHING, options, NEVER))!.rows;
        expect(ends).toEqual(expected.map(({ record }) => record.destinationAddress));
      }
    });

    it("takes a host that was forgotten out of lists too", async () => {
      await both(fleetBatches(random, 4, 20));
      const asked = { order: NEWEST, from: 0, atMs: null, limit: 1_000, snapshot: "", labels: LABELS };
      await store.history.rows(EVERYTHING, asked, NEVER);
      await store.history.forgetHost("h1");
      const left = await store.history.rows(EVERYTHING, asked, NEVER);
      expect(left?.rows.length).toBeGreaterThan(0);
      expect(left?.rows.filter(({ hostId }) => hostId === "h1")).toEqual([]);
    });

    it("replays oldest first", async () => {
      await both(fleetBatches(random, 8, 20));
      await store.age();
      const collect = async (history: FlowHistory) => {
        const found: string[] = [];
        let last = 0;
        for await (const piece of history.replay(EVERYTHING, { labels: LABELS }, NEVER)) {
          for (const record of piece) {
            expect(record.windowStartMs).toBeGreaterThanOrEqual(last);
            last = record.windowStartMs;
            found.push(JSON.stringify(record, Object.keys(record).sort()));
          }
        }
        return found.sort();
      };
      expect(await collect(store.history)).toEqual(await collect(reference));
    });

    it("forgets a host", async () => {
      await both(fleetBatches(random, 6, 20));
      await store.age();
      await both(fleetBatches(random, 3, 20, 7));
      await Promise.all([store.history.forgetHost("h2"), reference.forgetHost("h2")]);
      await expectSameAnswers(store.history, reference, random, 15);
      expect(await store.history.positions("h2")).toEqual([]);
      await both([
        batchOf("h2", randomBatches(random, { firstSequence: 1, batches: 2, records: 9, startMs: START_MS })),
      ]);
      await expectSameAnswers(store.history, reference, random, 15);
    }, 120_000);

    it("stops at once when nobody waits any more", async () => {
      await both(fleetBatches(random, 8, 20));
      const controller = new AbortController();
      const pieces: number[] = [];
      for await (const piece of store.history.replay(EVERYTHING, { labels: LABELS }, controller.signal)) {
        pieces.push(piece.length);
        controller.abort();
      }
      expect(pieces).toHaveLength(1);
      const aborted = AbortSignal.abort();
      const found: unknown[] = [];
      for await (const page of store.history.search(EVERYTHING, searchOptions(10), aborted)) found.push(page);
      expect(found).toEqual([]);
    });
  });
}

/** Three hosts; the third was away, and its records come late. */
export function fleetBatches(random: Random, batches: number, records: number, firstSequence = 1): IngestBatch[] {
  const startMs = START_MS + firstSequence * 10_000;
  return ["h1", "h2", "h3"].map((hostId) => {
    const lateMs = hostId === "h3" ? 7_200_000 : 0;
    return batchOf(hostId, randomBatches(random, { firstSequence, batches, records, startMs, lateMs }));
  });
}

function searchOptions(limit: number, pageToken = "") {
  return { limit, pageToken, labels: LABELS };
}

export async function firstPage(history: FlowHistory, query: FlowQuery, limit: number, pageToken = "") {
  const records: StoredRecord[] = [];
  let nextPageToken = "";
  let progress: SearchProgress | null = null;
  for await (const piece of history.search(query, searchOptions(limit, pageToken), NEVER)) {
    records.push(...piece.records);
    ({ nextPageToken, progress } = piece);
  }
  if (!progress) throw new Error("A search ended without an answer.");
  return { records, nextPageToken, progress };
}

const timeOf = ({ record }: StoredRecord) => Number(record.windowStart?.seconds);
const contentOf = ({ hostId, host, record }: StoredRecord) =>
  JSON.stringify([hostId, host, toJson(FlowRecordSchema, record)]);

/** @param each one of so many questions is asked */
async function expectSameAnswers(history: FlowHistory, reference: FlowHistory, random: Random, each = 1) {
  const nodes = [...everyCondition(), ...Array.from({ length: 60 }, () => randomNode(random))];
  const first = Math.floor(random() * each);
  for (const where of nodes.filter((_, index) => index % each === first)) {
    const query = { where, ...randomWindow(random) };
    const [found, expected] = [await firstPage(history, query, 100_000), await firstPage(reference, query, 100_000)];
    const said = JSON.stringify(query).slice(0, 300);
    expect(found.records.map(timeOf), said).toEqual(expected.records.map(timeOf));
    // Not `toEqual`: a difference would print thousands of lines.
    const isSame = isDeepStrictEqual(found.records.map(contentOf).sort(), expected.records.map(contentOf).sort());
    expect(isSame, `records of ${said}`).toBe(true);
    expect(found.progress, said).toMatchObject(expected.progress);
    await expectSameSums(history, reference, query, random);
  }
}

async function expectSameSums(history: FlowHistory, reference: FlowHistory, query: FlowQuery, random: Random) {
  const said = JSON.stringify(query).slice(0, 300);
  // People ask for up to three, a service map for nine.
  const by = Array.from({ length: 1 + Math.floor(random() * 9) }, () => pick(random, FLOW_DIMENSIONS));
  const options = { by, order: pick(random, FLOW_MEASURES), limit: 7, labels: LABELS };
  const last = async (from: FlowHistory) => {
    let answer: unknown;
    for await (const piece of from.group(query, options, NEVER)) {
      const { matched, isComplete } = piece.progress;
      answer = { ...piece, progress: { matched, isComplete } };
    }
    return answer;
  };
  expect(await last(history), `${by.join()} of ${said}`).toEqual(await last(reference));
  const steps = {
    stepMs: pick(random, [1, 5, 60]) * STEP_MS,
    splitBy: pick(random, [null, ...FLOW_DIMENSIONS]),
    labels: LABELS,
  };
  const [found, expected] = [await history.series(query, steps, NEVER), await reference.series(query, steps, NEVER)];
  expect(found.points, `${steps.splitBy} of ${said}`).toEqual(expected.points);
}

/** On the borders of buckets, between them, and open. */
function randomWindow(random: Random): Pick<FlowQuery, "sinceMs" | "untilMs"> {
  const border = (around: number) => {
    const kind = random();
    if (kind < 0.5) return null;
    const at = around + Math.floor(random() * 120_000);
    return kind < 0.75 ? Math.floor(at / 60_000) * 60_000 : at;
  };
  return { sinceMs: border(START_MS - 60_000), untilMs: border(START_MS + 60_000) };
}
