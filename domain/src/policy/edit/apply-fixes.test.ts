import { describe, expect, it } from "vitest";
import type { DiagnosticFix } from "../diagnostic.ts";
import { readPolicyFiles } from "../read.ts";
import { applyFixes } from "./apply-fixes.ts";

function fix(title: string, ...edits: readonly (readonly [number, number, number, string])[]): DiagnosticFix {
  return {
    title,
    edits: edits.map(([line, column, endColumn, newText]) => ({
      range: { file: "a.yaml", line, column, endLine: line, endColumn },
      newText,
    })),
  };
}

describe("applyFixes", () => {
  it("makes all fixes at once, whatever their order", () => {
    const { text, refused } = applyFixes("one two\r\nthree\r\n", [
      fix("later", [2, 1, 6, "3"]),
      fix("earlier", [1, 5, 8, "2"], [1, 1, 4, "first"]),
    ]);
    expect(text).toBe("first 2\r\n3\r\n");
    expect(refused).toEqual([]);
  });

  it("refuses a fix that overlaps one that was made, as a whole", () => {
    const first = fix("first", [1, 1, 4, "1"]);
    const second = fix("second", [1, 3, 6, "x"], [2, 1, 1, "y"]);
    const insertion = fix("insertion", [1, 1, 1, "z"]);
    const result = applyFixes("one two\nthree", [first, second, insertion]);
    expect(result).toEqual({ text: "1 two\nthree", applied: [first], refused: [second, insertion] });
  });

  it.each([
    ["a line beyond the end", fix("x", [3, 1, 1, ""])],
    ["a column beyond the line", fix("x", [1, 9, 9, ""])],
    ["column 0", fix("x", [1, 0, 1, ""])],
    ["an end before its start", fix("x", [1, 4, 2, ""])],
    ["edits that overlap each other", fix("x", [1, 1, 4, "a"], [1, 2, 3, "b"])],
    ["nothing to do", fix("x")],
  ])("refuses %s", (_name, bad) => {
    expect(applyFixes("one two\nthree", [bad])).toEqual({ text: "one two\nthree", applied: [], refused: [bad] });
  });

  it("mends what the check found", () => {
    const text = `apiVersion: networking.k8s.io/v1
kind: NetworkPolcy
metadata: {nmae: shop}   # mistyped
spec:
  podSelector: {}
  ingress: [{ports: [{port: "443"}]}]
`;
    const check = (each: string) => readPolicyFiles([{ path: "a.yaml", text: each }]).diagnostics;
    let fixed = text;
    for (let round = 0; round < 3; round += 1) {
      fixed = applyFixes(
        fixed,
        check(fixed).flatMap((diagnostic) => diagnostic.fix ?? []),
      ).text;
    }
    expect(fixed).toContain("kind: NetworkPolicy\nmetadata: {name: shop}   # mistyped\n");
    expect(check(fixed).filter(({ severity }) => severity === "error")).toEqual([]);
  });
});
