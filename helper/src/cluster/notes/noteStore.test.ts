import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode } from "@wardline/domain/errors";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Keys } from "../keys.ts";
import type { HeldTerm } from "../ports.ts";
import { EmbeddedStore } from "../store/embeddedStore.ts";
import { MAX_DOCUMENTS, MAX_KEPT_UPDATES, NoteStore } from "./noteStore.ts";

const keys = new Keys();
const LEADER = { key: keys.leader, target: "value", operator: "=" } as const;
let directory: string;
let store: EmbeddedStore;
let notes: NoteStore;
let term: HeldTerm;

async function lead(name: string): Promise<HeldTerm> {
  const value = Buffer.from(name);
  await store.transact({ compare: [], then: [{ kind: "put", key: keys.leader, value }] });
  return { number: 1n, fence: [{ ...LEADER, value }], signal: new AbortController().signal };
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "wardline-notes-"));
  store = EmbeddedStore.open({ path: join(directory, "store.sqlite"), log: pino({ level: "silent" }) });
  notes = new NoteStore({ store, keys });
  term = await lead("a");
});

afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

const bytes = (text: string) => Buffer.from(text);
const push = (text: string, replacesUpTo = 0n, document = "hosts") =>
  notes.push(document, bytes(text), replacesUpTo, term);

async function kept(document = "hosts"): Promise<string[]> {
  const { items } = await store.range(keys.notesOf(document));
  return items.map(({ key, value }) => `${BigInt(key.slice(-20))}:${Buffer.from(value)}`);
}

describe("NoteStore", () => {
  it("numbers updates in their order, also when many come at once, and never twice", async () => {
    const numbers = await Promise.all(["a", "b", "c", "d", "e"].map((text) => push(text)));
    expect(numbers.map(({ number }) => number).sort()).toEqual([1n, 2n, 3n, 4n, 5n]);
    expect(await kept()).toHaveLength(5);
  });

  it("puts a merged update in the place of those that it holds, and of no other", async () => {
    for (const text of ["a", "b", "c"]) await push(text);
    expect(await push("ab", 2n)).toEqual({ number: 4n, kept: 2 });
    expect(await kept()).toEqual(["3:c", "4:ab"]);
    expect(await push("all", 4n)).toEqual({ number: 5n, kept: 1 });
    expect(await push("x")).toEqual({ number: 6n, kept: 2 });
  });

  it("replaces more than one transaction takes", async () => {
    for (let count = 0; count < 250; count += 1) await push("x");
    expect(await push("all", 250n)).toEqual({ number: 251n, kept: 1 });
    expect(await kept()).toEqual(["251:all"]);
  });

  it("refuses to replace what was never given", async () => {
    await push("a");
    await expect(push("b", 2n)).rejects.toMatchObject({ code: ErrorCode.VERSION_CONFLICT });
    expect(await kept()).toEqual(["1:a"]);
  });

  it("writes nothing for a leader that another one has followed", async () => {
    const old = term;
    await lead("b");
    const late = notes.push("hosts", bytes("a"), 0n, old);
    await expect(late).rejects.toMatchObject({ code: ErrorCode.VERSION_CONFLICT });
    expect(await kept()).toEqual([]);
    const over = { ...old, signal: AbortSignal.abort() };
    await expect(notes.push("hosts", bytes("a"), 0n, over)).rejects.toMatchObject({ code: ErrorCode.NOT_LEADER });
  });

  it("keeps at most 500 updates and 1 MiB of a document, and 16 documents", async () => {
    for (let count = 0; count < MAX_KEPT_UPDATES; count += 1) await push("x");
    await expect(push("x")).rejects.toMatchObject({
      code: ErrorCode.TOO_LARGE,
      hint: expect.stringContaining("Merge"),
    });
    expect(await push("merged", 100n)).toMatchObject({ kept: 401 });
    const large = "x".repeat(64 * 1024);
    for (let count = 0; count < 16; count += 1) await push(large, 0n, "views");
    await expect(push("x", 0n, "views")).rejects.toMatchObject({ message: expect.stringContaining("1048577 bytes") });
    for (let count = 2; count < MAX_DOCUMENTS; count += 1) await push("x", 0n, "a".repeat(count));
    await expect(push("x", 0n, "more")).rejects.toMatchObject({ message: expect.stringContaining("16 documents") });
    await expect(push("x", 0n, "views")).rejects.toMatchObject({ message: expect.stringContaining("bytes") });
  });

  it("shows everything at once, then what is new", async () => {
    await push("a");
    const ended = new AbortController();
    const seen: string[] = [];
    for await (const { updates, upTo } of notes.watch("hosts", ended.signal)) {
      seen.push(`${updates.map((update) => Buffer.from(update)).join("+")} up to ${upTo}`);
      if (seen.length === 1) await push("b");
      if (seen.length === 2) await push("ab", 2n);
      if (seen.length === 3) ended.abort();
    }
    expect(seen).toEqual(["a up to 1", "b up to 2", "ab up to 3"]);
  });
});
