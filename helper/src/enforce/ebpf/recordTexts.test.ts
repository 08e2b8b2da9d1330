import { canonicalAddress } from "@wardline/domain/policy";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OWNER } from "./layout.ts";
import { readAddress, readProcess } from "./recordTexts.ts";

const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_122);
/** Few enough bytes that many addresses are the same, and some share all words but one. */
const byte = fc.constantFrom(0, 0, 0, 1, 0xff, 0x20, 0x7f);
const wide = fc.array(byte, { minLength: 16, maxLength: 16 });
const mapped = fc
  .array(fc.nat({ max: 255 }), { minLength: 4, maxLength: 4 })
  .map((four) => [...Array<number>(10).fill(0), 0xff, 0xff, ...four]);

function plainText(bytes: readonly number[]): string {
  if (bytes.slice(0, 10).every((each) => each === 0) && bytes[10] === 0xff && bytes[11] === 0xff)
    return bytes.slice(12).join(".");
  const groups = Array.from({ length: 8 }, (_, at) =>
    (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16),
  );
  return canonicalAddress(groups.join(":")) ?? "";
}

function viewOf(bytes: readonly number[]): DataView {
  return new DataView(Uint8Array.from([0, 0, 0, 0, ...bytes]).buffer);
}

describe("texts of records", () => {
  it("are those of their own bytes, however many others came to the same places before", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(wide, mapped), { minLength: 200, maxLength: 400 }), (all) => {
        for (const bytes of [...all, ...all]) expect(readAddress(viewOf(bytes), 4)).toBe(plainText(bytes));
      }),
      { numRuns: 20, seed: SEED },
    );
    // More than there are places.
    for (let index = 0; index < 5000; index++) {
      const bytes = [...Array<number>(10).fill(0), 0xff, 0xff, 10, index >> 8, index & 255, 7];
      expect(readAddress(viewOf(bytes), 4)).toBe(`10.${index >> 8}.${index & 255}.7`);
    }
  });

  it("name the process of each record, also when a number or a name is used again", () => {
    const read = (pid: number, userId: number, command: string) => {
      const view = new DataView(new ArrayBuffer(4 + OWNER.size));
      view.setUint32(4 + OWNER.pid, pid, true);
      view.setUint32(4 + OWNER.userId, userId, true);
      for (const [at, character] of [...command].entries())
        view.setUint8(4 + OWNER.command + at, character.charCodeAt(0));
      return readProcess(view, 4);
    };
    expect(read(0, 0, "nobody")).toBe(null);
    for (const pid of [1, 7, 1, 7])
      for (const userId of [0, 1000])
        for (const command of ["curl", "curl2", "a\x1b[2J", "sixteen-bytes-16"])
          expect(read(pid, userId, command)).toEqual({ pid, userId, command: command.replace("\x1b", "?") });
  });
});
