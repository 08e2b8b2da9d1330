/** What is decided by policies in observe mode keeps up with their text, although its id says nothing of where it stands. */
import { expect, it } from "vitest";
import { readPolicyFiles } from "../read.ts";
import { compile, createCompiler } from "./index.ts";

const HOST =
  "apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: a, labels: {app: a}}\nspec: {addresses: [10.0.0.1]}\n";

function worldOf(tier: string, ...rules: readonly string[]) {
  const lines = [
    "apiVersion: wardline.io/v1",
    "kind: Policy",
    "metadata: {name: web}",
    "spec:",
    "  subject: {selector: {}}",
    "  mode: observe",
    `  tier: ${tier}`,
    "  ingress:",
    ...rules,
  ];
  const reading = readPolicyFiles([{ path: "web.yaml", text: `${HOST}---\n${lines.join("\n")}\n` }]);
  expect(reading.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return reading.world;
}

const [FIRST, SECOND] = [80, 81].map(
  (port) => `    - {from: [{ipBlock: {cidr: 10.1.0.0/16}}], ports: [{port: ${port}}]}`,
) as [string, string];

it.each([
  ["becomes a comment", "admin", [`    #off ${FIRST.trimStart()}`, SECOND]],
  ["takes a line more", "admin", [FIRST.replace(", ports", ",\n      ports"), SECOND]],
  ["is of another tier with its policy", "baseline", [FIRST, SECOND]],
])("an observed rule before another one %s", (_name, tier, rules) => {
  const compiler = createCompiler(worldOf("admin", FIRST, SECOND));
  compiler.program("a");
  compiler.update(worldOf(tier, ...rules));
  const program = compiler.program("a");
  expect(program.decisions.some(({ observeOnly, reason }) => observeOnly && reason === "rule")).toBe(true);
  expect(program).toEqual(compile(compiler.world, "a"));
});
