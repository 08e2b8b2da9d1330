import { createLookup, type ProgramPacket } from "@wardline/domain/policy";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { editedPrograms } from "../../testing/editedPrograms.ts";
import { handProgram } from "../../testing/handProgram.ts";
import { answerFromImage } from "../../testing/imageWalk.ts";
import { ImagePacker, packProgram, type TableImage } from "./image.ts";
import { LINE_SIZE } from "./layout.ts";

const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);
/** Decisions below are taken before the tables are asked. */
const FIRST_RULE = 16;

/** What a slot holds that had the image of serial `held` and gets only the lines that differ from it. */
function writeChanges(slot: Uint8Array, held: number, image: TableImage): void {
  const changed = image.changedSince(held);
  if (changed === null) slot.set(image.bytes);
  for (const { first, count } of changed ?? [])
    slot.set(image.bytes.subarray(first * LINE_SIZE, (first + count) * LINE_SIZE), first * LINE_SIZE);
}

describe("packing over the program before", () => {
  it("answers as packing from scratch does, and as the program says, after every change", () => {
    const byDifference = new Map<string, number>();
    fc.assert(
      fc.property(editedPrograms, (programs) => {
        const packer = new ImagePacker();
        for (const { edit, program, packets } of programs) {
          const image = packer.pack(program);
          const fresh = packProgram(program);
          const lookup = createLookup(program);
          expect([image.decisionCount, image.workloadSets]).toEqual([fresh.decisionCount, fresh.workloadSets]);
          for (const packet of packets) {
            const { index, verdict } = lookup(packet);
            if (index < FIRST_RULE) continue;
            const answers = [fresh, image].map((each) => answerFromImage(each, packet));
            const isRight = answers.every((each) => each?.decision === index && each.deny === (verdict === "deny"));
            if (!isRight) expect(answers, `${edit} ${JSON.stringify(packet)}`).toEqual([index, verdict]);
          }
          if (image.changedSince(image.serial - 1) !== null) byDifference.set(edit, (byDifference.get(edit) ?? 0) + 1);
        }
      }),
      { numRuns: 40, seed: SEED, endOnFailure: true },
    );
    // The comparison is worth nothing when everything is packed from scratch.
    for (const edit of ["another port", "another verdict", "one port more", "another address", "nothing"])
      expect(byDifference.get(edit) ?? 0, edit).toBeGreaterThan(10);
    expect(byDifference.get("so many ports that they need a tree") ?? 0).toBeGreaterThan(3);
  });

  it("says which lines differ: they turn the image before last, or an older one, into the new one", () => {
    fc.assert(
      fc.property(editedPrograms, (programs) => {
        const packer = new ImagePacker();
        const slots = [new Uint8Array(2 ** 20), new Uint8Array(2 ** 20), new Uint8Array(2 ** 20)];
        const held = slots.map(() => -1);
        for (const [step, { program }] of programs.entries()) {
          const image = packer.pack(program);
          // Two take turns as slots do; the third is filled now and then.
          const slot = step % 5 === 4 ? 2 : step % 2;
          writeChanges(slots[slot] as Uint8Array, held[slot] as number, image);
          held[slot] = image.serial;
          const written = (slots[slot] as Uint8Array).subarray(0, image.bytes.length);
          expect(Buffer.compare(written, image.bytes)).toBe(0);
        }
      }),
      { numRuns: 80, seed: SEED, endOnFailure: true },
    );
  });

  it("writes a few lines for one changed rule, however many there are", () => {
    const rules = Array.from({ length: 3000 }, (_, place) => ({
      direction: "ingress" as const,
      remote: `10.${place >> 8}.${place & 255}.1`,
      protocol: 6,
      port: 1000 + place,
      verdict: "allow" as const,
    }));
    const packer = new ImagePacker();
    packer.pack(handProgram({ rules }));
    const changed = rules.map((rule, place) => (place === 1500 ? { ...rule, port: 9 } : rule));
    const image = packer.pack(handProgram({ rules: changed }));
    const lines = image.changedSince(image.serial - 1)?.reduce((sum, { count }) => sum + count, 0);
    expect(lines).toBeLessThan(4);
    const packet: ProgramPacket = { set: 0, direction: "ingress", remote: "10.5.220.1", protocol: 6, port: 9 };
    expect(answerFromImage(image, packet)).toEqual({ decision: 18 + 1500, deny: false });
  });

  it("starts anew when a program was refused in between", () => {
    const packer = new ImagePacker();
    const rule = { direction: "ingress", remote: "10.0.0.1", protocol: 6, port: 80, verdict: "allow" } as const;
    const good = handProgram({ rules: [rule] });
    const twice = handProgram({ rules: [rule, rule] });
    packer.pack(good);
    expect(() => packer.pack(twice)).toThrow("two answers");
    const image = packer.pack(good);
    expect(image.changedSince(image.serial - 1)).toBe(null);
    expect(Buffer.compare(image.bytes, packProgram(good).bytes)).toBe(0);
  });
});
