import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DiagnosticSink } from "../check/sink.ts";
import { DEFAULT_READ_LIMITS } from "../yaml/limits.ts";
import { LineIndex } from "../yaml/line-index.ts";
import type { YamlNode } from "../yaml/node.ts";
import { readQuickly } from "../yaml/quick/read.ts";
import { ShapedRule } from "../yaml/quick/shaped-rule.ts";
import { Reporter } from "../yaml/reporter.ts";
import { readWithLibrary } from "../yaml/testing/library.ts";
import { disturbedShapes, shapedPolicies } from "../yaml/testing/shaped-texts.ts";
import { cleaned } from "../yaml/testing/texts.ts";
import { readDocument } from "./read-document.ts";

const NUM_RUNS = Number(process.env.WARDLINE_YAML_RUNS ?? 1500);
/** Random unless given: a failure names the seed and the path to its case. */
const AGAIN = process.env.WARDLINE_FUZZ_SEED
  ? { seed: Number(process.env.WARDLINE_FUZZ_SEED), path: process.env.WARDLINE_FUZZ_PATH ?? "" }
  : {};

function meaningOf(text: string, root: YamlNode) {
  const sink = new DiagnosticSink(100);
  const documents = readDocument(root, new Reporter(sink, new LineIndex("test.yaml", text, 3)));
  return { documents, diagnostics: sink.finish(new Map()) };
}

/** Compares what both trees mean, places and diagnostics included; returns how many rules were read at once. */
function compare(raw: string): number {
  const text = cleaned(raw);
  // The quick reader is given one document at a time.
  if (/\n---(?:\s|$)/.test(text)) return 0;
  const quick = readQuickly(text, DEFAULT_READ_LIMITS);
  if (quick.kind === "declined" || quick.root === null) return 0;
  const { roots, problems } = readWithLibrary(text);
  expect(problems).toEqual([]);
  const read = { text, ...meaningOf(text, quick.root) };
  const wanted = { text, ...meaningOf(text, roots[0]!) };
  if (!isDeepStrictEqual(read, wanted)) expect(read).toEqual(wanted);
  return shapedRulesIn(quick.root);
}

function shapedRulesIn(node: YamlNode): number {
  if (node instanceof ShapedRule) return 1;
  if (node.kind === "scalar") return 0;
  const parts = node.kind === "list" ? node.items : node.entries.map(({ value }) => value);
  return parts.reduce((sum, part) => sum + shapedRulesIn(part), 0);
}

describe("rules of the common shape mean what they mean read in full", { timeout: 120_000 }, () => {
  it("with values of all kinds", () => {
    let shaped = 0;
    const property = fc.property(shapedPolicies, (text) => {
      shaped += compare(text);
    });
    fc.assert(property, { numRuns: NUM_RUNS, ...AGAIN });
    expect(shaped).toBeGreaterThan(NUM_RUNS / 2);
  });

  it("changed at random", () => {
    fc.assert(
      fc.property(disturbedShapes, (text) => void compare(text)),
      // A lone carriage return is replaced before anything is read: the two readers would take it for different things.
      { numRuns: NUM_RUNS, examples: [["a: 1\r#\n"]], ...AGAIN },
    );
  });

  const HEAD = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec:\n  podSelector: {}\n";
  it.each([
    ["in brackets", "  - to: [{ipBlock: {cidr: 10.0.0.0/8}}]\n    ports: [{protocol: TCP, port: 80}]\n", 1],
    [
      "in lines",
      "  - to:\n    - ipBlock:\n        cidr: 10.0.0.0/8\n    ports:\n    - protocol: UDP\n      port: 53\n",
      1,
    ],
    [
      "with a last port",
      "    - to: [{ipBlock: {cidr: 1.2.3.4/32}}]\n      ports: [{protocol: SCTP, port: 1, endPort: 65535}]\n",
      1,
    ],
    [
      "before another key",
      "  - to: [{ipBlock: {cidr: 10.0.0.0/8}}]\n    ports: [{protocol: TCP, port: 80}]\n    to: 1\n",
      0,
    ],
    ["with host bits", "  - to: [{ipBlock: {cidr: 10.0.0.1/8}}]\n    ports: [{protocol: TCP, port: 80}]\n", 0],
    [
      "with a port of six digits",
      "  - to: [{ipBlock: {cidr: 10.0.0.0/8}}]\n    ports: [{protocol: TCP, port: 655351}]\n",
      0,
    ],
    [
      "in the wrong direction",
      "  - from: [{ipBlock: {cidr: 10.0.0.0/8}}]\n    ports: [{protocol: TCP, port: 80}]\n",
      1,
    ],
  ])("%s", (_name, rule, expected) => {
    expect(compare(`${HEAD}  egress:\n${rule}`)).toBe(expected);
  });

  it("counts values and depth as the full parser does", () => {
    const rule = "  - to: [{ipBlock: {cidr: 10.0.0.0/8}}]\n    ports: [{protocol: TCP, port: 80, endPort: 81}]\n";
    const text = `- a\n- b:\n${rule}${rule}`;
    const kindsBy = (limit: "maxDepth" | "maxNodesPerDocument", most: number) =>
      Array.from({ length: most }, (_, value) => readQuickly(text, { ...DEFAULT_READ_LIMITS, [limit]: value }).kind);
    // The document is a list, a text and a mapping, a list in it, and twice the ten values of the rule.
    expect(kindsBy("maxNodesPerDocument", 30).indexOf("read")).toBe(24);
    expect(kindsBy("maxDepth", 10).indexOf("read")).toBe(7);
  });
});
