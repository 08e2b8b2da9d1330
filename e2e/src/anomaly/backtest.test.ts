/** What a host found while it happened is what a backtest finds in the records that the console collected of it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { USUAL_SETTINGS } from "@wardline/domain/anomaly";
import { EVERYTHING } from "@wardline/domain/flows";
import { systemClock } from "@wardline/helper/agent/clock";
import { AnomalyRunner } from "@wardline/helper/anomaly/anomalyRunner";
import { FindingStore } from "@wardline/helper/anomaly/findingStore";
import { ModelFile } from "@wardline/helper/anomaly/modelFile";
import { flowRecord, MemoryJournal, portScan, WINDOW_MS } from "@wardline/helper/testing/memoryJournal";
import { BacktestRun } from "@wardline/main/backend/anomalies/backtest-run";
import { nextTurn } from "@wardline/main/backend/async/next-turn";
import { MemoryHistory } from "@wardline/main/backend/history/testing/memory-history";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";

const START_MS = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - 7_200_000;
const SIGNAL = new AbortController().signal;
const NO_LABELS = { labels: () => ({ subjectKeys: [], addresses: [] }) };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-backtest-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** An hour and a half of a host's life: two scans, and a beacon that a quick beat of ordinary traffic surrounds. */
function recordedLife(): MemoryJournal {
  const journal = new MemoryJournal();
  for (let window = 0; window < 540; window++) {
    const atMs = START_MS + window * WINDOW_MS;
    const records = [
      flowRecord(atMs),
      flowRecord(atMs, { destinationAddress: `10.77.0.${10 + (window % 7)}`, destinationPort: 5432 }),
    ];
    if (window > 60 && window % 6 === 0) {
      records.push(
        flowRecord(atMs, {
          destinationAddress: "203.0.113.7",
          destinationPort: 8443,
          process: { pid: 9, command: "curl" },
        }),
      );
    }
    if (window === 200 || window === 450) records.push(...portScan(atMs, `10.77.0.${window / 10}`));
    journal.write(records);
  }
  return journal;
}

async function foundLive(journal: MemoryJournal): Promise<string[]> {
  const { store } = await FindingStore.open(directory);
  const runner = new AnomalyRunner({
    ...{ hostName: "alpha", clock: systemClock, log: pino({ level: "silent" }), journal, store },
    ...{ modelFile: new ModelFile(directory), settings: USUAL_SETTINGS, isStoreDamaged: false, notices: [] },
  });
  runner.start();
  try {
    await expect.poll(() => runner.figures().windows, { timeout: 240_000 }).toBe(journal.batches.length);
    const { findings } = await runner.list(1_000, "");
    return findings.map(({ id, sentence }) => `${id} ${sentence}`).sort();
  } finally {
    await runner.close();
  }
}

it("finds the same in the same records, however they are cut into pieces", { timeout: 240_000 }, async () => {
  const journal = recordedLife();
  const live = await foundLive(journal);
  expect(live.length).toBeGreaterThanOrEqual(3);

  const history = new MemoryHistory();
  const { journalId } = journal;
  await history.ingest([{ hostId: "local", hostName: "alpha", journalId, batches: journal.batches }]);
  const untilMs = START_MS + 540 * WINDOW_MS;
  const loud = { ...USUAL_SETTINGS, disabled: ["port-scan"] as const };
  const run = new BacktestRun({ sinceMs: START_MS, untilMs }, [USUAL_SETTINGS, loud], nextTurn);
  for await (const records of history.replay(EVERYTHING, NO_LABELS, SIGNAL)) {
    // In the order of the store and not of the windows, in pieces that end within a window.
    for (let from = 0; from < records.length; from += 37) await run.take(records.slice(from, from + 37), SIGNAL);
  }
  const [first, other] = await run.finish();
  expect(first?.findings.map(({ id, sentence }) => `${id} ${sentence}`).sort()).toEqual(live);
  expect(first?.findingCount).toBe(live.length);
  const scans = first?.findings.filter(({ detector }) => detector === "port-scan") ?? [];
  expect(scans).toHaveLength(2);
  expect(other?.byDetector.get("port-scan")).toBeUndefined();
  expect([...(first?.findingIds ?? [])].filter((id) => !other?.findingIds.has(id)).sort()).toEqual(
    scans.map(({ id }) => id).sort(),
  );
});
