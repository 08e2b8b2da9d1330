/** The audit log over many files: what its limits remove, what crashes leave, and what somebody else removed. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type AuditContent, readCut } from "@wardline/domain/audit";
import { ErrorCode } from "@wardline/domain/errors";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuditLog, type AuditStep } from "./auditLog.ts";
import { type AuditLimits, firstSequenceOf } from "./auditSegments.ts";

const STEPS: readonly AuditStep[] = ["created", "begun", "stated", "removed"];
const DAY_MS = 86_400_000;
const SMALL: AuditLimits = { maxBytes: 4096, maxAgeMs: 1000 * DAY_MS, segmentBytes: 1024 };

let root: string;
let directory: string;
let wallMs: number;
let bootMs: number;
const now = () => wallMs;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "wardline-rotation-"));
  directory = join(root, "audit");
  wallMs = 1_700_000_000_000;
  bootMs = 1_000;
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const entry = (action: string, detail = ""): AuditContent => ({
  ...{ actor: "root (0)", role: "admin", action, argumentDigest: "ab", outcome: "done", detail },
});
const paths = (of = directory) =>
  readdirSync(of)
    .sort()
    .map((name) => join(of, name));
const open = (limits = SMALL, checkpoint: (step: AuditStep) => void = () => {}, of = directory) =>
  AuditLog.open(of, now, () => bootMs, { limits, checkpoint });

/** All that is there, oldest first, by pages as a mirror follows. */
async function everything(log: AuditLog) {
  const first = await log.list({ limit: 7, after: 0 });
  const entries = [...first.entries];
  for (let page = first; page.entries.length > 0; ) {
    page = await log.list({ limit: 7, after: entries.at(-1)?.sequence ?? 0 });
    entries.push(...page.entries);
  }
  return { ...first, entries };
}

async function writeMany(count: number, limits = SMALL): Promise<AuditLog> {
  const log = await open(limits);
  for (let index = 1; index <= count; index += 1) await log.append(entry(`act-${index}`));
  return log;
}

describe("the files of the audit log", () => {
  it("stay within the limit of size; what was removed is stated, and both ways to read see one chain", async () => {
    const log = await writeMany(60);
    const { entries, chainValid, firstSequence, lastSequence } = await everything(log);
    expect(chainValid).toBe(true);
    expect(paths().length).toBeGreaterThan(2);
    const sizes = paths().map((path) => statSync(path).size);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(SMALL.segmentBytes);
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(SMALL.maxBytes);
    expect(entries.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: lastSequence - firstSequence + 1 }, (_, index) => firstSequence + index),
    );
    expect(entries.findLast((one) => readCut(one))).toMatchObject({
      argumentDigest: entries[0]?.previousHash,
      detail: expect.stringMatching(new RegExp(`to ${firstSequence - 1} were removed: the log has reached its limit`)),
    });
    const newest = await log.list({ limit: 5 });
    expect(newest.entries).toEqual(entries.slice(-5).reverse());
    const older = await log.list({ limit: 20, before: newest.entries[4]?.sequence ?? 0 });
    expect(older.entries).toEqual(entries.slice(0, -5).slice(-20).reverse());
    expect(older.firstSequence).toBe(firstSequence);
    await log.close();
    const again = await open();
    expect((await again.list({ limit: 1 })).chainValid).toBe(true);
    expect(again.problems).toEqual([]);
    await again.close();
  });

  it("stay within it after every entry, also where the statement itself begins a file", async () => {
    const log = await open();
    for (let index = 0; index < 60; index += 1) {
      await log.append(entry(`act-${index}`, "x".repeat((index * 97) % 650)));
      const bytes = paths().reduce((sum, path) => sum + statSync(path).size, 0);
      expect([index, bytes <= SMALL.maxBytes, bytes]).toEqual([index, true, bytes]);
    }
    expect((await everything(log)).chainValid).toBe(true);
    await log.close();
  });

  it("are removed when all in them is too old, one an hour, so that a wrong clock does not take the log", async () => {
    const limits = { ...SMALL, maxBytes: 2 ** 30, maxAgeMs: 30 * DAY_MS };
    const log = await writeMany(12, limits);
    const [oldest] = paths();
    expect(paths().length).toBeGreaterThan(3);
    wallMs += 31 * DAY_MS;
    await log.append(entry("late"));
    await log.append(entry("late"));
    expect(paths()[0]).toBe(oldest);
    wallMs += 3_600_000;
    bootMs += 3_600_000;
    await log.append(entry("later"));
    await log.append(entry("later"));
    const { entries, chainValid } = await everything(log);
    expect(entries.filter((one) => readCut(one)).map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/^entries 1 to \d+ were removed: they are older than 30 days$/),
    ]);
    expect(chainValid).toBe(true);
    const [second] = paths();
    await log.tick();
    expect(paths()[0]).toBe(second);
    bootMs += 3_600_000;
    await log.tick();
    expect(paths()).not.toContain(second);
    await log.close();
  });

  it("are removed for their age only after it is said that the clock was set, on a host where nothing happens too", async () => {
    const log = await writeMany(12, { ...SMALL, maxBytes: 2 ** 30, maxAgeMs: 30 * DAY_MS });
    const [oldest] = paths();
    bootMs += 3_600_000;
    wallMs += 31 * DAY_MS;
    await log.tick();
    expect(paths()).not.toContain(oldest);
    const { entries, chainValid } = await everything(log);
    expect(chainValid).toBe(true);
    const [jump, cut] = entries.slice(-2);
    expect(jump).toMatchObject({ action: "clock.jump", detail: expect.stringContaining("set forward") });
    expect(cut && readCut(cut)).toBeTruthy();
    await log.close();
  });

  it("are tried again when they cannot be removed, and stated once", async () => {
    const log = await writeMany(24, { ...SMALL, maxBytes: 16_384, segmentBytes: 4096 });
    const [oldest = ""] = paths();
    rmSync(oldest);
    mkdirSync(oldest);
    for (let count = 0; count < 40; count += 1) await log.append(entry("more"));
    expect(paths()[0]).toBe(oldest);
    const lines = paths()
      .slice(1)
      .flatMap((path) => readFileSync(path, "utf8").trim().split("\n"));
    const stated = lines.filter((line) => line.includes('"audit.cut"')).map((line) => JSON.parse(line).argumentDigest);
    expect(stated.length).toBeGreaterThan(0);
    expect(new Set(stated).size).toBe(stated.length);
    rmSync(oldest, { recursive: true });
    await log.append(entry("last"));
    expect((await everything(log)).chainValid).toBe(true);
    await log.close();
  });

  it("are read whole, each entry once, also while many of them are removed under the reader's hands", async () => {
    await (await writeMany(120, { ...SMALL, maxBytes: 2 ** 30 })).close();
    const log = await open();
    await log.list({ limit: 1 });
    const reading = Promise.all([log.list({ limit: 1000, after: 0 }), log.list({ limit: 1000 })]);
    await new Promise((resolve) => setImmediate(resolve));
    await log.append(entry("the removal is due"));
    const [oldestFirst, newestFirst] = await reading;
    for (const { entries, chainValid, firstSequence, lastSequence } of [
      oldestFirst,
      { ...newestFirst, entries: newestFirst.entries.toReversed() },
    ]) {
      expect(chainValid).toBe(true);
      const whole = Array.from({ length: lastSequence - firstSequence + 1 }, (_, index) => firstSequence + index);
      expect(entries.map(({ sequence }) => sequence)).toEqual(whole);
    }
    await log.close();
  });

  it("take in the single file of before", async () => {
    const log = await writeMany(2, { ...SMALL, segmentBytes: 2 ** 20 });
    await log.close();
    const [path = ""] = paths();
    renameSync(path, `${directory}.ndjson`);
    rmSync(directory, { recursive: true });
    const next = await open();
    await next.append(entry("c"));
    const { entries, chainValid } = await everything(next);
    expect([chainValid, entries.map(({ action }) => action)]).toEqual([true, ["act-1", "act-2", "c"]]);
    expect(readdirSync(root)).toEqual(["audit"]);
    await next.close();
  });

  it("keep and state what an older agent wrote beside them, when it was started once more in between", async () => {
    await (await writeMany(2)).close();
    const stray = '{"sequence":1,"action":"apply"}\n';
    writeFileSync(`${directory}.ndjson`, stray);
    for (let start = 0; start < 2; start += 1) {
      const log = await open();
      const { entries, chainValid } = await everything(log);
      expect([chainValid, entries.map(({ action }) => action)]).toEqual([true, ["act-1", "act-2", "audit.aside"]]);
      const digest = createHash("sha256").update(stray).digest("hex");
      const name = `aside-${digest.slice(0, 16)}.ndjson`;
      expect(entries[2]).toMatchObject({ argumentDigest: digest, detail: expect.stringContaining(name) });
      expect(readFileSync(join(directory, name), "utf8")).toBe(stray);
      expect(readdirSync(root)).toEqual(["audit"]);
      await log.close();
    }
  });

  it.each([
    ["the oldest file is gone", 0, 0, ([oldest = ""]) => rmSync(oldest)],
    ["a file in the middle is gone", 1, 0, ([, middle = ""]) => rmSync(middle)],
    ["a middle file was changed", 1, 0, ([, middle = ""]) => change(middle, (text) => text.replace("root", "ruth"))],
    [
      "a middle file has lost its end",
      2,
      -1,
      ([, middle = ""]) => change(middle, (text) => text.replace(/[^\n]+\n$/, "")),
    ],
    ["a middle file is empty", 1, 0, ([, middle = ""]) => writeFileSync(middle, "")],
    ["two files changed their names", 0, 0, ([oldest = "", middle = ""]) => swap(oldest, middle)],
  ] as [string, number, number, (all: string[]) => void][])(
    "are not taken for whole when %s, by the agent that runs and by the next",
    async (_name, fileAt, offset, harm) => {
      const log = await writeMany(60);
      expect((await everything(log)).chainValid).toBe(true);
      const brokenAtSequence = firstSequenceOf(paths()[fileAt] ?? "") + offset;
      harm(paths());
      const found = await everything(log);
      expect(found).toMatchObject({ chainValid: false, brokenAtSequence });
      expect((await log.list({ limit: 1000 })).entries.toReversed()).toEqual(found.entries);
      await log.close();
      const next = await open();
      await expect.poll(() => next.problems).toEqual([expect.stringContaining(`entry ${brokenAtSequence} `)]);
      await next.close();
    },
  );

  it("say that they were touched when the limits remove them before anybody has looked", async () => {
    const log = await writeMany(10);
    const [oldest = ""] = paths();
    change(oldest, (text) => text.replace("root", "ruth"));
    for (let index = 0; index < 20; index += 1) await log.append(entry("more"));
    expect(paths()).not.toContain(oldest);
    const statements = paths().flatMap((path) => readFileSync(path, "utf8").match(/to \d+ were removed: [^"]*/g) ?? []);
    expect(statements).toContainEqual(expect.stringMatching(/; entry 1 was changed or missing$/));
    expect(log.problems).toEqual([expect.stringContaining("entry 1 ")]);
    await log.close();
  });

  it("hold after a crash at any step every entry that was taken, and only stated ones are missing", {
    timeout: 30_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 4, maxLength: 14 }),
        fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 2 }),
        async (lengths, restarts) => {
          rmSync(root, { recursive: true, force: true });
          const taken: string[] = [];
          const crashed: { readonly step: AuditStep; readonly of: string; readonly taken: readonly string[] }[] = [];
          const record = (step: AuditStep) => {
            const of = join(root, `crash-${crashed.length}`);
            cpSync(directory, of, { recursive: true });
            crashed.push({ step, of, taken: [...taken] });
          };
          let log = await open(SMALL, record);
          for (const [index, length] of lengths.entries()) {
            if (restarts.includes(index)) {
              await log.close();
              log = await open(SMALL, record);
            }
            await log.append(entry(`act-${index}`, "x".repeat(length)));
            taken.push(`act-${index}`);
          }
          await log.close();
          for (const { of, taken: before, step } of crashed) {
            const survivor = await open(SMALL, undefined, of);
            await survivor.append(entry("after"));
            const { entries, chainValid } = await everything(survivor);
            const actions = entries.map(({ action }) => action).filter((action) => action.startsWith("act-"));
            expect([step, chainValid, survivor.problems]).toEqual([step, true, []]);
            const oldest = before.indexOf(actions[0] ?? "");
            const missing = before.slice(0, oldest < 0 ? before.length : oldest);
            const kept = before.slice(missing.length);
            // One more may be there that was on its way.
            expect(actions.slice(0, kept.length)).toEqual(kept);
            if (missing.length > 0) expect(entries.some((one) => readCut(one))).toBe(true);
            expect(entries.at(-1)?.action).toMatch(/^after$|^audit\.cut$/);
            await survivor.close();
          }
        },
      ),
      { numRuns: 6 },
    );
  });

  it.each(STEPS.flatMap((step) => [0, 2].map((passes) => [step, passes] as const)))(
    "survive kill -9 at '%s' after %i times",
    async (step, passes) => {
      const main = fileURLToPath(new URL("../testing/killedAuditMain.ts", import.meta.url));
      const dying = spawnSync(process.execPath, [main, directory, step, String(passes)], { encoding: "utf8" });
      expect(dying.signal, dying.stderr).toBe("SIGKILL");
      const taken = dying.stdout.trim().split("\n");
      wallMs = Date.now();
      const log = await open();
      await log.append(entry("after"));
      const { entries, chainValid } = await everything(log);
      expect([chainValid, log.problems]).toEqual([true, []]);
      const sequences = entries.map(({ sequence }) => sequence);
      expect(sequences.at(-1)).toBe((sequences[0] ?? 0) + sequences.length - 1);
      const actions = entries.map(({ action }) => action);
      const oldest = actions.find((action) => action.startsWith("act-")) ?? "";
      for (const action of taken.slice(Math.max(0, taken.indexOf(oldest)))) expect(actions).toContain(action);
      if (oldest !== "act-1") expect(entries.some((one) => readCut(one))).toBe(true);
      await log.close();
    },
  );
});

const problem = process.platform !== "linux" ? "needs Linux" : process.geteuid?.() !== 0 ? "needs root" : null;

describe.skipIf(problem)(`the files of the audit log on a full disk${problem ? ` (${problem})` : ""}`, () => {
  beforeEach(() => execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "wardline-test", root]));
  afterEach(() => execFileSync("umount", [root]));

  it("refuse an entry that would begin a new one, leave nothing of it, and take it when there is space", async () => {
    const ballast = join(root, "ballast");
    const log = await open();
    for (const act of ["a", "b"]) await log.append(entry(act, "x".repeat(400)));
    const before = paths();
    for (let size = 256 * 1024; ; size -= 4096) {
      try {
        writeFileSync(ballast, Buffer.alloc(size));
        break;
      } catch {}
    }
    for (let attempt = 0; attempt < 3; attempt += 1)
      await expect(log.append(entry("c", "x".repeat(400)))).rejects.toMatchObject({ code: ErrorCode.DISK_FULL });
    expect(paths()).toEqual(before);
    expect(await log.list({ limit: 10 })).toMatchObject({ chainValid: true, lastSequence: 2 });
    await log.record(entry("d", "x".repeat(400)));
    expect(log.problems).toEqual([expect.stringContaining("1 audit entries could not be written")]);
    rmSync(ballast);
    await log.append(entry("e", "x".repeat(400)));
    const { entries, chainValid } = await everything(log);
    expect([chainValid, entries.map(({ action }) => action)]).toEqual([true, ["a", "b", "d", "e"]]);
    expect(log.problems).toEqual([]);
    await log.close();
  });
});

function change(path: string, edit: (text: string) => string): void {
  writeFileSync(path, edit(readFileSync(path, "utf8")));
}

function swap(a: string, b: string): void {
  renameSync(a, `${a}.other`);
  renameSync(b, a);
  renameSync(`${a}.other`, b);
}
