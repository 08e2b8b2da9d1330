import { create } from "@bufbuild/protobuf";
import {
  ConfirmSetRequestSchema,
  RollbackDocumentsRequestSchema,
  type WriteDocumentsResponse,
} from "@wardline/api/wardline/agent/v1/cluster";
import { DesiredHeadSchema, DocumentVersionSchema, SetState } from "@wardline/api/wardline/v1/cluster";
import {
  checkHistory,
  type ObservedRead,
  type ObservedWrite,
  type StoredVersion,
  type WriteOutcome,
} from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../agent/clock.ts";
import { LAB_KEYS, LabNode, LeadOffice, policyKey, requestOf, writeOf } from "../../testing/desiredLab.ts";
import { MemoryClusterStore, type MemoryLink, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { decode, setDigest } from "./records.ts";

const NAMES = ["web", "db", "api"];

type Step =
  | {
      readonly kind: "write";
      readonly node: number;
      readonly names: readonly number[];
      readonly age: number;
      readonly pends: boolean;
    }
  | { readonly kind: "rollback"; readonly node: number; readonly name: number; readonly back: number }
  | { readonly kind: "rollback-set"; readonly node: number; readonly back: number }
  | { readonly kind: "decide"; readonly node: number; readonly rollBack: boolean }
  | { readonly kind: "lead"; readonly node: number; readonly quietly: boolean };

const nodeIndex = fc.nat(2);
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        kind: fc.constant("write" as const),
        node: nodeIndex,
        names: fc.uniqueArray(fc.nat(NAMES.length - 1), { minLength: 1 }),
        age: fc.constantFrom(0, 0, 0, 1),
        pends: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("rollback" as const),
        node: nodeIndex,
        name: fc.nat(2),
        back: fc.nat(3),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("rollback-set" as const), node: nodeIndex, back: fc.nat(3) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("decide" as const), node: nodeIndex, rollBack: fc.boolean() }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("lead" as const), node: nodeIndex, quietly: fc.boolean() }) },
  ),
  { minLength: 5, maxLength: 25 },
);

/** Loses some answers, on the way there or back, and is late with all of them. Driven by the numbers of the run. */
function lossyLink(next: () => number): MemoryLink {
  const down = () => new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message: "no answer", retryable: true });
  return {
    call: async (run) => {
      for (let turns = next() % 4; turns > 0; turns--) await Promise.resolve();
      const fate = next() % 40;
      if (fate === 0) throw down();
      // It arrives after all, when nobody waits for it any more.
      if (fate === 2 || fate === 3) {
        setTimeout(() => {
          try {
            run();
          } catch {}
        }, next() % 3);
        throw down();
      }
      const answer = run();
      for (let turns = next() % 4; turns > 0; turns--) await Promise.resolve();
      if (fate === 1) throw down();
      return answer;
    },
    pass: async () => {
      if (next() % 400 === 0) throw down();
    },
  };
}

/** Small, fast and good enough: the same numbers for the same seed. */
function numbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

class Run {
  readonly state = new MemoryStoreState(systemClock);
  readonly office = new LeadOffice();
  readonly nodes: readonly LabNode[];
  readonly writes: ObservedWrite[] = [];
  readonly reads: ObservedRead[] = [];
  /** Counts up: what comes later has a higher number, as on a clock that everybody shares. */
  #now = 0;
  #serial = 0;

  constructor(seed: number) {
    const next = numbers(seed);
    this.nodes = ["a", "b", "c"].map(
      (name) => new LabNode(this.office, name, new MemoryClusterStore(this.state, lossyLink(next))),
    );
  }

  /** What a caller of this node knows: its own replica, which may be behind. */
  #versionOf(node: LabNode, name: string): bigint {
    return node.replica.state?.documents.get(policyKey(name))?.version ?? 0n;
  }

  async step(step: Step): Promise<void> {
    const node = this.nodes[step.node]!;
    if (step.kind === "lead") return node.lead.take(step.quietly).catch(() => undefined);
    const reason = `change ${++this.#serial}`;
    const head = node.replica.state?.head;
    if (step.kind === "decide") {
      const { setNumber = 1n, digest = "" } = head ?? {};
      const request = create(ConfirmSetRequestSchema, { setNumber, digest, rollBack: step.rollBack });
      await node.set.confirm(request, { actor: "decider" }).catch(expected);
    } else if (step.kind === "rollback") {
      const key = policyKey(NAMES[step.name]!);
      const toVersion = this.#versionOf(node, NAMES[step.name]!) - BigInt(step.back);
      if (toVersion < 1n) return;
      const request = create(RollbackDocumentsRequestSchema, { key, toVersion, reason });
      await this.#observe(reason, [{ key, baseVersion: null }], node.set.rollback(request, { actor: "back" }));
    } else if (step.kind === "rollback-set") {
      const toSetNumber = (head?.setNumber ?? 0n) - BigInt(step.back);
      if (toSetNumber < 1n) return;
      const request = create(RollbackDocumentsRequestSchema, { toSetNumber, reason });
      const all = NAMES.map((name) => ({ key: policyKey(name), baseVersion: null }));
      await this.#observe(reason, all, node.set.rollback(request, { actor: "back" }));
    } else await this.#write(step, node, reason);
  }

  #write(step: Extract<Step, { kind: "write" }>, node: LabNode, reason: string): Promise<void> {
    const bases = step.names.map((index) => {
      const known = this.#versionOf(node, NAMES[index]!);
      const base = known - BigInt(step.age);
      return { name: NAMES[index]!, baseVersion: base < 0n ? 0n : base };
    });
    const writes = bases.map(({ name, baseVersion }) => writeOf(name, this.#serial, baseVersion));
    const options = { reason, ...(step.pends ? { confirmWithinMs: 3_600_000 } : {}) };
    const answer = node.set.write(requestOf(writes, options), { actor: `w${step.node}` });
    const keys = bases.map(({ name, baseVersion }) => ({ key: policyKey(name), baseVersion }));
    return this.#observe(reason, keys, answer);
  }

  async #observe(
    reason: string,
    keys: readonly { readonly key: string; readonly baseVersion: bigint | null }[],
    answer: Promise<Pick<WriteDocumentsResponse, "head" | "written">>,
  ): Promise<void> {
    const invokedMs = ++this.#now;
    const result = await answer.catch((error: unknown) => {
      expected(error);
      return error as Failure;
    });
    const returnedMs = ++this.#now;
    for (const { key, baseVersion } of keys) {
      const outcome = outcomeOf(result, key);
      // A rollback that finds a document as it should be writes no version of it.
      if (outcome === null) continue;
      this.writes.push({
        writer: reason,
        key,
        invokedMs,
        returnedMs,
        baseVersion,
        content: `${reason} ${key}`,
        outcome,
      });
    }
  }

  stored(): StoredVersion[] {
    return this.state.under(LAB_KEYS.history).map((item) => {
      const document = decode(DocumentVersionSchema, item.key, item.value);
      const { key, version, setNumber, term, reason, deleted } = document;
      return { key, version, setNumber, term, content: `${reason} ${key}`, isDeletion: deleted };
    });
  }

  sets() {
    return this.state.under(LAB_KEYS.sets).map((item) => decode(DesiredHeadSchema, item.key, item.value));
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
  }
}

function expected(error: unknown): void {
  if (!(error instanceof Failure) || error.code === ErrorCode.INTERNAL) throw error;
}

function outcomeOf(
  result: Failure | Pick<WriteDocumentsResponse, "head" | "written">,
  key: string,
): WriteOutcome | null {
  if (result instanceof Failure) {
    const isOpen = [ErrorCode.STORE_UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED].includes(result.code);
    return { kind: isOpen ? "unknown" : "failed" };
  }
  const written = result.written.find((one) => one.key === key);
  return written ? { kind: "ok", version: written.version, setNumber: written.setNumber } : null;
}

/** What a set that nobody confirmed is taken back by has no writer among the observed ones. */
function isTakeBack({ content }: StoredVersion): boolean {
  return !content.startsWith("change ");
}

describe("writes, conflicts, rollbacks and changes of the leader in any order", () => {
  it("make a history that one writer after the other could have made, whatever answers are lost", {
    timeout: 120_000,
  }, async () => {
    let [acknowledged, refused, open, terms] = [0, 0, 0, 0];
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1 }), fc.nat(3), async (all, seed, overlap) => {
        const run = new Run(seed);
        try {
          await run.nodes[0]!.lead.take().catch(() => undefined);
          // Several at once, each group as large as `overlap` says.
          for (let at = 0; at < all.length; at += overlap + 1) {
            await Promise.all(all.slice(at, at + overlap + 1).map((step) => run.step(step)));
          }
          await new Promise((resolve) => setTimeout(resolve, 5));
          const stored = run.stored();
          const takenBack = stored.filter(isTakeBack).map(({ key, content }) => ({
            writer: "taken back",
            key,
            invokedMs: 0,
            returnedMs: Number.POSITIVE_INFINITY,
            baseVersion: null,
            content,
            outcome: { kind: "unknown" as const },
          }));
          const once = [...new Map(takenBack.map((write) => [write.content, write])).values()];
          const sets = run.sets();
          const numbersOf = sets.map(({ setNumber, term }) => ({ number: setNumber, term }));
          const problems = checkHistory([...run.writes, ...once], stored, { sets: numbersOf });
          const isOfTakeBack = (message: string) => message.includes("taken back");
          expect(problems.filter(({ message }) => !isOfTakeBack(message)).map(({ message }) => message)).toEqual([]);
          checkDigests(run);
          acknowledged += run.writes.filter(({ outcome }) => outcome.kind === "ok").length;
          refused += run.writes.filter(({ outcome }) => outcome.kind === "failed").length;
          open += run.writes.filter(({ outcome }) => outcome.kind === "unknown").length;
          terms += new Set(sets.map(({ term }) => term)).size;
        } finally {
          await run.close();
        }
      }),
      { numRuns: 150, seed: 77, endOnFailure: true },
    );
    // The runs are worth something only when everything happens in them.
    expect(acknowledged).toBeGreaterThan(300);
    expect(refused).toBeGreaterThan(300);
    expect(open).toBeGreaterThan(20);
    expect(terms).toBeGreaterThan(100);
  });
});

/** The newest head says what the documents are, and no two sets are both open. */
function checkDigests(run: Run): void {
  const documents = run.state
    .under(LAB_KEYS.documents)
    .map((item) => decode(DocumentVersionSchema, item.key, item.value));
  const item = run.state.get(LAB_KEYS.head);
  expect(item === null).toBe(documents.length === 0 && run.sets().length === 0);
  if (!item) return;
  const head = decode(DesiredHeadSchema, item.key, item.value);
  expect(head.digest).toBe(setDigest(documents));
  const pending = run.sets().filter(({ state }) => state === SetState.PENDING);
  expect(pending.length).toBeLessThanOrEqual(1);
  for (const one of pending) expect(one.setNumber).toBe(head.setNumber);
}
