import { describe, expect, it } from "vitest";
import { decodePolicyBytes } from "./decode.ts";

function decode(bytes: Uint8Array, maxLength?: number): string {
  const decoded = decodePolicyBytes(bytes, "dropped.yaml", maxLength);
  if ("text" in decoded) return decoded.text;
  const { code, source } = decoded.diagnostic;
  return `${code} ${source.file} ${source.line}:${source.column}`;
}

const utf8 = (text: string) => new TextEncoder().encode(text);

describe("decodePolicyBytes", () => {
  it.each([
    ["plain text", utf8("a: b\n"), "a: b\n"],
    ["nothing", new Uint8Array(), ""],
    ["text beyond ASCII", utf8("# größe 𝕏\n"), "# größe 𝕏\n"],
    ["a byte order mark, which it takes off", utf8("\uFEFFa: b"), "a: b"],
    ["a replacement character that is really in the text", utf8("# \uFFFD"), "# \uFFFD"],
    ["one NUL byte, left for the check to point at", utf8(`${"a".repeat(100)}\0`), `${"a".repeat(100)}\0`],
  ])("reads %s", (_name, bytes, text) => {
    expect(decode(bytes)).toBe(text);
  });

  it.each([
    [
      "a program",
      Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 3, 0, 62, 0]),
      "WL114 dropped.yaml 1:1",
    ],
    ["UTF-16 with a mark", Uint8Array.from([0xfe, 0xff, 0, 0x61]), "WL115 dropped.yaml 1:1"],
    ["UTF-16 without one", Uint8Array.from(Buffer.from("apiVersion: v1\n", "utf16le")), "WL115 dropped.yaml 1:1"],
    ["Latin-1, at its place", Uint8Array.from([...utf8("a: b\nc: gr"), 0xf6, 0x7a]), "WL116 dropped.yaml 2:6"],
    [
      "a bad byte after a real replacement character",
      Uint8Array.from([...utf8("a\uFFFDb"), 0xff]),
      "WL116 dropped.yaml 1:4",
    ],
    ["a cut-off character", Uint8Array.from([...utf8("ab"), 0xe2, 0x82]), "WL116 dropped.yaml 1:3"],
  ])("refuses %s", (_name, bytes, expected) => {
    expect(decode(bytes)).toBe(expected);
  });

  it("refuses what is far too large before it looks at it", () => {
    expect(decode(new Uint8Array(31), 10)).toBe("WL109 dropped.yaml 1:1");
  });
});
