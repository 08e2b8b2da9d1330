/** What becomes of the embedded store's file: restarts, kills, damage, other owners, full disks. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { ErrorCode } from "@wardline/domain/errors";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../../testing/fakeClock.ts";
import { collect, failureOf, put, textOf } from "../../testing/storeTesting.ts";
import { EmbeddedStore } from "./embeddedStore.ts";

const WRITER = fileURLToPath(new URL("../../testing/embeddedWriterMain.ts", import.meta.url));
const log = pino({ level: "silent" });
const never = new AbortController().signal;

let directory: string;
let path: string;
const opened: EmbeddedStore[] = [];

function open(clock?: FakeClock): EmbeddedStore {
  const store = EmbeddedStore.open({ path, log, ...(clock ? { clock } : {}) });
  opened.push(store);
  return store;
}

const openFailure = (): Promise<ErrorCode> => failureOf((async () => open())());

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-store-"));
  path = join(directory, "cluster", "cluster.db");
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  rmSync(directory, { recursive: true });
});

describe("after a restart", () => {
  it("everything is as it was: contents, revisions, history, what is compacted", async () => {
    const first = open();
    await first.transact({ compare: [], then: [put("/a", "1"), put("/é\u{1f512}", "2")] });
    await first.transact({ compare: [], then: [put("/a", "3"), { kind: "delete", key: "/é\u{1f512}" }] });
    await first.compact(2n);
    await first.close();
    const second = open();
    expect(second.replaced).toBeNull();
    const { items, revision } = await second.range("/");
    expect([items.map(textOf), revision]).toStrictEqual([["3"], 3n]);
    expect(textOf((await second.get("/é\u{1f512}", { revision: 2n })).item)).toBe("2");
    expect(await failureOf(second.get("/a", { revision: 1n }))).toBe(ErrorCode.COMPACTED);
    const watched = collect(second.watch({ prefix: "/", fromRevision: 3n, signal: never }));
    await watched.waitFor((batches) => batches.length === 1);
    expect(watched.batches[0]!.events.map(({ kind }) => kind)).toStrictEqual(["put", "delete"]);
  });

  it("leases live for their full time from then on, whatever the time of day does", async () => {
    const clock = new FakeClock();
    const first = open(clock);
    const lease = await first.grantLease(10_000);
    await first.transact({ compare: [], then: [put("/a", "1", lease.id)] });
    await clock.advance(9_000);
    await first.close();
    clock.wallOffsetMs += 3_600_000;
    const second = open(clock);
    await clock.advance(9_999);
    expect((await second.get("/a")).item).not.toBeNull();
    clock.wallOffsetMs -= 7_200_000;
    await clock.advance(1);
    expect((await second.get("/a")).item).toBeNull();
    expect(await second.renewLease(lease.id)).toBeNull();
  });

  it("belongs to its owner alone", () => {
    open();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory, "cluster")).mode & 0o777).toBe(0o700);
  });
});

it("ends leases at their time by itself, and each in a revision of its own", async () => {
  const clock = new FakeClock();
  const store = open(clock);
  const leases = [await store.grantLease(1000), await store.grantLease(2000)];
  for (const [index, { id }] of leases.entries()) {
    await store.transact({ compare: [], then: [put(`/a${index}`, "", id), put(`/b${index}`, "", id)] });
  }
  const watched = collect(store.watch({ prefix: "/", fromRevision: 4n, signal: never }));
  await clock.advance(1500);
  await watched.waitFor((batches) => batches.length === 1);
  expect(await store.renewLease(leases[1]!.id)).toStrictEqual({ timeToLiveMs: 2000 });
  await clock.advance(1500);
  expect(watched.batches).toHaveLength(1);
  await clock.advance(500);
  await watched.waitFor((batches) => batches.length === 2);
  expect(watched.batches.map(({ events }) => events.map(({ key }) => key))).toStrictEqual([
    ["/a0", "/b0"],
    ["/a1", "/b1"],
  ]);
});

it("keeps nothing of what is deleted and compacted", async () => {
  const store = open();
  for (let number = 0; number < 50; number += 1) await store.transact({ compare: [], then: [put(`/${number}`, "x")] });
  const { revision } = await store.transact({ compare: [], then: [{ kind: "delete-prefix", prefix: "/" }] });
  await store.compact(revision);
  await store.close();
  const database = new DatabaseSync(path);
  expect(database.prepare("SELECT count(*) AS rows FROM versions").get()?.rows).toBe(0);
  database.close();
});

it("keeps every answered write when its process is killed in the middle of others", async () => {
  let seen = 0;
  for (let round = 0; round < 6; round += 1) {
    const child = spawn(process.execPath, ["--no-warnings", WRITER, path], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const target = seen + 20 + round * 13;
    for await (const line of createInterface({ input: child.stdout })) {
      seen = Number(line);
      if (seen >= target) child.kill("SIGKILL");
    }
    await ended;
    const store = open();
    expect(store.replaced).toBeNull();
    const [a, b] = [textOf((await store.get("/a")).item), textOf((await store.get("/b")).item)];
    expect(a).toBe(b);
    expect(Number(a)).toBeGreaterThanOrEqual(seen);
    expect(Number(a)).toBeLessThanOrEqual(seen + 1);
    const { items, revision } = await store.range("/many/");
    expect(items).toHaveLength(Number(a));
    expect(items.every(({ key, value }) => value.length === Number(key.slice(6)) % 5000)).toBe(true);
    expect(revision).toBe(BigInt(Number(a) + 1));
    await store.close();
  }
});

describe("a file that is no good", () => {
  const fill = async (): Promise<void> => {
    const store = open();
    for (let number = 0; number < 40; number += 1) {
      await store.transact({ compare: [], then: [put(`/${number}`, `value ${number} `.repeat(100))] });
    }
    await store.close();
  };
  const spoil = (change: (bytes: Buffer) => Buffer): void => writeFileSync(path, change(readFileSync(path)));

  it.each([
    ["is cut off", (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ["is something else", () => Buffer.from("no database at all ".repeat(500))],
    ["has another header", (bytes: Buffer) => Buffer.concat([Buffer.alloc(100, 7), bytes.subarray(100)])],
    ["has a page of noise", (bytes: Buffer) => Buffer.from(bytes.fill(0xa5, 8192, 12_288))],
    [
      "has one changed letter in a value",
      // Everywhere: what was moved within the file leaves old bytes behind that mean nothing.
      (bytes: Buffer) =>
        Buffer.from(bytes.toString("latin1").replaceAll("value 17 value 17", "value 17 Value 17"), "latin1"),
    ],
  ])("because it %s is moved aside and said to be", async (_why, change) => {
    await fill();
    spoil(change);
    const spoiled = readFileSync(path);
    const store = open();
    expect(store.replaced?.problem).not.toBe("");
    expect(readFileSync(store.replaced!.movedTo)).toStrictEqual(spoiled);
    expect((await store.range("/")).items).toStrictEqual([]);
    await store.transact({ compare: [], then: [put("/a", "1")] });
    await store.close();
    expect(open().replaced).toBeNull();
  });

  it("is left alone when it is another program's, or a later version's", async () => {
    mkdirSync(join(directory, "cluster"));
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE theirs (x)");
    other.close();
    const before = readFileSync(path);
    expect(await openFailure()).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(readFileSync(path)).toStrictEqual(before);
    rmSync(join(directory, "cluster"), { recursive: true });
    await fill();
    const later = new DatabaseSync(path);
    later.exec("PRAGMA user_version = 2");
    later.close();
    expect(await openFailure()).toBe(ErrorCode.VERSION_MISMATCH);
    expect(readdirSync(join(directory, "cluster")).filter((name) => name.includes("damaged"))).toStrictEqual([]);
  });

  it("is refused while another process has it, and free when that one ends", async () => {
    const words = ["--no-warnings", WRITER, path, "idle"];
    const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await new Promise((resolve) => child.stdout.once("data", resolve));
    expect(await openFailure()).toBe(ErrorCode.STORE_UNAVAILABLE);
    child.kill("SIGKILL");
    await ended;
    expect(open().replaced).toBeNull();
  });

  it("is refused where no file can be made", async () => {
    writeFileSync(join(directory, "cluster"), "a file, no directory");
    expect(await openFailure()).toBe(ErrorCode.STORE_UNAVAILABLE);
  });
});

const noMount = process.platform !== "linux" || process.geteuid?.() !== 0 ? "needs root on Linux" : null;

describe.skipIf(noMount !== null)(`on a full disk${noMount ? ` (${noMount})` : ""}`, () => {
  it("refuses writes, changes nothing by them, answers reads, and goes on when there is space", async () => {
    const disk = join(directory, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=400k", "tmpfs", disk]);
    try {
      path = join(disk, "cluster.db");
      const store = open();
      writeFileSync(join(disk, "ballast"), "x".repeat(100_000));
      const lease = await store.grantLease(60_000);
      const write = (number: number) =>
        store.transact({ compare: [], then: [put("/newest", `${number}`), put(`/${number}`, "x".repeat(4000))] });
      let number = 0;
      const refused = await (async () => {
        for (;;) {
          try {
            await write(number + 1);
            number += 1;
          } catch (error) {
            return error;
          }
        }
      })();
      expect(refused).toMatchObject({ code: ErrorCode.STORE_UNAVAILABLE, retryable: true, mayHaveHappened: false });
      expect(number).toBeGreaterThan(3);
      expect(textOf((await store.get("/newest")).item)).toBe(`${number}`);
      expect((await store.range("/")).items).toHaveLength(number + 1);
      expect((await store.get("/")).revision).toBe(BigInt(number + 1));
      expect(await store.renewLease(lease.id)).not.toBeNull();
      rmSync(join(disk, "ballast"));
      await write(number + 1);
      await store.close();
      expect(textOf((await open().get("/newest")).item)).toBe(`${number + 1}`);
      expect(existsSync(path)).toBe(true);
    } finally {
      for (const store of opened.splice(0)) await store.close();
      spawnSync("umount", [disk]);
    }
  });
});
