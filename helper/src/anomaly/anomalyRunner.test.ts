import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { DetectorKind, FeedbackKind, FindingState } from "@wardline/api/wardline/v1/anomaly";
import { USUAL_SETTINGS } from "@wardline/domain/anomaly";
import { ErrorCode } from "@wardline/domain/errors";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../agent/clock.ts";
import { flowRecord, MemoryJournal, portScan, WINDOW_MS } from "../testing/memoryJournal.ts";
import { AnomalyRunner, type RunnerPorts } from "./anomalyRunner.ts";
import { EngineThread } from "./engineThread.ts";
import { FindingStore } from "./findingStore.ts";
import { ModelFile } from "./modelFile.ts";

const START_MS = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - 3_600_000;
const WAIT = { timeout: 15_000, interval: 20 };

let directory: string;
let journal: MemoryJournal;
let running: AnomalyRunner[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-anomaly-"));
  journal = new MemoryJournal();
  running = [];
});
afterEach(async () => {
  for (const runner of running) await runner.close();
  rmSync(directory, { recursive: true });
});

async function start(over: Partial<RunnerPorts> = {}): Promise<AnomalyRunner> {
  const { store, isDamaged, problem } = await FindingStore.open(directory);
  const runner = new AnomalyRunner({
    hostName: "alpha",
    clock: systemClock,
    log: pino({ level: "silent" }),
    journal,
    modelFile: new ModelFile(directory),
    store,
    settings: USUAL_SETTINGS,
    isStoreDamaged: isDamaged,
    notices: problem === "" ? [] : [problem],
    // What is recorded here is of an hour ago: the clock must not run away from it.
    timing: { firstPauseMs: 10, advanceEveryMs: 3_600_000 },
    ...over,
  });
  runner.start();
  running.push(runner);
  return runner;
}

async function end(runner: AnomalyRunner): Promise<void> {
  running = running.filter((each) => each !== runner);
  await runner.close();
}

/** Leaves the disk as a kill would at this moment, and ends what ran on it. */
async function kill(runner: AnomalyRunner): Promise<void> {
  const left = mkdtempSync(join(tmpdir(), "wardline-anomaly-"));
  cpSync(directory, left, { recursive: true });
  await end(runner);
  rmSync(directory, { recursive: true });
  directory = left;
}

/** Windows of ordinary life, the last of them with a scan. */
function liveThenScan(windows = 20, victim = "10.77.0.1"): void {
  const from = START_MS + journal.batches.length * WINDOW_MS;
  for (let window = 0; window < windows; window++) journal.write([flowRecord(from + window * WINDOW_MS)]);
  journal.write(portScan(from + windows * WINDOW_MS, victim));
}

const ids = async (runner: AnomalyRunner) => (await runner.list(1_000, "")).findings.map(({ id }) => id);
const scans = async (runner: AnomalyRunner) =>
  (await runner.list(1_000, "")).findings.flatMap(({ id, detector }) =>
    detector === DetectorKind.PORT_SCAN ? [id] : [],
  );
const problemOf = (runner: AnomalyRunner) => runner.model().status.problem;
const caughtUp = (runner: AnomalyRunner) =>
  expect.poll(() => runner.figures().windows, WAIT).toBeGreaterThanOrEqual(journal.batches.length);

describe("detection on a host", () => {
  it("finds a scan in what is recorded already and in what comes, each once, with its evidence", async () => {
    liveThenScan();
    const runner = await start();
    await expect.poll(() => ids(runner), WAIT).toHaveLength(1);
    const [id = ""] = await ids(runner);
    const whole = await runner.finding(id);
    expect(whole.evidence.length).toBeGreaterThan(0);
    expect(whole.sentence).toMatch(/nmap|ports/);
    expect((await runner.list(10, "")).findings[0]?.evidence).toEqual([]);
    const changes: string[] = [];
    runner.onChange((findings) => changes.push(...(findings ?? []).map((finding) => finding.id)));
    liveThenScan(200, "10.77.0.9");
    await expect.poll(() => ids(runner), WAIT).toHaveLength(2);
    expect(changes).toContain((await ids(runner))[0]);
    expect(problemOf(runner)).toBe("");
  });

  it("finds the same after an orderly end and after a kill, nothing twice", async () => {
    liveThenScan();
    const first = await start();
    await expect.poll(() => ids(first), WAIT).toHaveLength(1);
    const before = await ids(first);
    await end(first);
    expect(statSync(join(directory, "model.json")).mode & 0o777).toBe(0o600);
    const second = await start();
    expect(await ids(second)).toEqual(before);
    journal.write([flowRecord(START_MS + 22 * WINDOW_MS)]);
    await expect.poll(() => second.figures().windows, WAIT).toBe(1);
    await kill(second);
    const third = await start();
    await expect.poll(() => third.figures().windows, WAIT).toBe(1);
    expect(await ids(third)).toEqual(before);
    expect((await third.finding(before[0] ?? "")).evidence.length).toBeGreaterThan(0);
  });

  it("keeps what a person said over a kill, and does not report the like again", async () => {
    liveThenScan();
    const first = await start();
    await expect.poll(() => ids(first), WAIT).toHaveLength(1);
    const [id = ""] = await ids(first);
    const said = await first.feedback(id, { kind: FeedbackKind.NORMAL, actor: "ada (1000)", reason: "our scanner" });
    expect(said.feedback).toMatchObject([{ kind: FeedbackKind.NORMAL, actor: "ada (1000)", reason: "our scanner" }]);
    await kill(first);
    const second = await start();
    await caughtUp(second);
    liveThenScan(200, "10.77.0.9");
    await caughtUp(second);
    expect(await scans(second)).toEqual([id]);
    const { detectors } = second.model().status;
    expect(detectors.reduce((sum, { suppressed }) => sum + Number(suppressed), 0)).toBeGreaterThan(0);
    await second.feedback(id, { kind: FeedbackKind.UNDO, actor: "ada (1000)", reason: "" });
    liveThenScan(200, "10.77.0.17");
    await expect.poll(() => scans(second), WAIT).toHaveLength(2);
  });

  it("moves a damaged model aside, says so, and learns from the journal again", async () => {
    liveThenScan();
    const first = await start();
    await caughtUp(first);
    const before = await ids(first);
    await end(first);
    const path = join(directory, "model.json");
    writeFileSync(path, readFileSync(path, "utf8").replace(/.{20}$/, "x".repeat(20)));
    const second = await start();
    await caughtUp(second);
    expect(problemOf(second)).toMatch(/model of the detectors is damaged: it was moved to .*model\.json\.damaged/);
    expect(existsSync(`${path}.damaged`)).toBe(true);
    expect(await ids(second)).toEqual(before);
  });

  it("keeps what can be read of a damaged store, and finds the rest again", async () => {
    liveThenScan();
    liveThenScan(200, "10.77.0.9");
    const first = await start();
    await caughtUp(first);
    const before = await ids(first);
    expect(before.length).toBe(2);
    await end(first);
    const path = join(directory, "findings.log");
    const bytes = readFileSync(path);
    bytes.fill(0xff, 40, 80);
    writeFileSync(path, bytes);
    const second = await start();
    expect(problemOf(second)).toMatch(/damaged at byte \d+: it was moved to .* 0 findings could be kept/);
    await expect.poll(() => ids(second), WAIT).toEqual(before);
  });

  it("takes a file that a crash has cut off for what it is: no damage", async () => {
    liveThenScan();
    const first = await start();
    await caughtUp(first);
    const [id = ""] = await ids(first);
    await end(first);
    const path = join(directory, "findings.log");
    truncateSync(path, statSync(path).size - 3);
    const second = await start();
    expect(problemOf(second)).toBe("");
    expect(await ids(second)).toEqual([id]);
  });

  it("takes every record that a hostile host or a broken clock can make", async () => {
    const runner = await start();
    const odd = [
      flowRecord(START_MS, { windowSeconds: 0 }),
      flowRecord(START_MS, { windowSeconds: 4_294_967_295, started: 18_446_744_073_709_551_615n }),
      flowRecord(0),
      flowRecord(253_402_300_790_000),
      flowRecord(START_MS, { sourceAddress: "", destinationAddress: "not an address", destinationPort: 4_294_967_295 }),
      flowRecord(START_MS, { protocol: 4_294_967_295, subjectKey: "<script>".repeat(1_000) }),
    ];
    for (const record of odd) journal.write([record]);
    journal.write([]);
    liveThenScan();
    await expect.poll(() => ids(runner), WAIT).not.toEqual([]);
    for (const { sentence, state } of (await runner.list(100, "")).findings) {
      expect(sentence.length).toBeLessThan(1_000);
      expect(state).not.toBe(FindingState.UNSPECIFIED);
    }
  });

  it("learns anew on demand, one training at a time, and refuses what it does not have", async () => {
    liveThenScan();
    const runner = await start();
    await caughtUp(runner);
    const both = await Promise.allSettled([
      runner.train({ days: 0, leaveOutFindings: false }),
      runner.train({ days: 0, leaveOutFindings: false }),
    ]);
    expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(both[1]).toMatchObject({ reason: { code: ErrorCode.ALREADY_EXISTS } });
    expect(runner.model().status.trainedAt).toBeDefined();
    await expect(runner.finding("no such")).rejects.toMatchObject({ code: ErrorCode.NOT_FOUND });
    await expect(runner.list(10, "no such")).rejects.toMatchObject({ code: ErrorCode.NOT_FOUND });
  });

  it("keeps settings over a restart", async () => {
    const first = await start();
    await first.configure({ targetFalseAlarmsPerDay: 2, learningHours: 3, disabled: ["beacon"] });
    await end(first);
    const settings = await new ModelFile(directory).readSettings();
    expect(settings).toEqual({ targetFalseAlarmsPerDay: 2, learningHours: 3, disabled: ["beacon"] });
  });
});

/** A thread in place of the detectors'. */
const threadOf = (source: string) =>
  new EngineThread({
    callWithinMs: 300,
    startWorker: () => new Worker(`const { parentPort: port } = require("worker_threads");\n${source}`, { eval: true }),
  });

const ANSWERS = `
  const status = { state: "untrained", reason: "", trainedAtMs: null, trainedWindows: 0, learnedSinceMs: null,
    excludedWindows: 0, groupHosts: 0, group: "", detectors: [] };
  const results = { open: status, give: undefined, observe: { findings: [], status }, advance: { findings: [], status },
    save: "model", close: undefined };
  let given = 0;`;

describe("detectors that fail", () => {
  it.each([
    ["throw", 'port.on("message", ({ id }) => port.postMessage({ id, problem: "a defect", cpuUs: 1 }));', /a defect/],
    ["never answer", 'port.on("message", () => {});', /did not answer "open"/],
    ["end their thread", 'port.on("message", () => process.exit(3));', /ended with/],
    ["take all memory", 'port.on("message", () => { throw new Error("out of memory"); });', /out of memory/],
  ])("are a problem in the status and nothing else: they %s", async (_name, source, problem) => {
    liveThenScan(1);
    const runner = await start({ thread: threadOf(source) });
    await expect.poll(() => problemOf(runner), WAIT).toMatch(problem);
    expect((await runner.list(10, "")).total).toBe(0);
    await end(runner);
  });

  it("lose the one batch that ends them, after two tries, and go on with the next", async () => {
    liveThenScan(1);
    journal.write([flowRecord(START_MS + 3 * WINDOW_MS)]);
    const source = `${ANSWERS}
      port.on("message", ({ id, name, given: [records] }) => {
        if (name === "give" && records.length === 200) process.exit(1);
        port.postMessage({ id, result: results[name], cpuUs: 1 });
      });`;
    const runner = await start({ thread: threadOf(source) });
    await expect.poll(() => problemOf(runner), WAIT).toMatch(/^Batch 2 of the journal was left out: .* 2 times\.$/);
    await expect.poll(() => runner.figures().windows, WAIT).toBeGreaterThanOrEqual(2);
  });
});
