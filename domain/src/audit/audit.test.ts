import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { AuditEntrySchema } from "@wardline/api/wardline/agent/v1/agent";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromWireAuditEntry, toWireAuditEntry } from "../wire/index.ts";
import { type AuditEntry, followAudit, follows, sealEntry } from "./index.ts";

const START_MS = Date.UTC(2026, 0, 1);

function logOf(actions: readonly string[]): AuditEntry[] {
  const log: AuditEntry[] = [];
  for (const action of actions) {
    const content = { actor: "ops (1000)", role: "operator", action, argumentDigest: "ab", outcome: "done" } as const;
    log.push(
      sealEntry(
        { ...content, detail: `of ${action}` },
        new Date(START_MS + log.length).toISOString(),
        log.at(-1) ?? null,
      ),
    );
  }
  return log;
}

/** What a host answers that is asked for everything after the entry before `seen`. */
function extractOf(log: readonly AuditEntry[], seen: AuditEntry | null) {
  const entries = log.filter(({ sequence }) => sequence > (seen ? seen.sequence - 1 : 0));
  return { entries, lastSequence: log.at(-1)?.sequence ?? 0, brokenAtSequence: 0 };
}

const ACTIONS = fc.array(fc.string({ maxLength: 8 }), { minLength: 1, maxLength: 12 });

describe("the chain of an audit log", () => {
  it("holds for what was sealed, over the wire as well, and for nothing that was changed since", () => {
    fc.assert(
      fc.property(ACTIONS, fc.nat(), fc.nat(), (actions, place, field) => {
        const log = logOf(actions).map((entry) => fromWireAuditEntry(toWireAuditEntry(entry)));
        log.forEach((entry, index) => void expect(follows(entry, log[index - 1] ?? null)).toBe(true));
        const index = place % log.length;
        const entry = log[index];
        if (!entry) throw new Error("no entry");
        const changes: Partial<AuditEntry>[] = [
          { actor: "nobody (1)" },
          { role: "admin" },
          { action: `${entry.action}x` },
          { argumentDigest: "" },
          { outcome: "refused" },
          { detail: "" },
          { time: new Date(0).toISOString() },
          { sequence: entry.sequence + 1 },
          { previousHash: "1".repeat(64) },
          { hash: "1".repeat(64) },
        ];
        expect(follows({ ...entry, ...changes[field % changes.length] }, log[index - 1] ?? null)).toBe(false);
      }),
    );
  });

  it("holds in its encoding for a text that was cut within a character", () => {
    const half = "😀".slice(0, 1);
    const content = { role: "none", argumentDigest: half, outcome: "refused" } as const;
    const entry = sealEntry(
      { ...content, actor: half, action: half, detail: half },
      new Date(START_MS).toISOString(),
      null,
    );
    const encoded = toBinary(AuditEntrySchema, toWireAuditEntry(entry));
    expect(follows(fromWireAuditEntry(fromBinary(AuditEntrySchema, encoded)), null)).toBe(true);
  });

  it("is not broken by an entry from the wire that nobody can have written, it just does not fit", () => {
    const [entry] = logOf(["apply"]).map(toWireAuditEntry);
    if (!entry?.time) throw new Error("no entry");
    entry.time.seconds = 2n ** 60n;
    expect(follows(fromWireAuditEntry(entry), null)).toBe(false);
  });
});

describe("followAudit", () => {
  it("continues from any place of a log that only grew", () => {
    fc.assert(
      fc.property(ACTIONS, fc.nat(), (actions, place) => {
        const log = logOf(actions);
        const seenCount = place % (log.length + 1);
        const seen = log[seenCount - 1] ?? null;
        expect(followAudit(seen, extractOf(log, seen))).toEqual({ kind: "continues", entries: log.slice(seenCount) });
      }),
    );
  });

  it("names the place where a log was cut off, also when something else was written after that", () => {
    const log = logOf(["a", "b", "c", "d"]);
    const seen = log[3] ?? null;
    expect(followAudit(seen, extractOf(log.slice(0, 2), seen))).toEqual({ kind: "truncated", atSequence: 3 });
    expect(followAudit(seen, extractOf([], seen))).toEqual({ kind: "truncated", atSequence: 1 });
    const rewritten = logOf(["a", "b", "c", "x", "y"]);
    expect(followAudit(seen, extractOf(rewritten, seen))).toEqual({ kind: "forked", atSequence: 4 });
  });

  it("names the first new entry that does not follow, and what the host itself found", () => {
    const log = logOf(["a", "b", "c", "d"]);
    const seen = log[1] ?? null;
    const changed = log.map((entry) => (entry.sequence === 4 ? { ...entry, detail: "" } : entry));
    expect(followAudit(seen, extractOf(changed, seen))).toEqual({ kind: "broken", atSequence: 4 });
    const gap = log.filter(({ sequence }) => sequence !== 3);
    expect(followAudit(seen, extractOf(gap, seen))).toEqual({ kind: "broken", atSequence: 3 });
    const said = { ...extractOf(log, seen), brokenAtSequence: 1 };
    expect(followAudit(seen, said)).toEqual({ kind: "broken", atSequence: 1 });
  });

  it("follows over entries that the limits of a host removed, as far as it has seen them", () => {
    fc.assert(
      fc.property(ACTIONS, fc.nat(), fc.nat(), (actions, place, removed) => {
        const log = logOf(actions);
        const seenCount = 1 + (place % log.length);
        const seen = log[seenCount - 1] ?? null;
        const removedCount = removed % log.length;
        const left = log.slice(removedCount);
        const extract = { ...extractOf(left, seen), firstSequence: removedCount + 1 };
        expect(followAudit(seen, extract)).toEqual(
          removedCount > seenCount
            ? { kind: "missed", atSequence: seenCount + 1 }
            : { kind: "continues", entries: log.slice(seenCount) },
        );
      }),
    );
    const seen = logOf(["a", "b"])[1] ?? null;
    const other = logOf(["x", "y", "c"]).slice(2);
    const said = { entries: other, lastSequence: 3, firstSequence: 3, brokenAtSequence: 0 };
    expect(followAudit(seen, said)).toEqual({ kind: "broken", atSequence: 3 });
  });

  it("takes a host at its word neither for an empty page nor for a first entry that is not the one", () => {
    const log = logOf(["a", "b"]);
    const seen = log[1] ?? null;
    expect(followAudit(seen, { entries: [], lastSequence: 5, brokenAtSequence: 0 }).kind).toBe("truncated");
    expect(followAudit(seen, { entries: log, lastSequence: 2, brokenAtSequence: 0 }).kind).toBe("forked");
  });
});
