/** A packed description is the same bytes again, whatever they are; of the generated ones, less than half is left. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pack, packLibrary } from "./packed-descriptors.ts";
import { LONGEST, unpack } from "./unpack.ts";

const GENERATED = join(import.meta.dirname, "../../api/gen");
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

describe("packed descriptions", () => {
  it("are what they were, for every generated file", () => {
    const files = readdirSync(GENERATED, { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith("_pb.js"),
    );
    let before = 0;
    let after = 0;
    for (const file of files) {
      const [, text = ""] = /fileDesc\("([^"]+)"/u.exec(readFileSync(join(GENERATED, file), "utf8")) ?? [];
      expect(text.length, file).toBeGreaterThan(0);
      const bytes = Buffer.from(text, "base64");
      const packed = pack(bytes);
      expect(unpack(packed), file).toBe(base64(bytes));
      before += text.length;
      after += Buffer.byteLength(packed);
    }
    expect(files.length).toBeGreaterThan(30);
    expect(after).toBeLessThan(before / 2);
  });

  it("are what they were, for any bytes: none, one, all values, the same for longer than a reference reaches", () => {
    const cases = [
      new Uint8Array(),
      new Uint8Array([255]),
      Uint8Array.from({ length: 1_024 }, (_, index) => index % 256),
      new Uint8Array(5 * LONGEST + 3),
    ];
    let state = 7;
    for (let round = 0; round < 200; round++) {
      // Few values, so that there is much to refer to.
      const next = () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state >>> 16;
      };
      cases.push(Uint8Array.from({ length: next() % 2_000 }, () => next() % (1 + (round % 7))));
    }
    for (const bytes of cases) expect(unpack(pack(bytes))).toBe(base64(bytes));
  });

  it("are made of the library's own, and of it as it is written now: another way of writing ends the build", () => {
    const directory = join(import.meta.dirname, "../../node_modules/@bufbuild/protobuf/dist/esm/wkt/google/protobuf");
    const files = readdirSync(directory).filter((name) => name.endsWith("_pb.js"));
    for (const file of files) {
      const packed = packLibrary(readFileSync(join(directory, file), "utf8"), join(directory, file));
      expect(packed.includes("unpack("), file).toBe(file === "descriptor_pb.js");
    }
    const id = join(directory, "descriptor_pb.js");
    const code = readFileSync(id, "utf8");
    const packed = packLibrary(code, id);
    expect(packed.length).toBeLessThan(code.length);
    expect(packed).not.toContain("boot({");
    expect(() => packLibrary(code.replace("boot({", "start({"), id)).toThrow("no description");
    expect(() => packLibrary("export var Kind;\nKind = {};\n", join(directory, "any_pb.js"))).toThrow("enumeration");
  });
});
