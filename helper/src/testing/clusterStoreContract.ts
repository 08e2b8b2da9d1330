/** What every store of the cluster has to do, run against each of them. */
import { randomUUID } from "node:crypto";
import { ErrorCode } from "@wardline/domain/errors";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ClusterStore, Operation, WatchBatch } from "../cluster/store/clusterStore.ts";
import { StoreFailure } from "../cluster/store/storeFailure.ts";
import { runHistory, steps } from "./clusterStoreHistories.ts";
import { collect, failureOf, put, text, textOf } from "./storeTesting.ts";

export interface StoreContractOptions {
  /** Of the tests to use; the same one each time. */
  readonly store: () => ClusterStore;
  /** Another one on the same state, for the test that closes it; `null` = there can be no other. */
  readonly open: (() => ClusterStore) | null;
  readonly histories: number;
}

const begin = (): string => `/contract/${randomUUID()}/`;
const from = (first: bigint, count: number) => Array.from({ length: count }, (_, index) => first + BigInt(index));
const never = new AbortController().signal;

export function storeContract({ store, open, histories }: StoreContractOptions): void {
  describe("transactions", () => {
    it("count revisions and versions, and begin anew after a deletion", async () => {
      const key = `${begin()}a`;
      const first = await store().transact({ compare: [], then: [put(key, "1")] });
      const second = await store().transact({ compare: [], then: [put(key, "2"), { kind: "get", key }] });
      expect(second.revision).toBe(first.revision + 1n);
      expect(second.found[0]).toStrictEqual({
        key,
        value: text("2"),
        createRevision: first.revision,
        modRevision: second.revision,
        version: 2n,
        leaseId: 0n,
      });
      await store().transact({ compare: [], then: [{ kind: "delete", key }] });
      const again = await store().transact({ compare: [], then: [put(key, "3"), { kind: "get", key }] });
      expect(again.found[0]).toMatchObject({ createRevision: again.revision, version: 1n });
    });

    it("change nothing where nothing is to change, and keep the revision", async () => {
      const root = begin();
      const { revision } = await store().get(root);
      const deletions: Operation[] = [
        { kind: "delete", key: `${root}none` },
        { kind: "delete-prefix", prefix: root },
      ];
      expect((await store().transact({ compare: [], then: deletions })).revision).toBe(revision);
    });

    it("let one of many writers win each time", async () => {
      const key = `${begin()}counter`;
      await store().transact({ compare: [], then: [put(key, "0")] });
      const increment = async (): Promise<void> => {
        for (;;) {
          const { item } = await store().get(key);
          const compare = [{ key, target: "mod", operator: "=", number: item!.modRevision } as const];
          const next = put(key, `${Number(textOf(item)) + 1}`);
          if ((await store().transact({ compare, then: [next] })).succeeded) return;
        }
      };
      await Promise.all(Array.from({ length: 12 }, increment));
      const { item } = await store().get(key);
      expect([textOf(item), item!.version]).toStrictEqual(["12", 13n]);
    });

    it("carry out the other branch when a comparison fails, and never half of one", async () => {
      const root = begin();
      const result = await store().transact({
        compare: [
          { key: `${root}a`, target: "create", operator: "=", number: 0n },
          { key: `${root}a`, target: "value", operator: "!=", value: text("x") },
        ],
        then: [put(`${root}a`, "then")],
        otherwise: [put(`${root}b`, "otherwise"), { kind: "get", key: `${root}a` }],
      });
      expect(result).toMatchObject({ succeeded: false, found: [null] });
      expect((await store().range(root)).items.map(({ key }) => key)).toStrictEqual([`${root}b`]);
    });

    it("take 128 operations and 1.4 MB at once, in one revision, and nothing above the limits", async () => {
      const root = begin();
      const watched = collect(
        store().watch({ prefix: root, fromRevision: (await store().get(root)).revision + 1n, signal: never }),
      );
      const many = Array.from({ length: 128 }, (_, index) => put(`${root}${index}`, "x".repeat(10_900)));
      await store().transact({ compare: [], then: many });
      await watched.waitFor((batches) => batches.length === 1);
      expect(watched.batches[0]!.events).toHaveLength(128);
      const { revision } = await store().get(root);
      const over = (then: Operation[]) => failureOf(store().transact({ compare: [], then }));
      expect(await over([...many, put(`${root}128`, "")])).toBe(ErrorCode.TOO_LARGE);
      expect(await over([put(`${root}large`, "x".repeat(1_600_000))])).toBe(ErrorCode.TOO_LARGE);
      expect((await store().get(root)).revision).toBe(revision);
    });

    it("refuse what makes no sense, and change nothing", async () => {
      const root = begin();
      const { revision } = await store().get(root);
      const refused = (...then: Operation[]) => failureOf(store().transact({ compare: [], then }));
      const wrong: Operation[][] = [
        [put(`${root}a`, "1"), put(`${root}a`, "2")],
        [put(`${root}a`, "1"), { kind: "delete", key: `${root}a` }],
        [{ kind: "delete-prefix", prefix: root }, put(`${root}a`, "1")],
        [put("", "1")],
        [{ kind: "delete-prefix", prefix: "" }],
        [put(`${root}\0`, "1")],
        [put(`${root}\ud800`, "1")],
        [put(root + "x".repeat(1024), "1")],
      ];
      for (const then of wrong) expect(await refused(...then)).toBe(ErrorCode.INVALID_ARGUMENT);
      expect((await store().get(root)).revision).toBe(revision);
    });
  });

  describe("reads", () => {
    it("give many keys of one revision in parts, in both directions", async () => {
      const root = begin();
      const keys = Array.from({ length: 600 }, (_, index) => `${root}${index.toString().padStart(4, "0")}`);
      for (let at = 0; at < keys.length; at += 100) {
        await store().transact({ compare: [], then: keys.slice(at, at + 100).map((key) => put(key, "x")) });
      }
      const { revision } = await store().get(root);
      await store().transact({ compare: [], then: [{ kind: "delete-prefix", prefix: root }] });
      const read = async (options: Parameters<ClusterStore["range"]>[1]) => {
        const { items, more } = await store().range(root, { ...options, revision });
        return { keys: items.map(({ key }) => key), more };
      };
      expect(await read({})).toStrictEqual({ keys, more: false });
      expect(await read({ descending: true })).toStrictEqual({ keys: keys.toReversed(), more: false });
      const middle = { afterKey: keys[99]!, limit: 400 };
      expect(await read(middle)).toStrictEqual({ keys: keys.slice(100, 500), more: true });
      const back = { afterKey: keys[99]!, limit: 99, descending: true };
      expect(await read(back)).toStrictEqual({ keys: keys.slice(0, 99).toReversed(), more: false });
      expect((await store().range(root)).items).toStrictEqual([]);
    });

    it("give many keys all as they were at one moment, whatever is written meanwhile", async () => {
      const root = begin();
      const keys = Array.from({ length: 600 }, (_, index) => `${root}${index}`);
      for (let at = 0; at < keys.length; at += 100) {
        await store().transact({ compare: [], then: keys.slice(at, at + 100).map((key) => put(key, "old")) });
      }
      const before = await store().range(root);
      expect(before.revision).toBe((await store().get(root)).revision);
      const reading = store().range(root);
      for (let at = 0; at < keys.length; at += 100) {
        await store().transact({ compare: [], then: keys.slice(at, at + 100).map((key) => put(key, "new")) });
      }
      const { items, revision } = await reading;
      expect(items).toStrictEqual((await store().range(root, { revision })).items);
      expect(items).toHaveLength(600);
    });

    it("leave values out when only keys are wanted", async () => {
      const root = begin();
      await store().transact({ compare: [], then: [put(`${root}a`, "value")] });
      const { items } = await store().range(root, { keysOnly: true });
      expect(items.map(({ key, value }) => [key, value.length])).toStrictEqual([[`${root}a`, 0]]);
    });

    it("refuse a revision that is still to come", async () => {
      const { revision } = await store().get("/x");
      expect(await failureOf(store().get("/x", { revision: revision + 1000n }))).toBe(ErrorCode.INVALID_ARGUMENT);
    });

    it("see each other's writes at once", async () => {
      const key = `${begin()}a`;
      for (let number = 0; number < 20; number += 1) {
        await store().transact({ compare: [], then: [put(key, `${number}`)] });
        expect(textOf((await store().get(key)).item)).toBe(`${number}`);
      }
    });
  });

  describe("leases", () => {
    it("end with all of their keys in one revision, and cannot be used or renewed after that", async () => {
      const root = begin();
      // Long enough for a busy machine to write something under it.
      const lease = await store().grantLease(4_000);
      const { revision } = await store().transact({
        compare: [],
        then: [put(`${root}a`, "1", lease.id), put(`${root}b`, "2", lease.id), put(`${root}c`, "3")],
      });
      const watched = collect(store().watch({ prefix: root, fromRevision: revision + 1n, signal: never }));
      await watched.waitFor((batches) => batches.length > 0);
      const deleted = watched.batches[0]!.events.map(({ kind, key }) => [kind, key]);
      expect(deleted).toStrictEqual([
        ["delete", `${root}a`],
        ["delete", `${root}b`],
      ]);
      expect(await store().renewLease(lease.id)).toBeNull();
      const late = store().transact({ compare: [], then: [put(`${root}d`, "4", lease.id)] });
      expect(await failureOf(late)).toBe(ErrorCode.NOT_FOUND);
      expect((await store().range(root)).items.map(({ key }) => key)).toStrictEqual([`${root}c`]);
    });

    it("live on while they are renewed, and end at once when revoked", async () => {
      const key = `${begin()}a`;
      // Longer than a busy machine keeps anybody waiting.
      const lease = await store().grantLease(5_000);
      await store().transact({ compare: [], then: [put(key, "1", lease.id)] });
      const until = Date.now() + 7_000;
      while (Date.now() < until) {
        expect((await store().renewLease(lease.id))?.timeToLiveMs).toBeGreaterThanOrEqual(5_000);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      expect((await store().get(key)).item).not.toBeNull();
      await store().revokeLease(lease.id);
      expect((await store().get(key)).item).toBeNull();
      await store().revokeLease(lease.id);
    });

    it("let go of a key that is written without them", async () => {
      const key = `${begin()}a`;
      const lease = await store().grantLease(60_000);
      await store().transact({ compare: [], then: [put(key, "1", lease.id)] });
      await store().transact({ compare: [], then: [put(key, "2")] });
      await store().revokeLease(lease.id);
      expect(textOf((await store().get(key)).item)).toBe("2");
    });

    it("refuse times that are none", async () => {
      for (const time of [0, -1, Number.NaN, 1e9]) {
        expect(await failureOf(store().grantLease(time))).toBe(ErrorCode.INVALID_ARGUMENT);
      }
    });
  });

  describe("watches", () => {
    const write = async (root: string, count: number, size = 1): Promise<bigint> => {
      let first = 0n;
      for (let number = 0; number < count; number += 1) {
        const then = [put(`${root}${number % 7}`, `${number}`.padEnd(size)), put(`${root}b`, `${number}`)];
        const { revision } = await store().transact({ compare: [], then });
        if (number === 0) first = revision;
      }
      return first;
    };

    it("bring what was and what comes, each revision whole and once", async () => {
      const root = begin();
      const first = await write(root, 30);
      const watched = collect(store().watch({ prefix: root, fromRevision: first, signal: never }));
      await write(root, 30);
      await watched.waitFor((batches) => batches.length === 60);
      expect(watched.batches.every(({ events }) => events.length === 2)).toBe(true);
      expect(watched.batches.map(({ revision }) => revision)).toStrictEqual(from(first, 60));
    });

    it("bring more than fits into a message, to a consumer that takes its time", async () => {
      const root = begin();
      const first = await write(root, 60, 100_000);
      const seen: bigint[] = [];
      for await (const { revision, events } of store().watch({ prefix: root, fromRevision: first, signal: never })) {
        expect(events).toHaveLength(2);
        seen.push(revision);
        if (seen.length % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
        if (seen.length === 60) break;
      }
      expect(seen).toStrictEqual(from(first, 60));
    });

    it("leave out what is not below their prefix, also what begins alike", async () => {
      const root = begin();
      const watched = collect(
        store().watch({ prefix: `${root}a/`, fromRevision: 1n + (await store().get(root)).revision, signal: never }),
      );
      await store().transact({ compare: [], then: [put(`${root}a0`, "no"), put(`${root}b`, "no")] });
      await store().transact({ compare: [], then: [put(`${root}a/x`, "yes"), put(`${root}a0`, "no")] });
      await watched.waitFor((batches) => batches.length === 1);
      expect(watched.batches[0]!.events.map(({ key }) => key)).toStrictEqual([`${root}a/x`]);
    });

    it("end when they are aborted, also before anything came", async () => {
      const abort = new AbortController();
      const watched = collect(store().watch({ prefix: begin(), fromRevision: 1_000_000n, signal: abort.signal }));
      setTimeout(() => abort.abort(), 50);
      await watched.ended;
      const late = collect(store().watch({ prefix: begin(), fromRevision: 1n, signal: abort.signal }));
      await late.ended;
      expect([...watched.batches, ...late.batches]).toStrictEqual([]);
    });

    it("say so when what they want is compacted, and go on when they have seen it", async () => {
      const root = begin();
      const first = await write(root, 10);
      const watched = collect(store().watch({ prefix: root, fromRevision: first, signal: never }));
      await watched.waitFor((batches) => batches.length === 10);
      const compactedAt = first + 9n;
      await store().compact(compactedAt);
      await store().compact(compactedAt);
      const late = collect(store().watch({ prefix: root, fromRevision: first + 2n, signal: never }));
      expect(await failureOf(late.ended)).toBe(ErrorCode.COMPACTED);
      expect(await failureOf(store().get(`${root}b`, { revision: first }))).toBe(ErrorCode.COMPACTED);
      expect(await failureOf(store().range(root, { revision: first }))).toBe(ErrorCode.COMPACTED);
      await write(root, 1);
      await watched.waitFor((batches) => batches.length === 11);
      expect(await failureOf(store().compact(first + 1_000_000n))).toBe(ErrorCode.INVALID_ARGUMENT);
    });

    it("do not lose a deletion at the revision that was compacted to", async () => {
      const root = begin();
      await store().transact({ compare: [], then: [put(`${root}a`, "1")] });
      const { revision } = await store().transact({ compare: [], then: [{ kind: "delete", key: `${root}a` }] });
      await store().compact(revision);
      const watched = collect(store().watch({ prefix: root, fromRevision: revision, signal: never }));
      const outcome = await Promise.race([
        failureOf(watched.ended),
        watched.waitFor((batches: readonly WatchBatch[]) => batches.length === 1).then(() => "event"),
      ]);
      expect(["event", ErrorCode.COMPACTED]).toContain(outcome);
    });
  });

  it("gives up a call whose signal is aborted, and says that nothing happened", async () => {
    const key = `${begin()}a`;
    const work = store().transact({ compare: [], then: [put(key, "1")] }, { signal: AbortSignal.abort() });
    const error = await work.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreFailure);
    expect(error).toMatchObject({ code: ErrorCode.CANCELED, mayHaveHappened: false });
    expect((await store().get(key)).item).toBeNull();
  });

  it("says how its endpoints are", async () => {
    const endpoints = await store().endpoints();
    expect(endpoints.length).toBeGreaterThan(0);
    for (const one of endpoints) {
      expect(one).toMatchObject({ reachable: true, problem: "", alarms: [] });
      expect(one.databaseBytes).toBeGreaterThan(0n);
    }
  });

  // One process at a time has an embedded store: a second one cannot be opened beside it.
  if (open !== null) {
    it("ends its watches and refuses calls once closed", async () => {
      const other = open();
      const watched = collect(other.watch({ prefix: begin(), fromRevision: 1_000_000n, signal: never }));
      await other.get("/x");
      await other.close();
      await watched.ended;
      expect(await failureOf(other.get("/x"))).toBe(ErrorCode.CANCELED);
      await other.close();
    });
  }

  it("behaves like the model in random histories", { timeout: 60_000 }, async () => {
    const property = fc.asyncProperty(steps, (history) => runHistory(store(), `/history/${randomUUID()}`, history));
    await fc.assert(property, { numRuns: histories, endOnFailure: true });
  });
}
