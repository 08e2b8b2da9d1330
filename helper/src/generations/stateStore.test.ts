/** What is on the disk at every moment of an apply, and what the next start makes of it. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { replaceFile } from "../files/atomicFile.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { FakeEnforcer, FakeKernel } from "../testing/fakeEnforcer.ts";
import { FakeEngine, fakeProgram } from "../testing/fakeEngine.ts";
import { GenerationContexts } from "./contexts.ts";
import { GenerationController } from "./controller.ts";
import { encodeGeneration } from "./recordCodec.ts";
import { EMPTY_INDEX, GENERATION_ZERO, type StoredGeneration } from "./records.ts";
import { type GenerationDraft, StateStore } from "./stateStore.ts";
import { withoutNames } from "./switching.ts";

let stateDir: string;
let store: StateStore;

beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "wardline-store-"));
  store = new StateStore(stateDir);
  await store.prepareDirectory();
});
afterEach(() => rmSync(stateDir, { recursive: true }));

const stored = (number: number, text = "one"): StoredGeneration => ({
  ...GENERATION_ZERO,
  number,
  programDigest: fakeProgram(text).digest,
  files: [{ path: "a.yaml", text }],
});
const directoryOf = (number: number) => join(stateDir, "generations", String(number));
const filesOf = (number: number) => (existsSync(directoryOf(number)) ? readdirSync(directoryOf(number)) : null);
const leftovers = () => readdirSync(stateDir).filter((name) => name.endsWith(".new"));

describe("a draft of a generation", () => {
  it("has its name only when it is kept, and then it is what was written", async () => {
    const draft = await store.draftGeneration(stored(7));
    expect(filesOf(7)).toEqual(["state.json.new"]);
    await draft.keep();
    expect(filesOf(7)).toEqual(["state.json"]);
    expect(readFileSync(join(directoryOf(7), "state.json"), "utf8")).toBe(encodeGeneration(stored(7)));
    expect(await store.readGeneration(7)).toEqual(stored(7));
  });

  it("is gone when it is not kept", async () => {
    await (await store.draftGeneration(stored(7))).discard();
    expect(filesOf(7)).toBeNull();
  });
});

describe("an index that names a new generation", () => {
  const index = { ...EMPTY_INDEX, nextGeneration: 8, pending: { generation: 7, bootId: "boot", deadlineBootMs: 1 } };

  it("is not there before the generation is", async () => {
    let isKept = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    const draft = await store.draftGeneration(stored(7));
    const late: GenerationDraft = {
      ...draft,
      keep: async () => {
        await promise;
        await draft.keep();
        isKept = true;
      },
    };
    const writing = store.writeIndex(index, late);
    // All that it can do without the generation is done.
    const isPrepared = () => expect(readFileSync(join(stateDir, leftovers()[0] ?? ""), "utf8")).toContain("checksum");
    await vi.waitFor(isPrepared, { timeout: 60_000 });
    expect(await store.readIndex()).toEqual({ kind: "fresh" });
    resolve();
    await writing;
    expect(isKept).toBe(true);
    expect(await store.readIndex()).toEqual({ kind: "read", index });
    expect(leftovers()).toEqual([]);
  });

  it("is not written when the generation is not, and the former one still counts", async () => {
    await store.writeIndex(EMPTY_INDEX);
    const draft = await store.draftGeneration(stored(7));
    rmSync(directoryOf(7), { recursive: true });
    await expect(store.writeIndex(index, draft)).rejects.toThrow("generation 7");
    expect(await store.readIndex()).toEqual({ kind: "read", index: EMPTY_INDEX });
    expect(leftovers()).toEqual([]);
  });

  it("leaves no file behind when what it needs fails first", async () => {
    const path = join(stateDir, "file");
    await replaceFile(path, "old");
    const failing = replaceFile(path, "new".repeat(1_000_000), Promise.reject(new Error("not on disk")));
    await expect(failing).rejects.toThrow("not on disk");
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(leftovers()).toEqual([]);
  });
});

describe("a start after a crash", () => {
  const clock = new FakeClock();
  const OLD = { actor: "root (0)", connectionOrder: 1 };
  const FRESH = { actor: "root (0)", connectionOrder: 2 };
  const accept = async () => {};

  async function start(enforcer: FakeEnforcer): Promise<GenerationController> {
    const controller = new GenerationController({
      enforcer,
      engine: new FakeEngine(),
      contexts: new GenerationContexts(),
      hostName: "alpha",
      store: new StateStore(stateDir),
      clock,
      bootId: "boot",
      newestConnection: () => 1,
      circumstances: async () => withoutNames(clock.wallMs()),
      recordAutomatic: () => {},
    });
    await controller.start();
    return controller;
  }

  async function applyAndConfirm(controller: GenerationController, text: string, base: number): Promise<void> {
    const { pending } = await controller.apply(
      {
        files: [{ path: "a.yaml", text }],
        mode: "enforce",
        expectedProgramDigest: fakeProgram(text).digest,
        baseGeneration: base,
        confirmWithinMs: 10_000,
        reason: "",
      },
      OLD,
      accept,
    );
    await controller.confirm(pending.generation.number, pending.generation.programDigest, FRESH, accept);
  }

  const whole = encodeGeneration(stored(2, "half"));
  /** What a process that ended at that moment has left of generation 2. */
  const CRASHES: Record<string, () => void> = {
    "the directory alone": () => mkdirSync(directoryOf(2)),
    "an empty file": () => leave("state.json.new", ""),
    "half of the file": () => leave("state.json.new", whole.slice(0, whole.length / 2)),
    "the whole file without its name": () => leave("state.json.new", whole),
    "a name without content, as a power cut may leave": () => leave("state.json", ""),
    "the whole file": () => leave("state.json", whole),
    "an index that was not renamed": () => {
      leave("state.json", whole);
      writeFileSync(join(stateDir, "index.json.0123456789ab.new"), "{");
    },
  };
  function leave(name: string, content: string): void {
    mkdirSync(directoryOf(2));
    writeFileSync(join(directoryOf(2), name), content);
  }

  it.each(Object.keys(CRASHES))("comes back to what was confirmed, and applies again: %s", async (crash) => {
    const kernel = new FakeKernel();
    const before = await start(new FakeEnforcer(clock, kernel));
    await applyAndConfirm(before, "one", 0);
    await before.close();
    CRASHES[crash]?.();
    const enforcer = new FakeEnforcer(clock, new FakeKernel());
    const after = await start(enforcer);
    expect(after.enforced.number).toBe(1);
    expect(after.problems).toEqual([]);
    expect(enforcer.deciding()).toBe(1);
    await applyAndConfirm(after, "two", 1);
    expect(after.enforced).toMatchObject({ number: 2, programDigest: fakeProgram("two").digest });
    expect((await store.readGeneration(2)).files).toEqual([{ path: "a.yaml", text: "two" }]);
    await after.close();
  });

  it("finds nothing of an apply whose tables the kernel did not take", async () => {
    const enforcer = new FakeEnforcer(clock, new FakeKernel());
    const controller = await start(enforcer);
    enforcer.prepareFailure = new Error("no");
    await expect(applyAndConfirm(controller, "one", 0)).rejects.toThrow("no");
    expect(filesOf(1)).toBeNull();
    expect(await store.readIndex()).toEqual({ kind: "fresh" });
    await controller.close();
  });
});
