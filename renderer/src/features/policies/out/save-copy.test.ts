import fc from "fast-check";
import { expect, it } from "vitest";
import { copyName } from "./save-copy.ts";

/** What the shell lets be dragged out (drag-out.ts). */
const TAKEN = /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,119}\.(?:ya?ml|json|csv|ndjson|nft|conf)$/u;

it("names a copy so that the desktop takes it, whatever the path is", () => {
  expect(copyName("policies/shop/web.yaml")).toBe("web.yaml");
  expect(copyName("a\u202e<b>.yaml")).toBe("a__b_.yaml");
  expect(copyName(".yaml")).toBe("policy-.yaml");
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 400, unit: "grapheme" }), (path) => {
      expect(copyName(path)).toMatch(TAKEN);
    }),
  );
});
