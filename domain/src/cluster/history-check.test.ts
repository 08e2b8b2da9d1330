import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkHistory,
  type HistoryRule,
  type ObservedRead,
  type ObservedWrite,
  type StoredVersion,
} from "./history-check.ts";

interface Run {
  readonly writes: ObservedWrite[];
  readonly stored: StoredVersion[];
  readonly reads: ObservedRead[];
  readonly sets: { number: bigint; term: bigint }[];
}

/** A store that works, asked by several writers whose calls overlap. */
const runs: fc.Arbitrary<Run> = fc
  .array(
    fc.record({
      key: fc.constantFrom("policy/-/a", "policy/-/b"),
      writer: fc.nat(4),
      age: fc.nat(2),
      takesMs: fc.integer({ min: 1, max: 40 }),
      waitsMs: fc.nat(10),
      isLost: fc.boolean(),
      isNewTerm: fc.nat(9),
      reads: fc.boolean(),
    }),
    { minLength: 6, maxLength: 40 },
  )
  .map((steps) => {
    const run: Run = { writes: [], stored: [], reads: [], sets: [] };
    const newest = new Map<string, bigint>();
    let [setNumber, term, nowMs] = [0n, 1n, 0];
    for (const [index, step] of steps.entries()) {
      nowMs += step.waitsMs + 1;
      if (step.isNewTerm === 0) term += 1n;
      const at = newest.get(step.key) ?? 0n;
      if (step.reads)
        run.reads.push({ key: step.key, invokedMs: nowMs - 1, returnedMs: nowMs + step.takesMs, version: at });
      const baseVersion = at - BigInt(Math.min(step.age, Number(at)));
      const times = { invokedMs: nowMs - step.takesMs, returnedMs: nowMs + step.takesMs };
      const write = { writer: `w${step.writer}`, key: step.key, baseVersion, content: `content ${index}`, ...times };
      if (baseVersion !== at) {
        run.writes.push({ ...write, outcome: { kind: step.isLost ? "unknown" : "failed" } });
        continue;
      }
      setNumber += 1n;
      const version = at + 1n;
      newest.set(step.key, version);
      run.stored.push({ key: step.key, version, setNumber, term, content: write.content });
      run.sets.push({ number: setNumber, term });
      run.writes.push({ ...write, outcome: step.isLost ? { kind: "unknown" } : { kind: "ok", version, setNumber } });
    }
    return run;
  });

const check = ({ writes, stored, reads, sets }: Run) => checkHistory(writes, stored, { reads, sets });

/** A few kinds of damage; each takes a run and a position, and gives the broken run or `null` when it has no place for it. */
const DAMAGES: Readonly<Record<string, (run: Run, at: number) => { run: Run; rules: readonly HistoryRule[] } | null>> =
  {
    "an acknowledged version is dropped": (run, at) => {
      const gone = pick(
        run.stored.filter((version) => isAcknowledged(run, version)),
        at,
      );
      if (!gone) return null;
      return { run: { ...run, stored: run.stored.filter((version) => version !== gone) }, rules: ["write-lost"] };
    },
    "a version is there twice": (run, at) => {
      const one = pick(run.stored, at);
      return one
        ? { run: { ...run, stored: [...run.stored, { ...one }] }, rules: ["version-twice", "write-twice"] }
        : null;
    },
    "two contents change places": (run, at) => {
      const one = pick(run.stored, at);
      const other = run.stored.find(({ key, version }) => one && key === one.key && version === one.version + 1n);
      if (!one || !other) return null;
      const stored = run.stored.map((version) =>
        version === one
          ? { ...one, content: other.content }
          : version === other
            ? { ...other, content: one.content }
            : version,
      );
      return { run: { ...run, stored }, rules: ["base-skipped"] };
    },
    "an update is lost under another": (run, at) => {
      // The later write took the place of the earlier one, as where two writers read the same version and both write it.
      const one = pick(
        run.stored.filter((version) => isAcknowledged(run, version)),
        at,
      );
      if (!one) return null;
      const stored = run.stored.map((version) => (version === one ? { ...one, content: "of nobody" } : version));
      return { run: { ...run, stored }, rules: ["write-lost", "unwritten"] };
    },
    "a refused write is there": (run, at) => {
      const refused = pick(
        run.writes.filter(({ outcome }) => outcome.kind === "failed"),
        at,
      );
      if (!refused) return null;
      const newest = run.stored.findLast(({ key }) => key === refused.key);
      const last = run.stored.at(-1);
      if (!newest || !last) return null;
      const added = {
        ...newest,
        version: newest.version + 1n,
        setNumber: last.setNumber + 1n,
        term: last.term,
        content: refused.content,
      };
      return { run: { ...run, stored: [...run.stored, added] }, rules: ["refused-present"] };
    },
    "a deposed leader wrote": (run, at) => {
      const later = pick(
        run.stored.filter(({ term, setNumber }) => term > 0n && setNumber > 1n),
        at,
      );
      if (!later) return null;
      const stored = run.stored.map((version) => (version === later ? { ...later, term: 0n } : version));
      return { run: { ...run, stored }, rules: ["term-order"] };
    },
    "a set is missing": (run, at) => {
      const inner = pick(run.sets.slice(1, -1), at);
      return inner ? { run: { ...run, sets: run.sets.filter((set) => set !== inner) }, rules: ["set-gap"] } : null;
    },
    "a version stands in an earlier set than the one before": (run, at) => {
      const later = pick(
        run.stored.filter(({ version }) => version > 1n),
        at,
      );
      if (!later) return null;
      const stored = run.stored.map((version) => (version === later ? { ...later, setNumber: 0n } : version));
      return { run: { ...run, stored }, rules: ["set-order"] };
    },
    "a read goes back": (run, at) => {
      const write = pick(
        run.writes.filter(({ outcome }) => outcome.kind === "ok"),
        at,
      );
      if (!write) return null;
      const read = { key: write.key, invokedMs: 1e6, returnedMs: 1e6 + 1, version: 0n };
      return { run: { ...run, reads: [...run.reads, read] }, rules: ["stale-read"] };
    },
    "a write stands behind one that came after it": (run, at) => {
      const first = pick(
        run.stored.filter(
          (version) => isAcknowledged(run, version) && newestOf(run, version.key)?.version !== version.version,
        ),
        at,
      );
      if (!first) return null;
      const writes = run.writes.map((write) => {
        if (write.content === first.content) return { ...write, invokedMs: 9e8, returnedMs: 9e8 + 1 };
        return write.outcome.kind === "unknown" ? { ...write, outcome: { kind: "failed" as const } } : write;
      });
      const kept = writes.filter(
        ({ outcome, content }) => outcome.kind === "ok" || !run.stored.some((version) => version.content === content),
      );
      const isKnown = (content: string) => kept.some((write) => write.content === content);
      const next = run.stored.find(({ key, version }) => key === first.key && version > first.version);
      if (!next || !isKnown(next.content)) return null;
      return { run: { ...run, writes: kept, reads: [] }, rules: ["real-time"] };
    },
  };

function pick<T>(items: readonly T[], at: number): T | undefined {
  return items[at % Math.max(items.length, 1)];
}

function newestOf(run: Run, key: string): StoredVersion | undefined {
  return run.stored.findLast((version) => version.key === key);
}

function isAcknowledged(run: Run, { content }: StoredVersion): boolean {
  return run.writes.some((write) => write.content === content && write.outcome.kind === "ok");
}

describe("checkHistory", () => {
  it("finds nothing wrong with what a store that works made of concurrent writes", () => {
    fc.assert(
      fc.property(runs, (run) => {
        expect(check(run)).toEqual([]);
      }),
      { numRuns: 500, seed: 21 },
    );
  });

  it.each(Object.keys(DAMAGES))("sees that %s", (name) => {
    let seen = 0;
    fc.assert(
      fc.property(runs, fc.nat(40), (run, at) => {
        const damaged = DAMAGES[name]?.(run, at);
        if (!damaged) return;
        seen += 1;
        const found = new Set(check(damaged.run).map(({ rule }) => rule));
        for (const rule of damaged.rules) expect(found).toContain(rule);
      }),
      { numRuns: 200, seed: 22 },
    );
    expect(seen).toBeGreaterThan(20);
  });

  it("lets an unknown write be there once or not at all, and not twice", () => {
    const write: ObservedWrite = {
      writer: "w",
      key: "k",
      invokedMs: 0,
      returnedMs: 1,
      baseVersion: 0n,
      content: "x",
      outcome: { kind: "unknown" },
    };
    const version = { key: "k", version: 1n, setNumber: 1n, term: 1n, content: "x" };
    expect(checkHistory([write], [])).toEqual([]);
    expect(checkHistory([write], [version])).toEqual([]);
    const twice = checkHistory([write], [version, { ...version, version: 2n, setNumber: 2n }]);
    expect(twice.map(({ rule }) => rule)).toContain("write-twice");
  });

  it("lets a new document stand on one that was deleted, and on nothing else", () => {
    const write = (baseVersion: bigint, version: bigint, content: string): ObservedWrite => ({
      ...{ writer: "w", key: "k", invokedMs: Number(version) * 2, returnedMs: Number(version) * 2 + 1 },
      ...{ baseVersion, content, outcome: { kind: "ok", version, setNumber: version } },
    });
    const stored = (version: bigint, content: string, isDeletion: boolean) => ({
      ...{ key: "k", version, setNumber: version, term: 1n, content, isDeletion },
    });
    const writes = [write(0n, 1n, "x"), write(1n, 2n, "gone"), write(0n, 3n, "y")];
    const history = (isDeletion: boolean) => [
      stored(1n, "x", false),
      stored(2n, "gone", isDeletion),
      stored(3n, "y", false),
    ];
    expect(checkHistory(writes, history(true))).toEqual([]);
    expect(checkHistory(writes, history(false)).map(({ rule }) => rule)).toEqual(["base-skipped"]);
  });

  it("starts to count at the versions that were there before", () => {
    const version = { key: "k", version: 8n, setNumber: 20n, term: 3n, content: "x" };
    const write: ObservedWrite = {
      writer: "w",
      key: "k",
      invokedMs: 0,
      returnedMs: 1,
      baseVersion: null,
      content: "x",
      outcome: { kind: "ok", version: 8n, setNumber: 20n },
    };
    expect(checkHistory([write], [version], { firstVersions: new Map([["k", 7n]]) })).toEqual([]);
    expect(checkHistory([write], [version]).map(({ rule }) => rule)).toEqual(["version-gap"]);
  });
});
