import { describe, expect, it } from "vitest";
import { findAttribute, findNested, numberAttribute, readAttributes, textAttribute, textOf } from "./attributes.ts";

describe("netlink attributes", () => {
  const message = Buffer.concat([textAttribute(1, "wardline"), numberAttribute(3, 0x01020304), textAttribute(1, "b")]);

  it("are read as they are written, padded to four bytes", () => {
    expect(textAttribute(1, "wardline").length % 4).toBe(0);
    expect(readAttributes(message).map(({ type, value }) => [type, value.length])).toEqual([
      [1, 9],
      [3, 4],
      [1, 2],
    ]);
    expect(textOf(findAttribute(message, 1)), "the first of a type").toBe("wardline");
    expect(findAttribute(message, 3)?.readUInt32BE()).toBe(0x01020304);
    expect(findAttribute(message, 2)).toBeNull();
    expect(textOf(null)).toBe("");
  });

  it("are found inside others, whatever flags their type has", () => {
    const inner = textAttribute(2, "x");
    const outer = Buffer.concat([Buffer.alloc(4), inner]);
    outer.writeUInt16LE(outer.length, 0);
    outer.writeUInt16LE(0x8000 | 7, 2);
    expect(textOf(findNested(outer, 7, 2))).toBe("x");
    expect(findNested(outer, 6, 2)).toBeNull();
  });

  it.each([3, message.length + 1])("that claim %i bytes are an error, never read past their end", (length) => {
    const broken = Buffer.from(message);
    broken.writeUInt16LE(length, 0);
    expect(() => readAttributes(broken)).toThrow(/cut/);
    expect(() => findAttribute(broken, 9)).toThrow(/cut/);
  });
});
