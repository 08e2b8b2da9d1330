/** Words in the texts of many versions: the same as one question to the database finds, while everybody else has a turn. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { silentLogger } from "../ports.ts";
import { Store } from "../store/store.ts";
import { VersionsTable } from "../store/versions-table.ts";
import { VersionIndex, type VersionQuery } from "./version-index.ts";

const forever = new AbortController().signal;
const ANY: VersionQuery = {
  ...{ author: "", ticket: "", path: "", text: "", kinds: [], sinceMs: null, untilMs: null },
  ...{ beforeNumber: 0, limit: 500 },
};

let directory: string;
let store: Store;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-versions-"));
  store = new Store({ stateDir: directory, logger: silentLogger });
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Made {
  readonly reason: string;
  readonly ticket: string;
  readonly author: string;
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

let made = 0;
function keep(versions: VersionsTable, { files, ...about }: Made): number {
  made += 1;
  const id = made.toString(16).padStart(64, "0");
  return versions.record({ id, files, policyCount: 0, ...about }, 1_000 + made).number;
}

const WORDS = ["red", "GREEN", "blue", "x", ""];
const word = fc.constantFrom(...WORDS);
const madeVersion = fc.record({
  ...{ reason: word, ticket: word, author: word },
  files: fc.uniqueArray(fc.record({ path: fc.constantFrom("a", "b", "c"), text: word }), {
    selector: ({ path }) => path,
  }),
});

it("finds what is said of a version, and what is in the texts that it changed", async () => {
  let matching = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(madeVersion, { minLength: 1, maxLength: 12 }),
      fc.constantFrom("red", "Green", "b", "BLUE"),
      fc.integer({ min: 1, max: 4 }),
      async (history, text, limit) => {
        const versions = new VersionsTable(store);
        const before = versions.list(1)[0];
        let old = new Map(before ? versions.files(before.id).map((file) => [file.path, file.text]) : []);
        const expected: number[] = [];
        for (const one of history) {
          const number = keep(versions, one);
          const holds = (given: string) => given.toLowerCase().includes(text.toLowerCase());
          const changed = one.files.filter((file) => old.get(file.path) !== file.text);
          if ([one.reason, one.ticket, one.author, ...changed.map((file) => file.text)].some(holds)) {
            expected.unshift(number);
          }
          old = new Map(one.files.map((file) => [file.path, file.text]));
        }
        matching += expected.length;
        const first = versions.list(history.length).at(-1)?.number ?? 0;
        const index = new VersionIndex(store);
        const found = await index.search({ ...ANY, text }, forever);
        expect(found.map(({ number }) => number).filter((number) => number >= first)).toEqual(expected);
        const page = await index.search({ ...ANY, text, limit }, forever);
        expect(page).toEqual(found.slice(0, limit));
        const last = page.at(-1);
        if (!last) return;
        const next = await index.search({ ...ANY, text, limit, beforeNumber: last.number }, forever);
        expect(next).toEqual(found.slice(limit, 2 * limit));
      },
    ),
    { numRuns: 40, seed: 20_261_122 },
  );
  expect(matching).toBeGreaterThan(100);
});

it("gives others their turn between texts, reads each text once, and ends when nobody waits any more", async () => {
  const versions = new VersionsTable(store);
  const texts = Array.from({ length: 12 }, (_, index) => `${"text ".repeat(180_000)}${index}`);
  for (let round = 0; round < 3; round++) {
    for (const [index, text] of texts.entries()) {
      keep(versions, { reason: "", ticket: "", author: "", files: [{ path: `${index}.yaml`, text }] });
    }
  }
  const index = new VersionIndex(store);
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  const search = index.search({ ...ANY, text: "nowhere to be found" }, forever).finally(() => {
    isOver = true;
  });
  setImmediate(count);
  expect(await search).toEqual([]);
  // Two texts fill a turn: of 36, which are 12 different ones, others had five in between at least.
  expect(turns).toBeGreaterThanOrEqual(5);
  expect(turns).toBeLessThan(20);

  const gone = new AbortController();
  const abandoned = index.search({ ...ANY, text: "nowhere to be found" }, gone.signal);
  setImmediate(() => gone.abort(new Error("gone")));
  await expect(abandoned).rejects.toThrow("gone");
});
