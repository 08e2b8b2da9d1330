import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compile } from "../compile/index.ts";
import { readPolicyFiles } from "../read.ts";
import { describeRefusal } from "./emission.ts";
import { emitPf } from "./pf.ts";
import { parsePfAnchor } from "./pf-grammar.ts";

const ROOT = new URL("../../../../", import.meta.url);
const GOLDEN = new URL("./golden/pf/", import.meta.url);

interface Sample {
  readonly name: string;
  readonly text: string;
  readonly inventory: string;
}

function samplesOf(folder: string, inventoryPath: string): readonly Sample[] {
  const inventory = readFileSync(new URL(inventoryPath, ROOT), "utf8");
  const names = readdirSync(new URL(folder, ROOT)).filter((name) => name.endsWith(".yaml"));
  return names
    .filter((name) => name !== "inventory.yaml")
    .map((name) => ({ name, text: readFileSync(new URL(`${folder}${name}`, ROOT), "utf8"), inventory }));
}

/** For the first host that the sample is about: its anchor, or why pf cannot hold it. */
function anchorOf({ name, text, inventory }: Sample): string | null {
  const place = { path: "inventory.yaml", text: inventory };
  const empty = readPolicyFiles([place]).world;
  const { world, ok } = readPolicyFiles([place, { path: name, text }]);
  expect(ok).toBe(true);
  const hostName = [...new Set(world.inventory.endpoints.map((endpoint) => endpoint.hostName))]
    .filter((host) => host !== null)
    .sort()
    .find((host) => compile(world, host).digest !== compile(empty, host).digest);
  if (hostName === undefined) return null;
  const { script, refused } = emitPf(compile(world, hostName), { mode: "enforce" });
  return script ?? `${refused.map((refusal) => `# refused: ${describeRefusal(refusal)}`).join("\n")}\n`;
}

/**
 * Anchors of policies that people start from, as they were read by eye against pf.conf(5) of macOS: tables, then scrub,
 * then filter rules; `quick` and a label on each; `flags any` where TCP may match; no `match` and no `set`, which this pf
 * does not have or ignores in anchors. A change of these files has to be read the same way.
 */
describe.each([
  ["assets/samples/", "domain/src/policy/emit/golden/pf/inventory.yaml"],
  ["e2e/fixtures/ztap/", "e2e/fixtures/ztap/inventory.yaml"],
])("pf anchors of %s", (folder, inventory) => {
  const samples = samplesOf(folder, inventory);

  it.each(samples)("$name (UPDATE_GOLDEN=1 writes it)", (sample) => {
    const anchor = anchorOf(sample) ?? "# about no host of the inventory\n";
    const path = new URL(`${folder.split("/").at(-2)}.${sample.name.replace(/\.yaml$/, ".pf.conf")}`, GOLDEN);
    if (process.env.UPDATE_GOLDEN) writeFileSync(path, anchor);
    expect(readFileSync(path, "utf8")).toBe(anchor);
    if (!anchor.startsWith("# refused") && !anchor.startsWith("# about")) {
      expect(parsePfAnchor(anchor).rules.length).toBeGreaterThan(5);
    }
  });
});
