/** Somebody types: after each line, what goes on from before says what everything read and compiled anew says. */
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, it } from "vitest";
import { compile, createCompiler } from "./compile/index.ts";
import { createPolicyReader, readPolicyFiles } from "./read.ts";

const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_122);

const HOSTS = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: a, labels: {app: web}}
spec: {addresses: [10.0.0.1]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: b, labels: {app: db}}
spec: {addresses: [10.0.0.2, "fd00::2"]}
`;

const policy = (name: string, mode: string, tier: string) => `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: ${name}}
spec:
  subject: {selector: {matchLabels: {app: web}}}
  mode: ${mode}
  tier: ${tier}
  ingress:
    - {from: [{ipBlock: {cidr: 10.1.0.0/16}}], ports: [{port: 80}]}
    - {from: [{ipBlock: {cidr: 10.1.1.0/24}}], ports: [{port: 81}]}
    - {from: [{selector: {matchLabels: {app: db}}}], ports: [{port: 80}]}
    - {from: [{ipBlock: {cidr: 10.2.0.0/16}}], ports: [{port: 80}]}
  egress:
    - {to: [{ipBlock: {cidr: 10.1.0.0/16}}], ports: [{port: 80}, {port: 443}]}
    - {to: [{ipBlock: {cidr: 10.1.0.0/16}}], ports: [{port: 80}, {port: 443}]}
`;

const mode = fc.constantFrom("enforce", "observe");
const texts = fc
  .tuple(mode, mode, fc.constantFrom("admin", "application", "baseline"))
  .map(([one, other, tier]): readonly string[] => [
    `${policy("p1", one, tier)}---\n${policy("p2", other, "admin")}`,
    HOSTS,
  ]);

/** What is done to a line, given another one and a number. */
const EDITS: Readonly<Record<string, (lines: string[], line: number, other: number) => void>> = {
  "takes it away": (lines, line) => lines.splice(line, 1),
  "doubles it": (lines, line) => lines.splice(line, 0, lines[line] ?? ""),
  "switches it off": (lines, line) => {
    lines[line] = (lines[line] ?? "").replace(/^ */, "$&#off ");
  },
  "switches all on": (lines) => {
    for (const [place, text] of lines.entries()) lines[place] = text.replace("#off ", "");
  },
  "moves it": (lines, line, other) => lines.splice(other, 0, ...lines.splice(line, 1)),
  "has a line before it": (lines, line) => lines.splice(line, 0, ""),
  "has another port": (lines, line, other) => {
    lines[line] = (lines[line] ?? "").replace(/port: \d+/, `port: ${79 + (other % 4)}`);
  },
  "has another label": (lines, line) => {
    lines[line] = (lines[line] ?? "").replace(/app: (?:web|db)/, (text) =>
      text === "app: web" ? "app: db" : "app: web",
    );
  },
  "has another mode": (lines) => {
    const place = lines.findIndex((text) => text.includes("mode: "));
    if (place >= 0) lines[place] = lines[place]?.includes("enforce") ? "  mode: observe" : "  mode: enforce";
  },
  "has another tier": (lines, _line, other) => {
    const place = lines.findIndex((text) => text.includes("tier: "));
    if (place >= 0) lines[place] = `  tier: ${["admin", "application", "baseline"][other % 3]}`;
  },
};
const edits = fc.array(
  fc.record({ kind: fc.constantFrom(...Object.keys(EDITS)), file: fc.nat(5), line: fc.nat(99), other: fc.nat(99) }),
  { minLength: 1, maxLength: 12 },
);

it("goes on from what was read and compiled before, and says what a fresh start says", { timeout: 120_000 }, () => {
  let compiled = 0;
  const property = fc.property(texts, edits, (first, steps) => {
    const reader = createPolicyReader();
    let compiler: ReturnType<typeof createCompiler> | null = null;
    const files = first.map((text, place) => ({ path: `${place}.yaml`, text }));
    for (const step of [null, ...steps]) {
      // Mostly the file with the policies.
      const place = step?.file === 0 ? 1 : 0;
      const lines = (files[place]?.text ?? "").split("\n");
      if (step) EDITS[step.kind]?.(lines, step.line % lines.length, step.other % lines.length);
      files[place] = { path: `${place}.yaml`, text: lines.join("\n") };
      const [read, fresh] = [reader.read(files), readPolicyFiles(files)];
      if (!isDeepStrictEqual(read, fresh)) expect(read, step?.kind).toEqual(fresh);
      if (!read.ok) continue;
      if (compiler) compiler.update(read.world);
      else compiler = createCompiler(read.world);
      compiled += 1;
      for (const host of ["a", "b"]) {
        const [program, anew] = [compiler.program(host), compile(fresh.world, host)];
        if (!isDeepStrictEqual(program, anew)) expect(program, step?.kind).toEqual(anew);
      }
    }
  });
  fc.assert(property, { numRuns: 60, seed: SEED });
  expect(compiled).toBeGreaterThan(150);
});
