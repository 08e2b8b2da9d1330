import { describe, expect, it } from "vitest";
import { labelProblem } from "./label-problem.ts";

describe("labelProblem", () => {
  it("accepts what Kubernetes accepts", () => {
    expect(
      labelProblem([
        { key: "app", value: "web" },
        { key: "example.org/tier_1", value: "" },
      ]),
    ).toBeNull();
  });
  it.each([
    [[{ key: "", value: "x" }], "needs a key"],
    [[{ key: "-a", value: "x" }], "A key has"],
    [[{ key: "a", value: "x y" }], "A value has"],
    [[{ key: "a\u202e", value: "x" }], "A key has"],
    [
      [
        { key: "a", value: "1" },
        { key: "a ", value: "2" },
      ],
      "twice",
    ],
  ])("refuses %j", (rows, words) => {
    expect(labelProblem(rows)).toContain(words);
  });
});
