import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditContent } from "@wardline/domain/audit";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuditTrail } from "./audited.ts";
import { AuditLog } from "./auditLog.ts";
import { segmentPath } from "./auditSegments.ts";

let directory: string;
/** Of the only file. */
let path: string;
let wallMs = 1_700_000_000_000;
const now = () => wallMs;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-audit-"));
  path = segmentPath(directory, 1);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function entry(action: string): AuditContent {
  return { actor: "root (0)", role: "admin", action, argumentDigest: "ab", outcome: "done", detail: "" };
}

async function write(...actions: string[]): Promise<void> {
  const log = await AuditLog.open(directory, now);
  for (const action of actions) await log.append(entry(action));
  await log.close();
}

describe("AuditLog", () => {
  it("chains entries over restarts and lists the newest first", async () => {
    await write("a", "b");
    await write("c");
    const log = await AuditLog.open(directory, now);
    const page = await log.list({ limit: 2 });
    expect(page).toMatchObject({ chainValid: true, brokenAtSequence: 0 });
    expect(page.entries.map(({ sequence, action }) => [sequence, action])).toEqual([
      [3, "c"],
      [2, "b"],
    ]);
    expect((await log.list({ limit: 10, before: 2 })).entries.map(({ action }) => action)).toEqual(["a"]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await log.close();
  });

  it("gives pages oldest first from any entry, so that a mirror can follow", async () => {
    await write("a", "b", "c", "d");
    const log = await AuditLog.open(directory, now);
    const pageAfter = async (after: number) => {
      const { entries, lastSequence } = await log.list({ limit: 2, after });
      return [entries.map(({ action }) => action), lastSequence];
    };
    expect(await pageAfter(0)).toEqual([["a", "b"], 4]);
    expect(await pageAfter(3)).toEqual([["d"], 4]);
    expect(await pageAfter(9)).toEqual([[], 4]);
    await log.close();
  });

  it("marks every place where somebody set the wall clock, and no other", async () => {
    let bootMs = 1_000;
    const log = await AuditLog.open(directory, now, () => bootMs);
    const step = async (action: string, elapsedMs: number, jumpMs: number) => {
      bootMs += elapsedMs;
      wallMs += elapsedMs + jumpMs;
      await log.append(entry(action));
    };
    await step("first", 5_000, 0);
    await step("suspended for a day", 86_400_000, 0);
    await step("drift", 60_000, 900);
    await step("forward", 1_000, 3_600_000);
    await step("back", 1_000, -7_200_000);
    const { entries, chainValid } = await log.list({ limit: 20 });
    expect(entries.toReversed().map(({ action, detail }) => (action === "clock.jump" ? detail : action))).toEqual([
      "first",
      "suspended for a day",
      "drift",
      "the wall clock was set forward by 3600.0 s since the entry before",
      "forward",
      "the wall clock was set back by 7200.0 s since the entry before",
      "back",
    ]);
    expect(chainValid).toBe(true);
    await log.close();
  });

  it.each([
    [
      "changed",
      (lines: string[]) => lines.map((line, position) => (position === 1 ? line.replace('"b"', '"x"') : line)),
      2,
    ],
    ["removed", (lines: string[]) => lines.filter((_, position) => position !== 1), 2],
    ["swapped", ([a = "", b = "", c = ""]: string[]) => [b, a, c], 1],
    ["no JSON", (lines: string[]) => lines.map((line, position) => (position === 2 ? "garbage" : line)), 3],
  ])("names the first entry that does not fit when one was %s", async (_name, change, brokenAt) => {
    await write("a", "b", "c");
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    writeFileSync(path, `${change(lines).join("\n")}\n`);
    const log = await AuditLog.open(directory, now);
    expect(log.problems).toEqual([expect.stringContaining(`entry ${brokenAt} `)]);
    await log.append(entry("d"));
    expect(await log.list({ limit: 10 })).toMatchObject({ chainValid: false, brokenAtSequence: brokenAt });
    await log.close();
  });

  it("writes nothing behind an entry that failed and that a broken disk does not take back", async () => {
    const log = await AuditLog.open(directory, now);
    await log.append(entry("one"));
    const handle = await open(process.execPath, "r");
    const prototype = Object.getPrototypeOf(handle) as typeof handle;
    await handle.close();
    const { datasync, truncate } = prototype;
    const refuse = async () => {
      throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
    };
    // The entry is in the file, and neither stays for certain nor goes.
    prototype.datasync = refuse;
    prototype.truncate = refuse;
    try {
      await expect(log.append(entry("two"))).rejects.toThrow("EIO");
      prototype.datasync = datasync;
      await expect(log.append(entry("three"))).rejects.toThrow("EIO");
    } finally {
      prototype.datasync = datasync;
      prototype.truncate = truncate;
    }
    await log.append(entry("four"));
    const page = await log.list({ limit: 10 });
    expect([page.chainValid, page.entries.map(({ action }) => action)]).toEqual([true, ["four", "one"]]);
    await log.close();
    const again = await AuditLog.open(directory, now);
    expect((await again.list({ limit: 10 })).chainValid).toBe(true);
    await again.close();
  });

  it("cuts off an entry that a crash left unfinished, and says so", async () => {
    await write("a", "b");
    appendFileSync(path, '{"sequence":3,"ti');
    const log = await AuditLog.open(directory, now);
    const page = await log.list({ limit: 10 });
    expect(page.chainValid).toBe(true);
    expect(page.entries[0]).toMatchObject({
      sequence: 3,
      action: "audit.repair",
      detail: expect.stringContaining("17 bytes"),
    });
    await log.close();
  });

  it.each([
    ["in the middle", "\n", false],
    ["at the end", "", true],
  ])("opens although something endless was written %s, and says so", async (_place, end, isValid) => {
    await write("a");
    appendFileSync(path, "x".repeat(300_000) + end);
    const first = await AuditLog.open(directory, now);
    expect(first.problems).toEqual([expect.stringContaining("entry 2 ")]);
    await first.append(entry("b"));
    await first.close();
    const log = await AuditLog.open(directory, now);
    const page = await log.list({ limit: 10 });
    expect(page.chainValid).toBe(isValid);
    expect(page.entries[0]?.action).toBe("b");
    await log.close();
  });

  it("notices that the file was cut under its hands", async () => {
    const log = await AuditLog.open(directory, now);
    await log.append(entry("a"));
    await log.append(entry("b"));
    truncateSync(path, statSync(path).size - 10);
    expect(await log.list({ limit: 10 })).toMatchObject({ chainValid: false, brokenAtSequence: 2 });
    await log.close();
  });
});

describe("AuditTrail", () => {
  const subject = { actor: "eve (1000)", role: "viewer", action: "apply", argumentDigest: "" } as const;

  it("writes what was refused, but not without end", async () => {
    const log = await AuditLog.open(directory, now);
    const trail = new AuditTrail(log, now);
    const refusal = new Failure({ code: ErrorCode.PERMISSION_DENIED, message: "no" });
    for (let attempt = 0; attempt < 40; attempt += 1) {
      await expect(trail.around(subject, "", async () => Promise.reject(refusal))).rejects.toBe(refusal);
    }
    expect((await log.list({ limit: 100 })).entries).toHaveLength(30);
    wallMs += 60_000;
    await trail.refused(subject, "again");
    expect((await log.list({ limit: 1 })).entries[0]?.detail).toBe("again (and 10 more refusals without an entry)");
    await log.close();
  });

  it("writes an entry before the effect and one after it", async () => {
    const log = await AuditLog.open(directory, now);
    const trail = new AuditTrail(log, now);
    const before = await trail.around(subject, "x", async (accept) => {
      await accept();
      return (await log.list({ limit: 10 })).entries.map(({ outcome }) => outcome);
    });
    expect(before).toEqual(["started"]);
    const failing = trail.around(subject, "x", async (accept) => {
      await accept();
      throw new Error("broken");
    });
    await expect(failing).rejects.toThrow("broken");
    expect((await log.list({ limit: 10 })).entries.map(({ outcome }) => outcome)).toEqual([
      "failed",
      "started",
      "done",
      "started",
    ]);
    await log.close();
  });
});
