import { createLookup, type HostProgram, PROTOCOL } from "@wardline/domain/policy";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { handProgram } from "../../testing/handProgram.ts";
import { answerFromImage } from "../../testing/imageWalk.ts";
import { renumberedProgram } from "../../testing/renumberedProgram.ts";
import { ImagePacker, packProgram } from "./image.ts";
import { LINE_SIZE } from "./layout.ts";

const UDP = PROTOCOL.udp;
const base = renumberedProgram(0, 0);

/** Prefixes of one family from a few first bytes, so that many nest and touch. */
function prefixes(size: 4 | 16) {
  const byte = fc.constantFrom(0, 1, 127, 128, 254, 255);
  const one = fc.tuple(fc.array(byte, { minLength: size, maxLength: size }), fc.integer({ min: 0, max: size * 8 }));
  return fc.uniqueArray(
    one.map(([bytes, prefixLength]) => ({
      prefix: Uint8Array.from(bytes, (value, position) => {
        const bits = Math.min(8, Math.max(0, prefixLength - position * 8));
        return value & (0xff << (8 - bits)) & 0xff;
      }),
      prefixLength,
    })),
    { maxLength: 60, selector: ({ prefix, prefixLength }) => `${prefix.join()}/${prefixLength}` },
  );
}

function withAtoms<T>(entries: readonly T[]): readonly (T & { readonly atom: number })[] {
  return entries.map((entry, place) => ({ ...entry, atom: 1 + (place % 5) }));
}

function textOf(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join(".");
  return Array.from({ length: 8 }, (_, word) =>
    (((bytes[word * 2] ?? 0) << 8) | (bytes[word * 2 + 1] ?? 0)).toString(16),
  ).join(":");
}

/** The address, the one below and the one above. */
function around(bytes: Uint8Array): readonly (readonly number[])[] {
  const step = (by: 1 | -1): readonly number[] => {
    const next = [...bytes];
    for (let position = next.length - 1; position >= 0; position--) {
      const value = (next[position] ?? 0) + by;
      next[position] = value & 0xff;
      if (value >= 0 && value <= 255) break;
    }
    return next;
  };
  return [[...bytes], step(1), step(-1)];
}

function lastOf(prefix: Uint8Array, prefixLength: number): Uint8Array {
  return prefix.map((value, position) => value | (0xff >> Math.min(8, Math.max(0, prefixLength - position * 8))));
}

describe("packProgram", () => {
  it("finds the longest prefix at the edges of every one, in both families", () => {
    fc.assert(
      fc.property(prefixes(4), prefixes(16), (four, six) => {
        const program: HostProgram = { ...base, addresses4: withAtoms(four), addresses6: withAtoms(six) };
        const image = packProgram(program);
        const lookup = createLookup(program);
        for (const { prefix, prefixLength } of [...four, ...six])
          for (const bytes of [...around(prefix), ...around(lastOf(prefix, prefixLength))]) {
            const question = { set: 0, direction: "ingress", remote: textOf(bytes), protocol: 6, port: 80 } as const;
            const expected = lookup(question);
            // Loopback is decided before the tables are asked.
            if (expected.index < 16) continue;
            expect(answerFromImage(image, question)?.decision, question.remote).toBe(expected.index);
          }
      }),
      { numRuns: 60 },
    );
  });

  it("makes trees of several levels", () => {
    const program = renumberedProgram(2, 40_000);
    const image = packProgram(program);
    expect(image.bytes.length).toBe(image.lineCount * LINE_SIZE);
    const lookup = createLookup(program);
    for (let place = 0; place < 65_536; place += 101) {
      const remote = `172.${place >> 8}.${place & 255}.9`;
      const question = { set: 0, direction: "ingress", remote, protocol: 6, port: 80 } as const;
      expect(answerFromImage(image, question)?.decision, remote).toBe(lookup(question).index);
    }
  });

  it("has every class of many sets", () => {
    const workloads = Array.from({ length: 700 }, (_, id) => ({
      kind: "systemdUnit" as const,
      unit: `w${id}.service`,
    }));
    const rules = workloads.map((_, id) => {
      return {
        direction: "ingress",
        remote: `10.0.${id & 3}.1`,
        protocol: UDP,
        port: 1000 + id,
        verdict: "allow",
        set: id + 1,
      } as const;
    });
    const program = handProgram({ rules, workloads });
    const image = packProgram(program);
    const lookup = createLookup(program);
    for (let set = 0; set <= 700; set++)
      for (const port of [1000 + set - 1, 1000 + set]) {
        const question = { set, direction: "ingress", remote: `10.0.${(set - 1) & 3}.1`, protocol: UDP, port } as const;
        expect(answerFromImage(image, question)?.decision).toBe(lookup(question).index);
      }
  });

  it.each<[string, Partial<HostProgram>, string]>([
    [
      "a class without a default",
      { ports: base.ports.filter(({ protocol }) => protocol !== null) },
      "no default entry",
    ],
    [
      "a set without a class for atom 0",
      { classes: base.classes.filter(({ atom }) => atom !== 0) },
      "class for atom 0",
    ],
    ["a decision that does not exist", { decisions: base.decisions.slice(0, 16) }, "does not exist"],
    ["two answers for one prefix", { addresses4: [...base.addresses4, ...base.addresses4] }, "two answers"],
    ["two classes for one atom", { classes: [...base.classes, ...base.classes] }, "two classes"],
    ["another format", { formatVersion: 2 as never }, "format 2"],
  ])("refuses %s", (_, change, message) => {
    expect(() => packProgram({ ...base, ...change })).toThrow(message);
  });

  it("refuses more decisions than the host counts", () => {
    expect(() => packProgram(base, base.decisions.length - 1)).toThrow(`counts ${base.decisions.length - 1} at most`);
    expect(packProgram(base, base.decisions.length).decisionCount).toBe(base.decisions.length);
  });
});

describe("ImagePacker", () => {
  it("packs the same as a new one, whatever it packed before", () => {
    const packer = new ImagePacker();
    const variants = [0, 2000, 3, 700, 1, 30_000, 0, 12];
    variants.forEach((decoys, variant) => {
      const program = renumberedProgram(variant, decoys);
      const fresh = packProgram(program);
      expect(Buffer.compare(packer.pack(program).bytes, fresh.bytes)).toBe(0);
    });
  });
});
