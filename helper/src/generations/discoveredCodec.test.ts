import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { CorruptStateError, decodeGeneration, encodeGeneration } from "./recordCodec.ts";
import { GENERATION_ZERO, type StoredGeneration } from "./records.ts";

const STORED: StoredGeneration = {
  ...GENERATION_ZERO,
  number: 3,
  circumstances: {
    ...GENERATION_ZERO.circumstances,
    discovered: [
      {
        kind: "service",
        namespace: "shop",
        name: "db",
        instance: "10.0.0.5",
        labels: new Map([["app", "db"]]),
        addresses: ["10.0.0.5"],
      },
      { kind: "member", namespace: "default", name: "web-1", instance: "", labels: new Map(), addresses: [] },
    ],
  },
};

/** The record with other content and the checksum that fits it. */
function changed(change: (circumstances: Record<string, unknown>) => void): string {
  const { checksum: _, ...content } = JSON.parse(encodeGeneration(STORED));
  change(content.payload.circumstances);
  const checksum = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  return JSON.stringify({ ...content, checksum });
}

describe("what was discovered in the record of a generation", () => {
  it("comes back as it was", () => {
    expect(decodeGeneration(encodeGeneration(STORED))).toEqual(STORED);
  });

  it("is nothing in records from before there was such a thing", () => {
    const old = decodeGeneration(
      changed((circumstances) => {
        delete circumstances.discovered;
      }),
    );
    expect(old.circumstances.discovered).toEqual([]);
  });

  it.each([
    ["no list", 5],
    ["an unknown kind", [{ kind: "robot", namespace: "", name: "", instance: "", labels: [], addresses: [] }]],
    ["a label without a value", [{ ...STORED.circumstances.discovered[1], labels: [["app"]] }]],
    ["a number for an address", [{ ...STORED.circumstances.discovered[1], labels: [], addresses: [7] }]],
  ])("is refused when it is %s", (_, discovered) => {
    const encoded = changed((circumstances) => {
      circumstances.discovered = discovered;
    });
    expect(() => decodeGeneration(encoded)).toThrow(CorruptStateError);
  });
});
