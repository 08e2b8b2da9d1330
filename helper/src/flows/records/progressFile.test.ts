import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { BaselineRow } from "./flowBaselines.ts";
import { ProgressFile } from "./progressFile.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-progress-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const NO_LOSSES = { ringFull: 0n, rateLimited: 0n, notFollowed: 0n };
const KEY_LENGTH = 60;
/** Flows as a busy host has them in its first seconds. */
const rows = (count: number, carried: number): BaselineRow[] =>
  Array.from({ length: count }, (_, index): BaselineRow => {
    return [`${index}`.padStart(KEY_LENGTH, "f"), carried, carried, carried, carried];
  });

it("takes any number of flows in its first block: a host that is busy when its agent is new recorded nothing", async () => {
  const path = join(directory, "progress");
  const { file, restored } = await ProgressFile.open(path, "boot", 0n);
  expect(restored).toBeNull();
  await file.append(1n, { removed: [], set: rows(20_000, 1) }, NO_LOSSES);
  await file.append(2n, { removed: [], set: rows(20_000, 2) }, NO_LOSSES);
  await file.close();
  const again = await ProgressFile.open(path, "boot", 2n);
  expect(again.restored?.rows.size).toBe(20_000);
  expect([...(again.restored?.rows.values() ?? [])].at(-1)).toEqual(rows(20_000, 2).at(-1));
});
