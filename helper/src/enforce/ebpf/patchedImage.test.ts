import { columnsOfProgram, createLookup, patchOfPorts } from "@wardline/domain/policy";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { answerFromImage } from "../../testing/imageWalk.ts";
import { patchedPrograms, type RuleEdit } from "../../testing/patchedPrograms.ts";
import { portsOfClass, wholePorts } from "./classPorts.ts";
import { columnsOf } from "./columns.ts";
import { ImagePacker, packProgram, type TableImage } from "./image.ts";
import { LINE_SIZE } from "./layout.ts";
import { samplePackets } from "./selfTestSample.ts";

const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_122);
const RULES = 40;
/** Classes that columns are patched in at most. */
const MOST_PATCHED = 256;
/** Decisions below are taken before the tables are asked. */
const FIRST_RULE = 16;

const edit: fc.Arbitrary<RuleEdit> = fc.record({
  place: fc.nat({ max: RULES - 1 }),
  low: fc.integer({ min: 1, max: 60_000 }),
  // Mostly as many entries as before: those are the changes that are patched in.
  width: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 9 }) }),
  action: fc.constantFrom("allow", "deny"),
});

const keyOf = (packet: object): string => JSON.stringify(packet);

function isPatched(program: object): boolean {
  const columns = columnsOfProgram(program);
  return columns !== null && patchOfPorts(columns.ports) !== null;
}

/** What a slot holds that had the image of serial `held` and gets only the lines that differ from it. */
function writeChanges(slot: Uint8Array, held: number, image: TableImage): void {
  const changed = image.changedSince(held);
  if (changed === null) slot.set(image.bytes);
  for (const { first, count } of changed ?? [])
    slot.set(image.bytes.subarray(first * LINE_SIZE, (first + count) * LINE_SIZE), first * LINE_SIZE);
}

describe("programs that are patched versions of each other", () => {
  it("have the columns, the answers and the questions of those compiled from nothing, in slots that take turns", () => {
    let [versions, patched] = [0, 0];
    fc.assert(
      fc.property(fc.array(edit, { minLength: 4, maxLength: 12 }), (edits) => {
        const packer = new ImagePacker();
        const slots = [new Uint8Array(2 ** 20), new Uint8Array(2 ** 20)];
        const held = [-1, -1];
        const all = [...patchedPrograms(RULES, edits)];
        for (const [step, { program, fresh, packets }] of all.entries()) {
          versions += 1;
          if (isPatched(program)) patched += 1;
          expect(program.digest).toBe(fresh.digest);
          const [own, other] = [columnsOf(program), columnsOf(fresh)];
          expect(wholePorts(own)).toEqual(wholePorts(other));
          // A version that nobody packs, as a check between two applies makes one.
          if (step % 4 === 2) continue;
          const image = packer.pack(program);
          const slot = step % 2;
          writeChanges(slots[slot] as Uint8Array, held[slot] as number, image);
          held[slot] = image.serial;
          const written = (slots[slot] as Uint8Array).subarray(0, image.bytes.length);
          expect(Buffer.compare(written, image.bytes)).toBe(0);
          const lookup = createLookup(fresh);
          const everywhere = all.flatMap((each) => each.packets);
          const freshImage = packProgram(fresh);
          for (const packet of [...packets, ...everywhere]) {
            const { index, verdict } = lookup(packet);
            if (index < FIRST_RULE) continue;
            const expected = { decision: index, deny: verdict === "deny" };
            const answers = [image, freshImage].map((each) => answerFromImage(each, packet));
            if (answers.some((answer) => answer?.decision !== index || answer.deny !== expected.deny))
              expect(answers, keyOf(packet)).toEqual([expected, expected]);
          }
        }
      }),
      { numRuns: 30, seed: SEED, endOnFailure: true },
    );
    // The comparison is worth nothing when everything is compiled from scratch.
    expect(patched / versions).toBeGreaterThan(0.5);
  });

  it("are asked about what differs between any two of them, as those compiled from nothing are", () => {
    fc.assert(
      fc.property(fc.array(edit, { minLength: 3, maxLength: 8 }), fc.nat(), fc.nat(), (edits, one, other) => {
        const all = [...patchedPrograms(RULES, edits)];
        const [before, now] = [all[one % all.length], all[other % all.length]];
        if (before === undefined || now === undefined) return;
        const asked = samplePackets(now.program, before.program).map(keyOf).sort();
        expect(asked).toEqual(samplePackets(now.fresh, before.fresh).map(keyOf).sort());
        // Only one rule differs between neighbours, and it is asked about at all edges.
        const next = all[(one % all.length) + 1];
        if (next === undefined) return;
        const ofNext = new Set(samplePackets(next.program, before.program).map(keyOf));
        const wasChanged = next.program.digest !== before.program.digest;
        if (wasChanged) for (const packet of next.packets.slice(4)) expect(ofNext).toContain(keyOf(packet));
      }),
      { numRuns: 60, seed: SEED, endOnFailure: true },
    );
  });

  it("are whole again once very many rules were changed, and go on from there", () => {
    const edits = Array.from({ length: 280 }, (_, place): RuleEdit => {
      return { place: place * 4, low: 20_000 + place, width: 0, action: place % 3 === 0 ? "deny" : "allow" };
    });
    const packer = new ImagePacker();
    const sizes: number[] = [];
    for (const version of patchedPrograms(1120, edits)) {
      const { program, packets } = version;
      sizes.push(columnsOf(program).patched.size);
      const image = packer.pack(program);
      const isEdge = sizes.length % 40 === 0 || sizes.at(-2) === MOST_PATCHED;
      if (!isEdge) continue;
      expect(program.digest).toBe(version.fresh.digest);
      const lookup = createLookup(version.fresh);
      for (const packet of packets) {
        const { index } = lookup(packet);
        if (index >= FIRST_RULE) expect(answerFromImage(image, packet)?.decision).toBe(index);
      }
    }
    const fullAt = sizes.indexOf(MOST_PATCHED);
    expect(sizes.slice(fullAt, fullAt + 3)).toEqual([MOST_PATCHED, 0, 1]);
  });

  it("keep what they were when later ones are made", () => {
    const edits = Array.from({ length: 20 }, (_, place): RuleEdit => {
      return { place: place % 5, low: 3000 + place, width: 0, action: "allow" };
    });
    const all = [...patchedPrograms(RULES, edits)];
    for (const { program, fresh } of all) {
      const [own, other] = [columnsOf(program), columnsOf(fresh)];
      for (let classId = 1; classId + 1 < own.portStarts.length; classId++) {
        const [mine, theirs] = [portsOfClass(own, classId), portsOfClass(other, classId)];
        expect([...mine.lows.subarray(mine.from, mine.to)]).toEqual([...theirs.lows.subarray(theirs.from, theirs.to)]);
      }
      expect(program.ports).toEqual(fresh.ports);
    }
  });
});
