import { create } from "@bufbuild/protobuf";
import { PlannedDocumentSchema } from "@wardline/api/wardline/console/v1/cluster";
import { describe, expect, it } from "vitest";
import { mayMerge, stillHold } from "./sync-plan.ts";

const planned = (key: string, mineText: string, theirsText: string) =>
  create(PlannedDocumentSchema, { key, mineText, theirsText });

describe("choices of a sync", () => {
  it("hold over a new plan only where both texts are what they were", () => {
    const choices = new Map([
      ["same", "chosen"],
      ["theirs", "chosen"],
      ["mine", "chosen"],
      ["gone", "chosen"],
    ]);
    const before = [
      planned("same", "a", "b"),
      planned("theirs", "a", "b"),
      planned("mine", "a", "b"),
      planned("gone", "a", "b"),
    ];
    const now = [planned("same", "a", "b"), planned("theirs", "a", "c"), planned("mine", "c", "b")];
    expect([...stillHold(choices, before, now).keys()]).toEqual(["same"]);
    expect(stillHold(choices, [], now).size).toBe(0);
  });

  it("are whole where a side has deleted the document", () => {
    expect([planned("k", "a", "b"), planned("k", "", "b"), planned("k", "a", "")].map(mayMerge)).toEqual([
      true,
      false,
      false,
    ]);
  });
});
