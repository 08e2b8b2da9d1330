/** Random histories of a store, each step compared with the model of what a store is. */

import { ErrorCode } from "@wardline/domain/errors";
import fc from "fast-check";
import { expect } from "vitest";
import type { ClusterStore, Compare, Operation, Transaction } from "../cluster/store/clusterStore.ts";
import { StoreModel } from "./clusterStoreModel.ts";
import { collect, failureOf, put, text } from "./storeTesting.ts";

const NAMES = ["a", "ab", "a/b", "a/c", "b", "é", "\u{1f512}", "z/z/z"] as const;
const name = fc.constantFrom(...NAMES);
const value = fc.constantFrom("", "x", "y", "0".repeat(300));
const delta = fc.constantFrom(-1n, 0n, 0n, 0n, 1n);

/** Revisions and leases are named by where they are, so that a step means the same in every store. */
type Step =
  | { readonly do: "transact"; readonly compare: Test[]; readonly then: Change[]; readonly otherwise: Change[] }
  | { readonly do: "grant" }
  | { readonly do: "revoke"; readonly lease: number }
  | { readonly do: "compact"; readonly back: number }
  | {
      readonly do: "range";
      readonly prefix: string;
      readonly back: number;
      readonly limit: number;
      readonly descending: boolean;
      readonly after: string | null;
    };

type Test =
  | {
      readonly on: "number";
      readonly key: string;
      readonly target: "create" | "mod" | "version";
      readonly operator: "=" | "!=" | ">" | "<";
      readonly delta: bigint;
    }
  | { readonly on: "value"; readonly key: string; readonly operator: "=" | "!="; readonly value: string };

interface Change {
  readonly kind: Operation["kind"];
  readonly key: string;
  readonly value: string;
  readonly lease: number;
}

const test: fc.Arbitrary<Test> = fc.oneof(
  fc.record({
    on: fc.constant("number" as const),
    key: name,
    target: fc.constantFrom("create" as const, "mod" as const, "version" as const),
    operator: fc.constantFrom("=" as const, "!=" as const, ">" as const, "<" as const),
    delta,
  }),
  fc.record({
    on: fc.constant("value" as const),
    key: name,
    operator: fc.constantFrom("=" as const, "!=" as const),
    value,
  }),
);
const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom("put", "put", "put", "delete", "delete-prefix", "get"),
  key: name,
  value,
  lease: fc.integer({ min: -3, max: 3 }),
});
const changes = fc.array(change, { maxLength: 5 });

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant("transact" as const),
        compare: fc.array(test, { maxLength: 2 }),
        then: changes,
        otherwise: changes,
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("grant" as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("revoke" as const), lease: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("compact" as const), back: fc.nat(6) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("range" as const),
        prefix: fc.constantFrom("", "a", "a/", "z"),
        back: fc.nat(6),
        limit: fc.nat(3),
        descending: fc.boolean(),
        after: fc.option(name),
      }),
    },
  ),
  { minLength: 1, maxLength: 25 },
);

/** @param root of its own for each history, without a slash at its end */
export async function runHistory(store: ClusterStore, root: string, history: readonly Step[]): Promise<void> {
  const first = (await store.get(root)).revision;
  const run = new History(store, new StoreModel(first), `${root}/`);
  const abort = new AbortController();
  const live = collect(store.watch({ prefix: run.root, fromRevision: first + 1n, signal: abort.signal }));
  try {
    // Once it has seen something it watches, and no compaction overtakes it.
    await run.begin();
    await live.waitFor((batches) => batches.length === 1);
    for (const step of history) await run.step(step);
    const expected = run.model.batches(run.root, first + 1n);
    await live.waitFor((batches) => batches.length >= expected.length);
    expect(live.batches).toStrictEqual(expected);
    await run.checkResume(first, history.length);
  } finally {
    abort.abort();
    await live.ended;
    await run.revokeAll();
  }
}

class History {
  readonly #store: ClusterStore;
  readonly model: StoreModel;
  readonly root: string;
  readonly #leases: bigint[] = [];
  readonly #first: bigint;

  constructor(store: ClusterStore, model: StoreModel, root: string) {
    this.#store = store;
    this.model = model;
    this.#first = model.revision;
    this.root = root;
  }

  async begin(): Promise<void> {
    const transaction = { compare: [], then: [put(`${this.root}begin`, "")] };
    expect(await this.#store.transact(transaction)).toStrictEqual(this.model.transact(transaction));
  }

  async step(step: Step): Promise<void> {
    switch (step.do) {
      case "transact": {
        const transaction = this.#transaction(step);
        const result = await this.#store.transact(transaction);
        expect(result).toStrictEqual(this.model.transact(transaction));
        return;
      }
      case "grant": {
        const { id } = await this.#store.grantLease(60_000);
        this.#leases.push(id);
        this.model.leases.add(id);
        return;
      }
      case "revoke":
        return this.#revoke(this.#leases[step.lease]);
      case "compact":
        return this.#compact(this.#back(step.back));
      case "range":
        return this.#range(step);
    }
  }

  /** From each revision that is still kept, the rest of the history; from one before, COMPACTED. */
  async checkResume(first: bigint, salt: number): Promise<void> {
    const kept = this.model.compacted > first ? this.model.compacted + 1n : first + 1n;
    const span = this.model.revision - kept + 1n;
    const from = kept + (span > 0n ? BigInt(salt) % span : 0n);
    const expected = this.model.batches(this.root, from);
    const abort = new AbortController();
    const again = collect(this.#store.watch({ prefix: this.root, fromRevision: from, signal: abort.signal }));
    await again.waitFor((batches) => batches.length >= expected.length);
    abort.abort();
    await again.ended;
    expect(again.batches).toStrictEqual(expected);
    if (this.model.compacted <= first) return;
    const request = {
      prefix: this.root,
      fromRevision: this.model.compacted - 1n,
      signal: new AbortController().signal,
    };
    await expect(failureOf(collect(this.#store.watch(request)).ended)).resolves.toBe(ErrorCode.COMPACTED);
  }

  async revokeAll(): Promise<void> {
    for (const id of this.#leases) await this.#store.revokeLease(id);
  }

  async #revoke(id: bigint | undefined): Promise<void> {
    if (id === undefined) return;
    await this.#store.revokeLease(id);
    this.model.revoke(id);
  }

  async #compact(revision: bigint): Promise<void> {
    await this.#store.compact(revision);
    if (revision > this.model.compacted) this.model.compacted = revision;
  }

  async #range(step: Extract<Step, { do: "range" }>): Promise<void> {
    const prefix = this.root + step.prefix;
    const { limit, descending } = step;
    const revision = step.back === 0 ? undefined : this.#back(step.back);
    const afterKey = step.after === null ? undefined : this.root + step.after;
    const options = {
      ...{ limit, descending },
      ...(revision === undefined ? {} : { revision }),
      ...(afterKey === undefined ? {} : { afterKey }),
    };
    if (revision !== undefined && revision < this.model.compacted) {
      await expect(failureOf(this.#store.range(prefix, options))).resolves.toBe(ErrorCode.COMPACTED);
      return;
    }
    const { items, more } = await this.#store.range(prefix, options);
    const expected = this.model.range(prefix, options);
    expect(items.map(({ key }) => key)).toStrictEqual(expected.keys);
    expect(items).toStrictEqual(expected.keys.map((key) => this.model.get(key, revision)));
    expect(more).toBe(expected.more);
  }

  /** Never before this history began: what was there may be compacted away. */
  #back(steps: number): bigint {
    const revision = this.model.revision - BigInt(steps);
    return revision > this.#first ? revision : this.#first;
  }

  #transaction({ compare, then, otherwise }: Extract<Step, { do: "transact" }>): Transaction {
    return {
      compare: compare.map((one) => this.#compare(one)),
      then: this.#operations(then),
      otherwise: this.#operations(otherwise),
    };
  }

  #compare(one: Test): Compare {
    const key = this.root + one.key;
    if (one.on === "value") return { key, target: "value", operator: one.operator, value: text(one.value) };
    const item = this.model.get(key);
    const now = { create: item?.createRevision, mod: item?.modRevision, version: item?.version }[one.target] ?? 0n;
    const number = now + one.delta < 0n ? 0n : now + one.delta;
    return { key, target: one.target, operator: one.operator, number };
  }

  /** Without what no store takes: a key changed twice in one transaction. */
  #operations(changes: readonly Change[]): Operation[] {
    const touched: string[] = [];
    const operations: Operation[] = [];
    for (const { kind, key: name, value, lease } of changes) {
      const key = this.root + name;
      if (kind === "get") operations.push({ kind, key });
      else if (touched.some((other) => other.startsWith(key) || key.startsWith(other))) continue;
      else {
        touched.push(key);
        const leaseId = this.#leases[lease] ?? 0n;
        if (kind === "put")
          operations.push({ kind, key, value: text(value), leaseId: this.model.leases.has(leaseId) ? leaseId : 0n });
        else operations.push(kind === "delete" ? { kind, key } : { kind, prefix: key });
      }
    }
    return operations;
  }
}
