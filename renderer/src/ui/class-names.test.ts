/** Style sheets of all views end up in one page, in the order in which views were opened: a class belongs to one feature. */
import { globSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, it } from "vitest";

const SOURCE = join(import.meta.dirname, "..");
/** Print restates what it changes; a feature's sheets may share their own classes. */
const LEFT_OUT = /(^ui\/print\.css$|^testing\/)/;

function owner(path: string): string {
  const [top = "", feature = ""] = path.split("/");
  return top === "features" ? feature : top;
}

it("no class is drawn by two features", () => {
  const owners = new Map<string, Set<string>>();
  for (const path of globSync("**/*.css", { cwd: SOURCE }).map((each) => relative(SOURCE, join(SOURCE, each)))) {
    if (LEFT_OUT.test(path)) continue;
    const text = readFileSync(join(SOURCE, path), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
    for (const [, selectors = ""] of text.matchAll(/([^{}]+)\{/g)) {
      for (const selector of selectors.split(",")) {
        const [, name] = /^\.([a-z0-9-]+)(?=$|[:[\s>.])/.exec(selector.trim()) ?? [];
        if (name) owners.set(name, (owners.get(name) ?? new Set()).add(owner(path)));
      }
    }
  }
  const shared = [...owners].filter(([, names]) => names.size > 1).map(([name, names]) => `${name}: ${[...names]}`);
  expect(owners.size).toBeGreaterThan(200);
  expect(shared).toEqual([]);
});
