import { ErrorCode, Failure } from "@wardline/domain/errors";
import { EVERYTHING } from "@wardline/domain/flows";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLogger, systemClock } from "../../ports.ts";
import { USUAL_RETENTION_LIMITS } from "../flow-history.ts";
import { openHistory } from "../open-history.ts";
import { batchOf } from "../testing/batches.ts";
import { firstPage, fleetBatches, historyContract, START_MS } from "../testing/history-contract.ts";
import { randomBatches, seededRandom } from "../testing/random-records.ts";
import { PostgresHistory } from "./postgres-history.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "./testing/postgres-server.ts";

const FOREVER = { recordDays: 1e5, minuteDays: 1e5, hourDays: 1e5, dayDays: 1e5 };
const DAY_MS = 86_400_000;
const LIMITS = { ...USUAL_RETENTION_LIMITS, ...FOREVER };

describe.skipIf(postgresProblem !== null)(`PostgreSQL${postgresProblem ? ` (${postgresProblem})` : ""}`, () => {
  let server: PostgresServer;
  let count = 0;
  beforeAll(async () => {
    server = await startPostgres();
  }, 120_000);
  afterAll(() => server?.close());

  const open = (schema: string, nowMs: () => number = Date.now) =>
    new PostgresHistory({
      connectionString: server.connectionString,
      retention: () => LIMITS,
      clock: { nowMs, sleep: systemClock.sleep },
      logger: silentLogger,
      schema,
    });

  historyContract("history in PostgreSQL", async () => {
    const schema = `contract "${count++}`;
    let aheadMs = 0;
    const nowMs = () => Date.now() + aheadMs;
    let history = open(schema, nowMs);
    return {
      get history() {
        return history;
      },
      age: async () => {
        // What comes now goes into another part.
        aheadMs += 40 * DAY_MS;
        await history.retain(LIMITS, nowMs(), true);
      },
      reopen: async () => {
        await history.close();
        history = open(schema, nowMs);
        return history;
      },
      close: () => history.close(),
    };
  });

  it("keeps sums of what it keeps no more, and says so", async () => {
    let nowMs = START_MS + DAY_MS;
    const history = open("aging", () => nowMs);
    const random = seededRandom(3);
    await history.ingest(fleetBatches(random, 6, 20));
    const before = await sumsOf(history);
    const short = { ...LIMITS, recordDays: 1, minuteDays: 3, hourDays: 5, dayDays: 7 };
    for (const [days, resolution] of [
      [3, "minute"],
      [5, "hour"],
      [7, "day"],
    ] as const) {
      nowMs = START_MS + DAY_MS * days;
      const planned = await history.retain(short, nowMs, false);
      expect(planned.removedRecords).toBeGreaterThan(0);
      expect(await history.retain(short, nowMs, true)).toEqual(planned);
      expect(await sumsOf(history)).toEqual(before);
      expect((await firstPage(history, EVERYTHING, 10_000)).progress).toMatchObject({ coarsest: resolution });
    }
    await history.retain(short, START_MS + DAY_MS * 12, true);
    expect((await history.state()).records).toBe(0);
    await history.close();
  }, 60_000);

  it("loses nothing and takes nothing twice when two consoles write and the server dies", async () => {
    const histories = [open("power"), open("power")];
    const random = seededRandom(11);
    const batches = Array.from({ length: 24 }, (_, index) => {
      const options = { firstSequence: index + 1, batches: 1, records: 7, startMs: START_MS + index * 10_000 };
      return batchOf("h1", randomBatches(random, options));
    });
    for (const [index, batch] of batches.entries()) {
      if (index === 10) await server.kill();
      if (index === 12) await server.start();
      const history = histories[index % 2]!;
      await history.ingest([batch]).catch((error: unknown) => {
        expect(error).toBeInstanceOf(Failure);
        expect((error as Failure).code).toBe(ErrorCode.STORE_UNAVAILABLE);
      });
    }
    // Collectors go on from the position that is stored: sequence 24 is, so what failed in between is given again.
    expect((await histories[0]!.positions("h1"))[0]?.sequence).toBe(24n);
    const { records } = await firstPage(histories[1]!, EVERYTHING, 10_000);
    expect(records).toHaveLength(22 * 7);
    await Promise.all([histories[0]!.ingest(batches), histories[1]!.ingest(batches)]);
    expect((await firstPage(histories[1]!, EVERYTHING, 10_000)).records).toHaveLength(22 * 7);
    await Promise.all(histories.map((history) => history.close()));
  }, 60_000);

  it("stops the database when nobody waits any more", async () => {
    const history = open("cancel");
    await history.ingest(fleetBatches(seededRandom(5), 3, 20));
    const aborted = AbortSignal.timeout(1);
    const found: unknown[] = [];
    for await (const piece of history.replay(
      EVERYTHING,
      { labels: () => ({ subjectKeys: [], addresses: [] }) },
      aborted,
    ))
      found.push(piece);
    expect(found.length).toBeLessThanOrEqual(1);
    await history.close();
  });

  it("says what is wrong without saying the password", async () => {
    const history = new PostgresHistory({
      connectionString: "postgresql://lena:hunter2@127.0.0.1:1/flows",
      retention: () => LIMITS,
      clock: systemClock,
      logger: silentLogger,
    });
    const error: unknown = await history.state().catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: ErrorCode.STORE_UNAVAILABLE });
    expect(String(error)).toContain("127.0.0.1:1/flows");
    expect(String(error)).not.toContain("hunter2");
    await history.close();
    const options = { stateDir: "/nonexistent", retention: () => LIMITS, clock: systemClock, logger: silentLogger };
    expect(() => openHistory({ ...options, history: "mysql://x" })).toThrow("no connection string");
  });
});

async function sumsOf(history: PostgresHistory) {
  const options = {
    by: ["host", "port"] as const,
    order: "bytes" as const,
    limit: 100,
    labels: () => ({ subjectKeys: [], addresses: [] }),
  };
  let answer: unknown;
  for await (const { groups, total, groupCount } of history.group(EVERYTHING, options, new AbortController().signal))
    answer = { groups, total, groupCount };
  return answer;
}
