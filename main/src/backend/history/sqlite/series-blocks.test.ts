/**
 * Pages of filters that few series match, and groups that a window cuts, in files of several blocks: as a list in memory says,
 * also where a file does not say which blocks a series is in.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { toJson } from "@bufbuild/protobuf";
import { type FlowRecord, FlowRecordSchema } from "@wardline/api/wardline/v1/flow_record";
import {
  FLOW_DIMENSIONS,
  type FlowDimension,
  type FlowQuery,
  type QueryField,
  type QueryNode,
} from "@wardline/domain/flows";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLogger, systemClock } from "../../ports.ts";
import { type FlowHistory, type StoredRecord, USUAL_RETENTION_LIMITS } from "../flow-history.ts";
import { batchOf } from "../testing/batches.ts";
import { firstPage, START_MS } from "../testing/history-contract.ts";
import { MemoryHistory } from "../testing/memory-history.ts";
import { VALUES } from "../testing/random-queries.ts";
import { pick, randomBatches, seededRandom } from "../testing/random-records.ts";
import { Catalog } from "./catalog.ts";
import { BLOCK_ROWS } from "./layout.ts";
import { OpenFile } from "./open-file.ts";
import { openForChange } from "./partition-database.ts";
import { SqliteHistory } from "./sqlite-history.ts";

const FOREVER = { ...USUAL_RETENTION_LIMITS, recordDays: 1e5, minuteDays: 1e5, hourDays: 1e5, dayDays: 1e5 };
const NEVER = new AbortController().signal;
const LEAF_ROWS = 2 * BLOCK_ROWS;
const FIELDS: readonly QueryField[] = ["host", "src", "dst", "port", "verdict", "process", "policy", "cgroup", "name"];

describe("filters that few series match", () => {
  const directory = mkdtempSync(join(tmpdir(), "wardline-blocks-"));
  const random = seededRandom(5);
  const reference = new MemoryHistory();
  let history = open();

  function open(): SqliteHistory {
    const ports = { directory, retention: () => FOREVER, clock: systemClock, logger: silentLogger };
    return new SqliteHistory({ ...ports, leafLimits: { rows: LEAF_ROWS } });
  }

  /** Some ends talk all the time, others once in a while. */
  const habits = randomBatches(random, { firstSequence: 1, batches: 1, records: 400, startMs: START_MS })[0]!.records;
  const byHabit = (record: FlowRecord): FlowRecord => {
    const { windowStart, firstSeen, lastSeen, started, packets, originatorBytes, responderBytes } = record;
    const habit = habits[Math.floor(random() ** 3 * habits.length)]!;
    return { ...habit, windowStart, firstSeen, lastSeen, started, packets, originatorBytes, responderBytes };
  };

  beforeAll(async () => {
    for (let sequence = 1; sequence <= 45; sequence++) {
      const startMs = START_MS + sequence * 60_000;
      for (const host of ["h1", "h2"]) {
        const options = { firstSequence: sequence, batches: 1, records: 200, startMs, lateMs: 120_000 };
        const batches = randomBatches(random, options);
        for (const each of batches) each.records = each.records.map(byHabit);
        const batch = batchOf(host, batches);
        await history.ingest([batch]);
        await reference.ingest([batch]);
      }
    }
    await history.maintain();
  }, 60_000);
  afterAll(async () => {
    await history.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Some conditions at once, in a window that mostly cuts blocks. */
  const rare = (): FlowQuery => {
    const parts = Array.from({ length: 2 + Math.floor(random() * 3) }, (): QueryNode => {
      const field = pick(random, FIELDS);
      return { kind: "field", field, values: [pick(random, VALUES[field])] };
    });
    if (random() < 0.2) parts.push({ kind: "measure", measure: "bytes", comparison: ">", value: random() * 1e6 });
    const at = () => (random() < 0.3 ? null : START_MS + Math.floor(random() * 45 * 60_000));
    const [sinceMs, untilMs] = [at(), at()];
    const isTurned = sinceMs !== null && untilMs !== null && sinceMs > untilMs;
    return {
      where: { kind: "and", parts },
      ...(isTurned ? { sinceMs: untilMs, untilMs: sinceMs } : { sinceMs, untilMs }),
    };
  };

  const contentOf = ({ host, record }: StoredRecord) => `${host} ${JSON.stringify(toJson(FlowRecordSchema, record))}`;

  async function allPages(from: FlowHistory, query: FlowQuery, limit: number): Promise<readonly StoredRecord[]> {
    const records: StoredRecord[] = [];
    let pageToken = "";
    do {
      const page = await firstPage(from, query, limit, pageToken);
      records.push(...page.records);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return records;
  }

  async function expectSame(questions: number): Promise<void> {
    let found = 0;
    for (let question = 0; question < questions; question++) {
      const query = rare();
      const said = JSON.stringify(query);
      const expected = await firstPage(reference, query, 100_000);
      const whole = await firstPage(history, query, 100_000);
      const texts = expected.records.map(contentOf).sort();
      expect(isDeepStrictEqual(whole.records.map(contentOf).sort(), texts), said).toBe(true);
      expect(whole.progress, said).toMatchObject(expected.progress);
      const pages = await allPages(history, query, 1 + Math.floor(random() * 40 + texts.length / 5));
      const starts = (records: readonly StoredRecord[]) => records.map(({ record }) => record.windowStart?.seconds);
      expect(starts(pages), said).toEqual(starts(expected.records));
      expect(isDeepStrictEqual(pages.map(contentOf).sort(), texts), said).toBe(true);
      found += texts.length;
      const by = Array.from({ length: 1 + Math.floor(random() * 9) }, () => pick(random, FLOW_DIMENSIONS));
      // Groups of little of the whole and of most of it: both are cut by the window.
      const asked = random() < 0.5 ? query : { ...query, where: { kind: "all" } as const };
      expect(await groups(history, asked, by), `${by} of ${said}`).toEqual(await groups(reference, asked, by));
    }
    expect(found).toBeGreaterThan(0);
  }

  async function groups(from: FlowHistory, query: FlowQuery, by: readonly FlowDimension[]) {
    const options = { by, order: "bytes", limit: 1_000, labels: () => ({ subjectKeys: [], addresses: [] }) } as const;
    let last: unknown;
    for await (const { groups: largest, total, groupCount, progress } of from.group(query, options, NEVER)) {
      last = { largest, total, groupCount, searched: progress.searched };
    }
    return last;
  }

  const leaves = async () => (await new Catalog(directory).list()).filter(({ resolution }) => resolution === "record");

  it("are answered as by looking at every record", async () => {
    expect((await leaves()).map(({ description }) => description?.rows ?? 0)).toEqual([LEAF_ROWS + 16, 0]);
    await expectSame(25);
  }, 60_000);

  it("know the blocks of each series, and no more than these", async () => {
    const [leaf] = await leaves();
    const file = new OpenFile(leaf!.path);
    file.refresh();
    const kept = file.get<{ count: number }>("SELECT count(*) AS count FROM series_columns WHERE name LIKE 'block%'");
    expect(kept?.count).toBe(3);
    const seriesOf = file.blocks().map((block) => new Set(file.readKeys(block).series.subarray(0, block.rows)));
    for (let id = 1; id <= file.seriesCount; id += 17) {
      const members = new Uint8Array(file.seriesCount + 1);
      members[id] = 1;
      const blocks = seriesOf.map((series) => (series.has(id) ? 1 : 0));
      expect([...file.seriesBlocks()!.with(members)]).toEqual(blocks);
    }
    file.close();
  });

  it("are answered the same from files that were sealed before blocks of series were kept", async () => {
    await history.close();
    for (const { path } of await leaves()) {
      const database = openForChange(path);
      database.exec("DELETE FROM series_columns WHERE name LIKE 'block%'");
      database.close();
    }
    history = open();
    await expectSame(15);
  }, 60_000);

  it("are answered the same when a host was forgotten", async () => {
    await Promise.all([history.forgetHost("h2"), reference.forgetHost("h2")]);
    await expectSame(15);
  }, 60_000);
});
