import { describe, expect, it } from "vitest";
import { hasInvisible, replaceInvisible } from "./index.ts";

const hex = (codePoint: number) => `<${codePoint.toString(16)}>`;

describe("invisible characters", () => {
  it.each([
    0x00, 0x0a, 0x1b, 0x7f, 0x9b, 0xad, 0x34f, 0x61c, 0x115f, 0x200b, 0x202e, 0x2028, 0x2066, 0x3164, 0xfeff, 0xd800,
    0xe0041,
  ])("finds U+%s", (codePoint) => {
    const text = `a${String.fromCodePoint(codePoint)}b`;
    expect(hasInvisible(text)).toBe(true);
    expect(replaceInvisible(text, hex)).toBe(`a${hex(codePoint)}b`);
  });

  it("leaves every letter that is seen, and says the same when asked again", () => {
    for (const text of ["policies/web.yaml", "größe", "政策", "naïve 🙂", "e\u0301"]) {
      expect(hasInvisible(text)).toBe(false);
      expect(replaceInvisible(text, hex)).toBe(text);
    }
    expect([hasInvisible("\u202e"), hasInvisible("\u202e")]).toEqual([true, true]);
  });
});
