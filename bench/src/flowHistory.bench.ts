/**
 * The history of flows: how much it takes in while it is read, how large it is, how fast it answers over ten million
 * records, also as lists in any order, and whether it stays within its limits for a day. Beside it one plain table of SQLite
 * with the usual indexes.
 *
 * `WARDLINE_BENCH_PARTS=ingest,query,retention` chooses; seconds of ingest, records and so on are below.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { EVERYTHING } from "@wardline/domain/flows";
import {
  type IngestBatch,
  type RetentionLimits,
  USUAL_RETENTION_LIMITS,
} from "@wardline/main/backend/history/flow-history";
import { RecordJudge } from "@wardline/main/backend/history/record-judge";
import { SqliteHistory } from "@wardline/main/backend/history/sqlite/sqlite-history";
import { silentLogger, systemClock } from "@wardline/main/backend/ports";
import { FILTERS, GROUPS, measureQuestions, newest } from "./lib/historyQuestions.ts";
import { FleetTraffic, HABITS, seeded, WINDOW_MS } from "./lib/historyTraffic.ts";
import { PlainHistory } from "./lib/plainHistory.ts";
import { publish } from "./lib/publish.ts";
import { spread } from "./lib/statistics.ts";

const number = (name: string, usual: number) => Number(process.env[`WARDLINE_BENCH_${name}`] ?? usual);
const PARTS = (process.env.WARDLINE_BENCH_PARTS ?? "ingest,query,retention").split(",");
const SECONDS = number("SECONDS", 600);
const RATE = number("RATE", 20_000);
const RECORDS = number("RECORDS", 10_000_000);
const PEER_RECORDS = number("PEER_RECORDS", RECORDS);
const RETENTION_RECORDS = number("RETENTION_RECORDS", 3_000_000);
const HOSTS = number("HOSTS", 200);
const ROUNDS = number("ROUNDS", 5);
const MIB = 1024 ** 2;

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "wardline-bench-history-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

class SettableClock {
  now = Date.now();
  nowMs(): number {
    return this.now;
  }
  sleep = systemClock.sleep;
}

function open(directory: string, clock = systemClock, limits: Partial<RetentionLimits> = {}): SqliteHistory {
  const retention = () => ({ ...USUAL_RETENTION_LIMITS, maxBytes: 64 * 1024 ** 3, maxRecords: 1e9, ...limits });
  return new SqliteHistory({ directory: join(directory, "history"), retention, clock, logger: silentLogger });
}

/** At the wanted rate, in ticks, as collectors hand over; a reader asks all the time. */
async function measureIngest() {
  const history = open(newDirectory());
  const traffic = new FleetTraffic(HOSTS);
  const judge = new RecordJudge();
  await history.positions("warm-up");
  const lag = monitorEventLoopDelay({ resolution: 5 });
  const waits: number[] = [];
  const ended = new AbortController();
  const random = seeded(1);
  const reading = (async () => {
    while (!ended.signal.aborted) {
      const { where } = FILTERS[Math.floor(random() * FILTERS.length)]!;
      waits.push(await newest(history, { ...EVERYTHING, where }));
      await systemClock.sleep(200, ended.signal);
    }
  })();
  const cpu = process.cpuUsage();
  const startMs = Date.now();
  let sent = 0;
  let stored = 0;
  let largestQueue = 0;
  const waiting = new Set<Promise<void>>();
  let host = 0;
  lag.enable();
  while (Date.now() - startMs < SECONDS * 1_000) {
    const due = ((Date.now() - startMs) / 1_000) * RATE;
    for (let burst = 0; sent < due && burst < 10; burst++) {
      const each = traffic.hosts[host++ % HOSTS]!;
      const batch = traffic.batch(each, Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS, 200);
      for (const one of batch.batches) one.records = judge.judge(one.records, Date.now());
      sent += 200;
      const job = history.ingest([batch]).then((added) => {
        stored += added;
        waiting.delete(job);
      });
      waiting.add(job);
      largestQueue = Math.max(largestQueue, waiting.size);
    }
    await systemClock.sleep(5);
  }
  await Promise.all(waiting);
  lag.disable();
  const seconds = (Date.now() - startMs) / 1_000;
  const used = process.cpuUsage(cpu);
  ended.abort();
  await reading;
  const { sizeBytes, partitions, problems } = await history.state();
  await history.close();
  return {
    seconds: Math.round(seconds),
    wantedPerSecond: RATE,
    storedPerSecond: Math.round(stored / seconds),
    sent,
    stored,
    cpuMicrosecondsPerRecord: Number(((used.user + used.system) / stored).toFixed(2)),
    eventLoopLagMs: { p50: lag.percentile(50) / 1e6, p99: lag.percentile(99) / 1e6, max: lag.max / 1e6 },
    queryMsMeanwhile: spread(waits),
    largestQueueOfBatches: largestQueue,
    mibPerMillionRecords: Number((sizeBytes / MIB / (stored / 1e6)).toFixed(1)),
    partitions: partitions.length,
    problems,
    note: "CPU of the whole process: making the records, judging, packing, storing, sealing, merging, and the reader.",
  };
}

/** Records of the last seven days, host by host and window by window. */
function* week(traffic: FleetTraffic, records: number, endMs: number): Generator<readonly IngestBatch[]> {
  const perBatch = 50;
  const windows = Math.ceil(records / (HOSTS * perBatch));
  const startMs = endMs - 7 * 86_400_000;
  const stepMs = Math.max(1, Math.floor((endMs - startMs) / windows / WINDOW_MS)) * WINDOW_MS;
  for (let window = 0; window < windows; window++) {
    yield traffic.hosts.map((host) => traffic.batch(host, startMs + window * stepMs, perBatch));
  }
}

async function measureQueries() {
  const directory = newDirectory();
  const clock = new SettableClock();
  const endMs = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS;
  const history = open(directory, clock);
  const cpu = process.cpuUsage();
  let stored = 0;
  const traffic = new FleetTraffic(HOSTS);
  for (const batches of week(traffic, RECORDS, endMs)) {
    clock.now = Number(batches[0]!.batches[0]!.sealedAt!.seconds) * 1_000;
    stored += await history.ingest(batches);
  }
  const used = process.cpuUsage(cpu);
  await history.maintain();
  const { sizeBytes, partitions } = await history.state();
  const asked = await measureQuestions(history, endMs, ROUNDS);
  await history.close();
  return {
    records: stored,
    habits: HOSTS * HABITS,
    leaves: partitions.filter(({ resolution }) => resolution === "record").length,
    newcomers: traffic.newcomers,
    partitions: partitions.length,
    bytesPerResolution: Object.fromEntries(
      Object.entries(Object.groupBy(partitions, ({ resolution }) => resolution)).map(([resolution, of]) => [
        resolution,
        {
          files: of!.length,
          rows: of!.reduce((sum, { records }) => sum + records, 0),
          mib: Math.round(of!.reduce((sum, one) => sum + one.sizeBytes, 0) / MIB),
        },
      ]),
    ),
    mibPerMillionRecords: Number((sizeBytes / MIB / (stored / 1e6)).toFixed(1)),
    cpuMicrosecondsPerRecord: Number(((used.user + used.system) / stored).toFixed(2)),
    ...asked,
    peer: PEER_RECORDS > 0 ? measurePeer(endMs) : null,
  };
}

/** The same records in one table. */
function measurePeer(endMs: number) {
  const directory = newDirectory();
  const peer = new PlainHistory(directory);
  const cpu = process.cpuUsage();
  for (const batches of week(new FleetTraffic(HOSTS), PEER_RECORDS, endMs)) peer.ingest(batches);
  const used = process.cpuUsage(cpu);
  const sizeBytes = peer.sizeBytes();
  const timed = (sql: string) => {
    const startMs = performance.now();
    peer.database.prepare(sql).all();
    return performance.now() - startMs;
  };
  const rounds = Math.min(ROUNDS, 2);
  const filters = FILTERS.map(({ name, sql }) => {
    const samples: number[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const days of [7, 1, 1 / 24]) {
        const sinceMs = endMs - days * 86_400_000 + 1_234_567;
        samples.push(
          timed(`SELECT * FROM records WHERE ${sql} AND start_ms > ${sinceMs} ORDER BY start_ms DESC LIMIT 200`),
        );
      }
    }
    return { name, samples };
  });
  const groups = GROUPS.map(({ by, sql }) => ({ by: by.join(), samples: [timed(sql)] }));
  peer.database.close();
  rmSync(directory, { recursive: true, force: true });
  return {
    what: "one table of SQLite, a row for each record, indexes on time and on seven columns with time",
    records: PEER_RECORDS,
    mibPerMillionRecords: Number((sizeBytes / MIB / (PEER_RECORDS / 1e6)).toFixed(1)),
    cpuMicrosecondsPerRecord: Number(((used.user + used.system) / PEER_RECORDS).toFixed(2)),
    filtersMs: {
      all: spread(filters.flatMap(({ samples }) => samples)),
      each: filters.map(({ name, samples }) => ({ name, ...spread(samples) })),
    },
    groupsMs: {
      all: spread(groups.flatMap(({ samples }) => samples)),
      each: groups.map(({ by, samples }) => ({ by, ...spread(samples) })),
    },
  };
}

/** A day in which far more comes than there is room for. */
async function measureRetention() {
  const clock = new SettableClock();
  const maxBytes = 32 * MIB;
  const directory = newDirectory();
  const history = new SqliteHistory({
    directory: join(directory, "history"),
    retention: () => ({ ...USUAL_RETENTION_LIMITS, maxBytes }),
    clock,
    logger: silentLogger,
    leafLimits: { rows: 200_000 },
  });
  const traffic = new FleetTraffic(HOSTS);
  const perBatch = 50;
  const windows = Math.ceil(RETENTION_RECORDS / (HOSTS * perBatch));
  const startMs = Math.floor(clock.now / WINDOW_MS) * WINDOW_MS;
  let stored = 0;
  const sizes: number[] = [];
  for (let window = 0; window < windows; window++) {
    const atMs = startMs + Math.floor((window / windows) * (86_400_000 / WINDOW_MS)) * WINDOW_MS;
    clock.now = atMs + WINDOW_MS;
    stored += await history.ingest(traffic.hosts.map((host) => traffic.batch(host, atMs, perBatch)));
    sizes.push((await history.state()).sizeBytes);
    // The clock runs faster than the minute between two rounds.
    if (window % 5 === 0) await history.maintain();
  }
  await history.maintain();
  const { sizeBytes, records, partitions } = await history.state();
  const partitionMib = Math.max(0, ...partitions.map((partition) => partition.sizeBytes)) / MIB;
  await history.close();
  return {
    simulatedHours: 24,
    stored,
    limitMib: maxBytes / MIB,
    largestMib: Number((Math.max(...sizes) / MIB).toFixed(1)),
    largestPartitionMib: Number(partitionMib.toFixed(1)),
    mibAtTheEnd: Number((sizeBytes / MIB).toFixed(1)),
    rowsAtTheEnd: records,
    staysWithin: Math.max(...sizes) <= maxBytes + partitionMib * MIB,
  };
}

const result = {
  hosts: HOSTS,
  ...(PARTS.includes("ingest") ? { ingest: await measureIngest() } : {}),
  ...(PARTS.includes("query") ? { query: await measureQueries() } : {}),
  ...(PARTS.includes("retention") ? { retention: await measureRetention() } : {}),
};
publish("flowHistory", result);
process.exit(0);
