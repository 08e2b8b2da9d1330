import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatSpiffeId, isAuthorised, MAX_SPIFFE_ID_BYTES, parseSpiffeId, sameSpiffeId } from "./index.ts";

const characters = (text: string) => fc.constantFrom(...text);
const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
const trustDomains = fc.string({ unit: characters(LOWER), minLength: 1, maxLength: 255 });
const segments = fc
  .string({ unit: characters(LOWER + UPPER), minLength: 1, maxLength: 40 })
  .filter((text) => text !== "." && text !== "..");
const ids = fc.record({ trustDomain: trustDomains, segments: fc.array(segments, { minLength: 1, maxLength: 8 }) });

/** The grammar once more, in one expression: what both say differently is a mistake of one of them. */
const GRAMMAR = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+$/;

describe("parseSpiffeId", () => {
  it("reads back every id that it writes, and nothing else reads as the same id", () => {
    fc.assert(
      fc.property(ids, (id) => {
        const text = formatSpiffeId(id);
        expect(parseSpiffeId(text)).toEqual(id);
        expect(formatSpiffeId(parseSpiffeId(text) ?? id)).toBe(text);
      }),
    );
  });

  it("agrees with the grammar on text near the edge of it", () => {
    const pieces = fc.constantFrom(
      "spiffe:",
      "/",
      "//",
      ".",
      "..",
      "a",
      "B",
      "-",
      "_",
      "%2f",
      "@",
      ":",
      "?",
      "#",
      "é",
      "\0",
      " ",
    );
    const near = fc.array(pieces, { maxLength: 10 }).map((parts) => `spiffe://${parts.join("")}`);
    fc.assert(
      fc.property(fc.oneof(near, fc.string(), ids.map(formatSpiffeId)), (text) => {
        const isOne = text.length <= MAX_SPIFFE_ID_BYTES && GRAMMAR.test(text) && !text.includes("\n");
        expect(parseSpiffeId(text) !== null).toBe(isOne);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ["no scheme", "demo/host/a"],
    ["another scheme", "https://demo/host/a"],
    ["a scheme in capitals", "SPIFFE://demo/host/a"],
    ["no path", "spiffe://demo"],
    ["an empty path", "spiffe://demo/"],
    ["a slash at the end", "spiffe://demo/host/a/"],
    ["an empty segment", "spiffe://demo//host/a"],
    ["a segment that goes up", "spiffe://demo/host/../server/a"],
    ["a segment that stays", "spiffe://demo/./a"],
    ["user information", "spiffe://demo@evil/host/a"],
    ["a port", "spiffe://demo:443/host/a"],
    ["a query", "spiffe://demo/host/a?x=1"],
    ["a fragment", "spiffe://demo/host/a#x"],
    ["percent-encoding", "spiffe://demo/host/%61"],
    ["capitals in the trust domain", "spiffe://Demo/host/a"],
    ["another alphabet", "spiffe://dеmo/host/a"],
    ["a NUL", "spiffe://demo/host/a\0b"],
    ["a line feed at the end", "spiffe://demo/host/a\n"],
    ["a space in front", " spiffe://demo/host/a"],
    ["a list", "spiffe://demo/host/a, URI:spiffe://demo/host/b"],
    ["a backslash", "spiffe://demo\\host\\a"],
    ["no trust domain", "spiffe:///host/a"],
    ["a trust domain that is too long", `spiffe://${"a".repeat(256)}/host/a`],
    ["more than 2,048 bytes", `spiffe://demo/${"a".repeat(2_048)}`],
  ])("refuses %s", (_what, text) => {
    expect(parseSpiffeId(text)).toBeNull();
  });

  it("takes exactly 2,048 bytes and a trust domain of 255", () => {
    expect(parseSpiffeId(`spiffe://demo/${"a".repeat(2_048 - 14)}`)).not.toBeNull();
    expect(parseSpiffeId(`spiffe://${"a".repeat(255)}/x`)).not.toBeNull();
  });
});

describe("formatSpiffeId", () => {
  it.each([[["a/b"]], [[".."]], [[""]], [[]], [["a b"]]])("throws for segments that make no id: %j", (parts) => {
    expect(() => formatSpiffeId({ trustDomain: "demo", segments: parts })).toThrow(RangeError);
  });
});

describe("isAuthorised", () => {
  const id = { trustDomain: "demo", segments: ["host", "a"] };

  it("takes exactly the ids that are listed", () => {
    expect(isAuthorised(id, ["spiffe://demo/host/b", "spiffe://demo/host/a"])).toBe(true);
    expect(isAuthorised(id, [])).toBe(false);
  });

  it.each([
    "spiffe://demo/host",
    "spiffe://demo/host/",
    "spiffe://demo/host/*",
    "spiffe://demo/host/ab",
    "spiffe://demo.evil/host/a",
    "spiffe://",
    "",
  ])("never by a part of it: %s", (entry) => {
    expect(isAuthorised(id, [entry])).toBe(false);
  });

  it("tells apart any two ids whose texts differ", () => {
    fc.assert(
      fc.property(ids, ids, (one, other) => {
        expect(sameSpiffeId(one, other)).toBe(formatSpiffeId(one) === formatSpiffeId(other));
      }),
    );
  });
});
