import { create } from "@bufbuild/protobuf";
import {
  ListDocumentsRequestSchema,
  RollbackDocumentsRequestSchema,
  WatchDocumentsRequestSchema,
  type WatchDocumentsResponse,
} from "@wardline/api/wardline/agent/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  deletionOf,
  LAB_KEYS,
  LabNode,
  type LabNodeOptions,
  LeadOffice,
  policyKey,
  requestOf,
  writeOf,
} from "../../testing/desiredLab.ts";
import { FakeClock } from "../../testing/fakeClock.ts";
import { MemoryClusterStore, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import type { Transaction } from "../store/clusterStore.ts";
import { checkTransaction } from "../store/limits.ts";
import { WRITE_CHECKPOINTS, type WriteCheckpoint } from "./types.ts";

/** `vi.waitFor` alone gives up after a second, which a busy machine may take for anything. */
const PATIENTLY = { timeout: 60_000 } as const;

const ALICE = { actor: "alice" };
const MANY = 150;

/** Refuses what a real store would. */
class LimitedStore extends MemoryClusterStore {
  override transact(transaction: Transaction, ...rest: []) {
    checkTransaction(transaction);
    return super.transact(transaction, ...rest);
  }
}

let clock: FakeClock;
let state: MemoryStoreState;
let office: LeadOffice;
let nodes: LabNode[];

beforeEach(() => {
  clock = new FakeClock();
  state = new MemoryStoreState(clock);
  office = new LeadOffice();
  nodes = [];
});
afterEach(async () => {
  await Promise.all(nodes.map((node) => node.close()));
});

function node(name: string, options: LabNodeOptions = {}): LabNode {
  const made = new LabNode(office, name, new LimitedStore(state), { clock, ...options });
  nodes.push(made);
  return made;
}

/** `count` policies of one port. */
function many(count: number, port: number, baseVersion: bigint, more = "") {
  return Array.from({ length: count }, (_, index) => writeOf(`p${index}`, port, baseVersion, more));
}

const portsOf = (texts: readonly string[]) => [...new Set(texts.map((text) => /port: (\d+)/.exec(text)?.[1]))];

async function portsAt(one: LabNode): Promise<readonly (string | undefined)[]> {
  const { documents } = await one.set.list(create(ListDocumentsRequestSchema, { withTexts: true }));
  return portsOf(documents.map(({ text }) => text));
}

/** What a watch says, put together again. */
class Follower {
  readonly documents = new Map<string, string>();
  readonly heads: bigint[] = [];
  /** Sets of ports that were ever seen together after a whole message. */
  readonly seen: string[] = [];
  snapshots = 0;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(one: LabNode, afterSetNumber = 0n) {
    this.#done = this.#run(one.set.watch(create(WatchDocumentsRequestSchema, { afterSetNumber }), this.#stop.signal));
  }

  close(): Promise<void> {
    this.#stop.abort();
    return this.#done;
  }

  async #run(messages: AsyncIterable<WatchDocumentsResponse>): Promise<void> {
    let sequence = 0n;
    let isPart = false;
    for await (const message of messages) {
      expect(message.sequence).toBe(++sequence);
      if (message.snapshot && !isPart) {
        this.snapshots += 1;
        this.documents.clear();
      }
      isPart = message.snapshot && !message.snapshotComplete;
      for (const { key, text, deleted } of message.documents) {
        if (deleted) this.documents.delete(key);
        else this.documents.set(key, text);
      }
      if (isPart) continue;
      if (message.head) this.heads.push(message.head.setNumber);
      this.seen.push(portsOf([...this.documents.values()]).join());
    }
  }
}

describe("a set that does not fit into one transaction", () => {
  it("is seen whole or not at all by readers, watchers and whoever starts in between", async () => {
    const starters: Promise<unknown>[] = [];
    const seenAtStart: string[] = [];
    const look = async () => {
      const late = new LabNode(office, "late", new LimitedStore(state), { clock });
      starters.push(
        (async () => {
          await vi.waitFor(() => expect(late.replica.state).not.toBeNull(), { ...PATIENTLY, interval: 5 });
          seenAtStart.push((await portsAt(late)).join());
          await late.close();
        })(),
      );
      // Until it has looked, but for those who would wait for the write itself.
      await Promise.race([starters.at(-1), new Promise((resolve) => setTimeout(resolve, 400))]);
    };
    const a = node("a", { checkpoint: look });
    const b = node("b");
    await a.lead.take();
    const follower = new Follower(b);
    await a.set.write(requestOf(many(MANY, 1, 0n)), ALICE);
    // Whoever looked while pieces of the first set came in saw nothing.
    expect(seenAtStart).toContain("");
    await a.set.write(requestOf(many(MANY, 2, 1n)), ALICE);
    await vi.waitFor(() => expect(follower.heads.at(-1)).toBe(2n), PATIENTLY);
    await vi.waitFor(() => expect(state.under(LAB_KEYS.staged)).toEqual([]), PATIENTLY);
    await Promise.all(starters);
    expect(starters.length).toBeGreaterThan(8);
    expect(new Set(seenAtStart)).toEqual(new Set(["", "1", "2"]));
    expect([...new Set(follower.seen)]).toEqual(["", "1", "2"].slice(follower.seen[0] === "" ? 0 : 1));
    expect(await portsAt(a)).toEqual(["2"]);
    expect(state.get(LAB_KEYS.overlay)).toBeNull();
    expect(state.under(LAB_KEYS.documents)).toHaveLength(MANY);
    expect(state.under(LAB_KEYS.history)).toHaveLength(2 * MANY);
    await follower.close();
  });

  it("of 2,000 documents and 8 MiB stays below the limits of the store, and goes back as a whole", async () => {
    const a = node("a");
    await a.lead.take();
    const filler = `# ${'"'.repeat(3_800)}\n`;
    const answer = await a.set.write(requestOf(many(2_000, 1, 0n, filler), { requestId: "big" }), ALICE);
    const deletions = Array.from({ length: 2_000 }, (_, index) => deletionOf(`p${index}`, 1n));
    const { head } = await a.set.write(requestOf(deletions), ALICE);
    expect(head).toMatchObject({ documentCount: 0, changedCount: 2_000, setNumber: 2n });
    expect(head?.changedKeys).toHaveLength(1_000);
    const back = await a.set.rollback(create(RollbackDocumentsRequestSchema, { toSetNumber: 1n }), ALICE);
    expect(back.written).toHaveLength(2_000);
    expect(await portsAt(a)).toEqual(["1"]);
    const again = await a.set.write(requestOf(many(2_000, 1, 0n, filler), { requestId: "big" }), ALICE);
    expect(again).toMatchObject({ head: { setNumber: 1n }, written: { length: 2_000 } });
    expect(again.written).toEqual(answer.written);
  });

  it("deletes as many as it writes", async () => {
    const a = node("a");
    await a.lead.take();
    await a.set.write(requestOf(many(MANY, 1, 0n)), ALICE);
    const deletions = Array.from({ length: MANY }, (_, index) => deletionOf(`p${index}`, 1n));
    const { head } = await a.set.write(requestOf(deletions), ALICE);
    expect(head?.documentCount).toBe(0);
    await vi.waitFor(() => expect(state.get(LAB_KEYS.overlay)).toBeNull(), PATIENTLY);
    const { documents } = await a.set.list(create(ListDocumentsRequestSchema, { withDeleted: true }));
    expect(documents.every(({ deleted, version }) => deleted && version === 2n)).toBe(true);
  });
});

class Crash extends Error {}

describe("a leader that ends in the middle of a large write", () => {
  it.each(WRITE_CHECKPOINTS)("leaves a set whole or not there at all at %s, and the next one goes on", async (step) => {
    let countdown = 1;
    const a = node("a", {
      checkpoint: (at: WriteCheckpoint) => {
        if (at !== step || portsAtHead() !== "2" || countdown-- !== 1) return;
        throw new Crash();
      },
    });
    let isSecond = false;
    const portsAtHead = () => (isSecond ? "2" : "1");
    await a.lead.take();
    await a.set.write(requestOf(many(MANY, 1, 0n)), ALICE);
    await vi.waitFor(() => expect(state.get(LAB_KEYS.overlay)).toBeNull(), PATIENTLY);
    isSecond = true;
    const outcome = await a.set.write(requestOf(many(MANY, 2, 1n)), ALICE).then(
      () => "answered",
      (error: unknown) => (error instanceof Crash ? "crashed" : String(error)),
    );
    // After the answer the crash hits what runs in the background.
    expect(outcome).toBe(["part-settled", "settled"].includes(step) ? "answered" : "crashed");
    const isThere = !["piece-staged", "staged"].includes(step);
    const b = node("b");
    await b.lead.take();
    const duties = b.runDuties();
    expect(await portsAt(b)).toEqual([isThere ? "2" : "1"]);
    await vi.waitFor(() => expect(state.get(LAB_KEYS.overlay)).toBeNull(), PATIENTLY);
    await vi.waitFor(() => expect(state.under(LAB_KEYS.staged)).toEqual([]), PATIENTLY);
    expect(state.under(LAB_KEYS.history)).toHaveLength(isThere ? 2 * MANY : MANY);
    const next = await b.set.write(requestOf(many(MANY, 3, isThere ? 2n : 1n)), ALICE);
    expect(next.head).toMatchObject({ setNumber: isThere ? 3n : 2n, term: 2n });
    expect(await portsAt(b)).toEqual(["3"]);
    b.lead.end();
    await duties;
  });

  it("that was deposed writes neither pieces nor their places any more", async () => {
    const b = node("b");
    const a = node("a", { checkpoint: async (at) => (at === "piece-staged" ? b.lead.take(true) : undefined) });
    await a.lead.take();
    const failure = await a.set.write(requestOf(many(MANY, 1, 0n)), ALICE).catch((error: unknown) => error);
    expect(failure instanceof Failure && ErrorCode[failure.code]).toBe("NOT_LEADER");
    expect(await portsAt(b)).toEqual([]);
    await b.set.write(requestOf([writeOf("p0", 9, 0n)]), ALICE);
    expect(await portsAt(b)).toEqual(["9"]);
  });
});

describe("an answer of the store that is lost", () => {
  const down = new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message: "no answer" });

  /** A way to the store that loses the next answer to a transaction that moves the head. */
  function losing(one: { isLosing: boolean; isDownAfter: boolean; isDown: boolean; happens: boolean }) {
    return class extends LimitedStore {
      override async transact(transaction: Transaction) {
        const isHead = transaction.then.some(
          (operation) => operation.kind === "put" && operation.key === LAB_KEYS.head,
        );
        if (one.isDown) throw down;
        if (!one.isLosing || !isHead) return super.transact(transaction);
        one.isLosing = false;
        one.isDown = one.isDownAfter;
        if (one.happens) await super.transact(transaction);
        throw down;
      }

      override get(key: string) {
        return one.isDown ? Promise.reject(down) : super.get(key);
      }
    };
  }

  async function lossy(happens: boolean, isDownAfter: boolean) {
    const way = { isLosing: false, isDownAfter, isDown: false, happens };
    const a = new LabNode(office, "a", new (losing(way))(state), { clock });
    nodes.push(a);
    await a.lead.take();
    await a.set.write(requestOf([writeOf("web", 1, 0n)]), ALICE);
    way.isLosing = true;
    return { a, way };
  }

  it("is found again by a look at the store", async () => {
    const { a } = await lossy(true, false);
    const { head } = await a.set.write(requestOf([writeOf("web", 2, 1n)]), ALICE);
    expect(head?.setNumber).toBe(2n);
  });

  it.each([true, false])(
    "and not to be found is said to be open; the repeated request tells (written: %s)",
    async (happens) => {
      const { a, way } = await lossy(happens, true);
      const request = () => requestOf([writeOf("web", 2, 1n)], { requestId: "once" });
      const failure = await a.set.write(request(), ALICE).catch((error: unknown) => error);
      if (!(failure instanceof Failure)) throw new Error("no failure");
      expect([ErrorCode[failure.code], failure.retryable]).toEqual(["STORE_UNAVAILABLE", true]);
      way.isDown = false;
      const again = await a.set.write(request(), ALICE);
      expect(again.head?.setNumber).toBe(2n);
      expect(state.under(LAB_KEYS.historyOf(policyKey("web")))).toHaveLength(2);
    },
  );

  it("does not keep a leader from the next write", async () => {
    const { a, way } = await lossy(true, true);
    await a.set.write(requestOf([writeOf("web", 2, 1n)]), ALICE).catch(() => undefined);
    way.isDown = false;
    const { head } = await a.set.write(requestOf([writeOf("web", 3, 2n)]), ALICE);
    expect(head?.setNumber).toBe(3n);
  });
});

describe("a watch of documents", () => {
  it("goes on after a set that is known, and takes a snapshot when that is not kept any more", async () => {
    const a = node("a");
    await a.lead.take();
    for (let version = 0; version < 4; version++) {
      await a.set.write(
        requestOf([writeOf("web", version + 1, BigInt(version)), writeOf(`n${version}`, 1, 0n)]),
        ALICE,
      );
    }
    await a.set.write(requestOf([deletionOf("n1", 1n)]), ALICE);
    const resumed = new Follower(a, 2n);
    await vi.waitFor(() => expect(resumed.heads.at(-1)).toBe(5n), PATIENTLY);
    expect(resumed.snapshots).toBe(0);
    expect([...resumed.documents.keys()].sort()).toEqual(["n2", "n3", "web"].map(policyKey));
    const upToDate = new Follower(a, 5n);
    await a.set.write(requestOf([writeOf("late", 1, 0n)]), ALICE);
    await vi.waitFor(() => expect(upToDate.heads.at(-1)).toBe(6n), PATIENTLY);
    expect([...upToDate.documents.keys()]).toEqual([policyKey("late")]);
    const unknown = new Follower(a, 99n);
    state.transact({ compare: [], then: [{ kind: "delete", key: LAB_KEYS.set(1n) }] });
    const old = new Follower(a, 1n);
    await vi.waitFor(() => expect([unknown.snapshots, old.snapshots]).toEqual([1, 1]), PATIENTLY);
    expect(old.documents.size).toBe(5);
    await Promise.all([resumed, upToDate, unknown, old].map((follower) => follower.close()));
  });

  it("goes on through a compaction of the store", async () => {
    const way = { isCut: false };
    const link = {
      call: async <T>(run: () => T) => run(),
      pass: async () => {
        if (way.isCut) throw new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message: "cut" });
      },
    };
    const a = node("a");
    const b = new LabNode(office, "b", new MemoryClusterStore(state, link), { clock });
    nodes.push(b);
    await a.lead.take();
    await a.set.write(requestOf([writeOf("web", 1, 0n)]), ALICE);
    const follower = new Follower(b);
    await vi.waitFor(() => expect(follower.heads).toEqual([1n]), PATIENTLY);
    way.isCut = true;
    for (let version = 1; version < 6; version++) {
      await a.set.write(requestOf([writeOf("web", version + 1, BigInt(version))]), ALICE);
    }
    state.compact(state.revision);
    way.isCut = false;
    await vi.waitFor(
      async () => {
        await clock.advance(1_000);
        expect(follower.heads.at(-1)).toBe(6n);
      },
      { timeout: 60_000 },
    );
    expect(follower.seen.at(-1)).toBe("6");
    await follower.close();
  });
});
