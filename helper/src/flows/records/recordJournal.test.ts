import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FlowRecordBatch } from "@wardline/api/wardline/v1/flow_record";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { recordGroup } from "../../testing/recordGroup.ts";
import { decodeBatch } from "./batchBytes.ts";
import type { RecordGroup } from "./journalQueue.ts";
import { type JournalOptions, RecordJournal } from "./recordJournal.ts";

const START_MS = 1_800_000_000_000;

let base: string;
let nowMs: number;
let journals: RecordJournal[];
beforeEach(() => {
  // Thousands of small synced files: not on a disk where there is memory.
  base = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "wardline-journal-"));
  nowMs = START_MS;
  journals = [];
});
afterEach(async () => {
  for (const journal of journals) await journal.close();
  rmSync(base, { recursive: true, force: true });
});

const at = (name: string) => join(base, name);

async function openJournal(directory: string, over: Partial<JournalOptions> = {}): Promise<RecordJournal> {
  const journal = await RecordJournal.open({
    ...{ directory, maxBytes: 8 << 20, maxAgeMs: 1e12 },
    wallMs: () => nowMs,
    ...over,
  });
  journals.push(journal);
  return journal;
}

function group(names: readonly string[], over: Partial<RecordGroup> = {}): RecordGroup {
  nowMs += 10_000;
  return recordGroup(names, nowMs, over);
}

async function readAll(journal: RecordJournal, after = 0n): Promise<FlowRecordBatch[]> {
  const found: FlowRecordBatch[] = [];
  for await (const batches of journal.read(after, new AbortController().signal)) found.push(...batches);
  return found;
}

const said = (batches: readonly FlowRecordBatch[]) =>
  batches.map(({ sequence, records }) => `${sequence} ${records.map(({ sourceName }) => sourceName).join()}`);

const segmentsIn = (directory: string) =>
  readdirSync(directory)
    .filter((name) => name.endsWith(".records"))
    .sort();

describe("the journal", { timeout: 60_000 }, () => {
  it("numbers batches without a gap, over restarts, and hands them out from every position", async () => {
    let journal = await openJournal(at("j"));
    expect(journal.state()).toMatchObject({ firstSequence: 0n, lastSequence: 0n, problem: "" });
    const { journalId } = journal.state();
    for (let round = 0; round < 4; round++) {
      await journal.append(group([`a${round}`]));
      await journal.append(group([`b${round}`, `c${round}`, `d${round}`]));
      await journal.close();
      journal = await openJournal(at("j"));
    }
    expect(journal.state()).toMatchObject({ journalId, firstSequence: 1n, lastSequence: 16n });
    const all = said(await readAll(journal));
    expect(all).toEqual(
      [0, 1, 2, 3].flatMap((round) => ["a", "b", "c", "d"].map((name, at) => `${round * 4 + at + 1} ${name}${round}`)),
    );
    for (let after = 0; after <= 16; after++)
      expect(said(await readAll(journal, BigInt(after)))).toEqual(all.slice(after));
    expect(await readAll(journal, 99n)).toEqual([]);
    expect(statSync(at("j")).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(at("j"))) expect(statSync(join(at("j"), name)).mode & 0o777).toBe(0o600);
  });

  it("is whole after a crash at every byte of the last write", async () => {
    const journal = await openJournal(at("j"));
    await journal.append(group(["first"]));
    const [name = ""] = segmentsIn(at("j"));
    const before = statSync(join(at("j"), name)).size;
    copyFileSync(join(at("j"), "head"), at("head"));
    await journal.append(group(["x", "y"]));
    const whole = readFileSync(join(at("j"), name));
    for (let size = before; size <= whole.length; size++) {
      const directory = at(`cut${size}`);
      mkdirSync(directory);
      copyFileSync(at("head"), join(directory, "head"));
      writeFileSync(join(directory, name), whole.subarray(0, size));
      const opened = await openJournal(directory);
      expect(opened.problems).toEqual([]);
      await opened.append(group(["next"]));
      const expected = size < whole.length ? ["1 first", "2 next"] : ["1 first", "2 x", "3 y", "4 next"];
      expect(said(await readAll(opened))).toEqual(expected);
      await opened.close();
      rmSync(directory, { recursive: true });
    }
  });

  it("never hands out a batch that is not what was written, whichever byte is turned over", async () => {
    const journal = await openJournal(at("j"));
    for (const name of ["a", "b", "c", "d"]) await journal.append(group([name]));
    await journal.close();
    const [name = ""] = segmentsIn(at("j"));
    const whole = readFileSync(join(at("j"), name));
    const written = ["1 a", "2 b", "3 c", "4 d"];
    for (let position = 0; position < whole.length; position += 2) {
      const directory = at(`flip${position}`);
      cpSync(at("j"), directory, { recursive: true });
      const bytes = Buffer.from(whole);
      bytes[position] = (bytes[position] ?? 0) ^ (1 << (position % 8));
      writeFileSync(join(directory, name), bytes);
      const opened = await openJournal(directory);
      await opened.append(group(["next"]));
      const found = said(await readAll(opened));
      expect(found.at(-1)).toBe("5 next");
      const kept = found.slice(0, -1);
      expect(kept).toEqual(written.filter((each) => kept.includes(each)));
      // A turned bit of the header takes the file, one of a batch this batch.
      if (position >= 48) expect(kept.length).toBe(3);
      expect(opened.problems.join()).toMatch(/damaged|lost/);
      await opened.close();
      rmSync(directory, { recursive: true });
    }
  });

  it("skips what is damaged behind it, says so, and keeps the damaged file", async () => {
    const journal = await openJournal(at("j"), { maxBytes: 16 * 1024 });
    for (let count = 1; count <= 12; count++) await journal.append(group([`n${count}`]));
    const names = segmentsIn(at("j"));
    expect(names.length).toBeGreaterThan(3);
    const path = join(at("j"), names[1] ?? "");
    const bytes = readFileSync(path);
    bytes[60] = (bytes[60] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const lost = Number.parseInt(names[1] ?? "", 10);
    const all = Array.from({ length: 12 }, (_, at) => `${at + 1} n${at + 1}`);
    expect(said(await readAll(journal))).toEqual(all.filter((_, at) => at + 1 !== lost));
    expect(journal.problems).toEqual([expect.stringContaining("is damaged")]);
    expect(readdirSync(at("j")).filter((name) => name.endsWith(".damaged"))).toEqual([`${names[1]}.damaged`]);
    // Repaired once, it is an ordinary file.
    expect(said(await readAll(journal, BigInt(lost)))).toEqual(all.slice(lost));
    writeFileSync(join(at("j"), names[0] ?? ""), "nothing of a journal");
    expect(said(await readAll(journal)).at(0)).not.toBe("1 n1");
    await journal.append(group(["next"]));
    expect(said(await readAll(journal)).at(-1)).toBe("13 next");
  });

  it("never gives a number twice: not when its newest file is gone, nor its head", async () => {
    const journal = await openJournal(at("j"));
    await journal.append(group(["a", "b", "c"]));
    const { journalId } = journal.state();
    await journal.close();
    cpSync(at("j"), at("headless"), { recursive: true });
    rmSync(join(at("headless"), "head"));
    const [name = ""] = segmentsIn(at("j"));
    rmSync(join(at("j"), name));
    const tailless = await openJournal(at("j"));
    expect(tailless.state()).toMatchObject({ journalId, firstSequence: 4n, lastSequence: 3n });
    expect(tailless.problems.join()).toContain("batches 1 to 3 are not in the journal any more");
    await tailless.append(group(["d"]));
    expect(said(await readAll(tailless))).toEqual(["4 d"]);

    const headless = await openJournal(at("headless"));
    expect(headless.state().journalId).toBe(journalId);
    await headless.append(group(["d"]));
    expect(said(await readAll(headless))).toEqual(["1 a", "2 b", "3 c", "65540 d"]);
    await headless.close();
    rmSync(at("headless"), { recursive: true });
    // With nothing left it is another journal, and says so by its name.
    const fresh = await openJournal(at("headless"));
    expect(fresh.state().journalId).not.toBe(journalId);
    expect(fresh.problems).toEqual([]);
  });

  it("keeps a head that was torn while it was written", async () => {
    const journal = await openJournal(at("j"));
    for (const name of ["a", "b", "c"]) await journal.append(group([name]));
    await journal.close();
    const head = readFileSync(join(at("j"), "head"));
    for (const slot of [0, 1]) {
      const directory = at(`head${slot}`);
      cpSync(at("j"), directory, { recursive: true });
      const torn = Buffer.from(head);
      torn.fill(0, slot * 512 + 20, slot * 512 + 40);
      writeFileSync(join(directory, "head"), torn);
      const opened = await openJournal(directory);
      await opened.append(group(["d"]));
      expect(said(await readAll(opened))).toEqual(["1 a", "2 b", "3 c", "4 d"]);
      expect(opened.state().journalId).toBe(journal.state().journalId);
    }
  });

  it("stays within its size and its age, and counts what was removed", async () => {
    const journal = await openJournal(at("j"), { maxBytes: 16 * 1024, maxAgeMs: 3_600_000 });
    for (let count = 1; count <= 200; count++) {
      await journal.append(group([`n${count}`]));
      const files = segmentsIn(at("j")).reduce((sum, name) => sum + statSync(join(at("j"), name)).size, 0);
      expect(files).toBeLessThanOrEqual(16 * 1024);
      expect(journal.state().sizeBytes).toBe(BigInt(files));
    }
    const { firstSequence, lastSequence, removedBatches } = journal.state();
    expect(lastSequence).toBe(200n);
    expect(removedBatches).toBe(firstSequence - 1n);
    expect((await readAll(journal)).length).toBe(Number(200n - removedBatches));
    nowMs += 3_700_000;
    await journal.tick();
    expect(journal.state()).toMatchObject({ firstSequence: 201n, lastSequence: 200n, removedBatches: 200n });
    await journal.append(group(["next"]));
    expect(said(await readAll(journal, 5n))).toEqual(["201 next"]);
    await journal.close();
    expect((await openJournal(at("j"))).state()).toMatchObject({ removedBatches: 200n, firstSequence: 201n });
  });

  it("lets readers of every pace see each batch once while it is written and its old files go", async () => {
    const journal = await openJournal(at("j"), { maxBytes: 32 * 1024 });
    let isWriting = true;
    const readers = Array.from({ length: 8 }, async (_, pace) => {
      const seen: bigint[] = [];
      for (let after = 0n; isWriting || after < journal.state().lastSequence; ) {
        for await (const batches of journal.read(after, new AbortController().signal)) {
          seen.push(...batches.map(({ sequence }) => sequence));
          after = seen.at(-1) ?? after;
          for (let turn = 0; turn < pace; turn++) await new Promise(setImmediate);
        }
        await new Promise(setImmediate);
      }
      return seen;
    });
    for (let count = 1; count <= 150; count++) await journal.append(group([`n${count}`]));
    isWriting = false;
    for (const seen of await Promise.all(readers)) {
      expect(seen).toEqual([...new Set(seen)].sort((left, right) => Number(left - right)));
      expect(seen.at(-1)).toBe(150n);
    }
  });

  it("tells those in its process of each batch, after it is on the disk", async () => {
    const journal = await openJournal(at("j"));
    const heard: string[] = [];
    journal.onBatch((batch) => {
      heard.push(...said([decodeBatch(batch.bytes)]));
      expect(journal.state().lastSequence).toBeGreaterThanOrEqual(batch.sequence);
    });
    await journal.append(group(["a", "b"], { lost: { ringFull: 3n, rateLimited: 0n, notFollowed: 1n } }));
    expect(heard).toEqual(["1 a", "2 b"]);
    const [first, second] = await readAll(journal);
    expect(first?.lost).toMatchObject({ ringFull: 3n, notFollowed: 1n, readerLag: 0n });
    expect(second?.lost).toBeUndefined();
  });

  it("takes no part of a write that failed for a batch", async () => {
    const journal = await openJournal(at("j"));
    await journal.append(group(["a"]));
    let isRefused = true;
    const prepare = async () => {
      if (isRefused) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    };
    await journal.append(group(["b"], { prepare }));
    expect(journal.state().problem).toMatch(/full/);
    expect(said(await readAll(journal))).toEqual(["1 a"]);
    isRefused = false;
    await journal.append(group(["c"]));
    expect(journal.state().problem).toBe("");
    expect(said(await readAll(journal))).toEqual(["1 a", "2 b", "3 c"]);
  });

  it("starts where nothing can be written, and says why", async () => {
    writeFileSync(at("j"), "a file where the directory should be");
    const journal = await openJournal(at("j"));
    expect(journal.state()).toMatchObject({ journalId: "", lastSequence: 0n });
    expect(journal.problems.join()).toContain("Flow records are not written");
    await journal.append(group(["a"]));
    rmSync(at("j"));
    await journal.tick();
    expect(journal.problems).toEqual([]);
    expect(said(await readAll(journal))).toEqual(["1 a"]);
  });
});

const noTmpfs =
  process.platform === "linux" && process.geteuid?.() === 0 ? null : "needs root on Linux to mount a file system";

describe.skipIf(noTmpfs !== null)(`the journal on a full disk${noTmpfs === null ? "" : ` (${noTmpfs})`}`, () => {
  let disk: string;
  beforeEach(() => {
    disk = mkdtempSync(join(tmpdir(), "wardline-full-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]);
  });
  afterEach(async () => {
    for (const journal of journals) await journal.close();
    execFileSync("umount", [disk]);
    rmSync(disk, { recursive: true });
  });

  it("keeps the newest windows, counts the others, and goes on without a gap when there is room", async () => {
    const problems: string[] = [];
    const onProblem = (problem: string) => problems.push(problem);
    const journal = await openJournal(join(disk, "j"), { queueBytes: 2_000, onProblem });
    await journal.append(group(["a"]));
    writeFileSync(join(disk, "ballast"), "");
    try {
      for (;;) writeFileSync(join(disk, "ballast"), Buffer.alloc(4_096), { flag: "a" });
    } catch (error) {
      expect(error).toMatchObject({ code: "ENOSPC" });
    }
    // Small batches still fit into the last page of the file; then nothing does.
    let count = 0;
    for (; journal.state().problem === ""; count++) await journal.append(group([`w${count}`]));
    const written = journal.state().lastSequence;
    expect(journal.state().problem).toContain("disk");
    for (let more = 0; more < 20; more++) await journal.append(group([`lost${more}`], { events: 7 }));
    expect(journal.state().lastSequence).toBe(written);
    expect(journal.figures.lostEvents).toBeGreaterThan(50);
    expect(problems.join()).toContain("given up");
    truncateSync(join(disk, "ballast"), 0);
    await journal.append(group(["again"]));
    expect(journal.state().problem).toBe("");
    const batches = await readAll(journal);
    expect(batches.map(({ sequence }) => sequence)).toEqual(batches.map((_, at) => BigInt(at + 1)));
    const after = batches.filter(({ sequence }) => sequence > written);
    // The newest were kept, and the first of them says how many events are missing before it.
    expect(said(after).at(-1)).toMatch(/ again$/);
    expect(after[0]?.lost?.readerLag).toBe(BigInt(journal.figures.lostEvents));
    expect(after.slice(1).every(({ lost }) => lost === undefined)).toBe(true);
    await journal.close();
    expect((await openJournal(join(disk, "j"))).problems).toEqual([]);
  });
});
