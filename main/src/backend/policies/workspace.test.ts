import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, expect, it } from "vitest";
import { silentLogger, systemClock } from "../ports.ts";
import { FilesTable } from "../store/files-table.ts";
import { SettingsTable } from "../store/settings-table.ts";
import { Store } from "../store/store.ts";
import { VersionsTable } from "../store/versions-table.ts";
import { Workspace } from "./workspace.ts";

let stateDir: string;
let store: Store;
let workspace: Workspace;
let nowMs: number;

beforeEach(() => {
  nowMs = Date.UTC(2026, 10, 1);
  stateDir = mkdtempSync(join(tmpdir(), "wardline-workspace-"));
  store = new Store({ stateDir, logger: silentLogger });
  const files = new FilesTable(store, new SettingsTable(store));
  workspace = new Workspace({
    store,
    files,
    versions: new VersionsTable(store),
    clock: { ...systemClock, nowMs: () => nowMs },
  });
});
afterEach(() => {
  store.close();
  rmSync(stateDir, { recursive: true });
});

/** SQLite answers SQLITE_FULL at this bound as it does when the disk is full. */
function fillDisk(): void {
  store.database.pragma(`max_page_count = ${store.database.pragma("page_count", { simple: true })}`);
}

function failureOf(body: () => unknown): Failure {
  try {
    body();
  } catch (error) {
    if (error instanceof Failure) return error;
  }
  throw new Error("no failure");
}

it("keeps the text of a draft that a full disk did not take, and what was saved before", () => {
  const revision = workspace.save("a.yaml", "before\n", 0);
  fillDisk();
  const text = "#".repeat(500_000);
  expect(failureOf(() => workspace.save("a.yaml", text, revision))).toMatchObject({
    code: ErrorCode.DISK_FULL,
    retryable: true,
  });
  expect(workspace.file("a.yaml")).toMatchObject({ text, revision });
  expect(workspace.snapshot().files).toMatchObject([{ path: "a.yaml", text: "before\n", revision }]);
  store.database.pragma("max_page_count = 1000000");
  const saved = workspace.save("a.yaml", text, revision);
  expect(workspace.file("a.yaml")).toMatchObject({ text, revision: saved });
  expect(workspace.snapshot().files).toMatchObject([{ text }]);
});

it("imports all of several files or none when the disk is full", () => {
  fillDisk();
  const files = Array.from({ length: 20 }, (_, index) => ({ path: `${index}.yaml`, text: "#".repeat(100_000) }));
  expect(failureOf(() => workspace.putAll(files)).code).toBe(ErrorCode.DISK_FULL);
  expect(workspace.snapshot().files).toEqual([]);
});

it("reads the files once for each state of the workspace", () => {
  workspace.save("a.yaml", "# one\n", 0);
  const first = workspace.snapshot();
  expect(workspace.snapshot()).toBe(first);
  workspace.save("b.yaml", "# two\n", 0);
  expect(workspace.snapshot()).not.toBe(first);
});

it("does not remember a restore that failed half-way", () => {
  workspace.save("a.yaml", "# first\n", 0);
  const version = workspace.recordVersion("tester", "first");
  const { revision } = workspace.file("a.yaml");
  workspace.save("a.yaml", "# second\n", revision);
  const before = workspace.snapshot();
  store.database.exec(
    "CREATE TRIGGER fail BEFORE INSERT ON versions WHEN NEW.reason = 'back' BEGIN SELECT RAISE(ABORT, 'no'); END",
  );
  expect(() => workspace.restore(version.id, "tester", "back")).toThrow("no");
  expect(workspace.snapshot().files).toEqual(before.files);
  workspace.save("b.yaml", "# third\n", 0);
  workspace.save("c.yaml", "# fourth\n", 0);
  expect(workspace.snapshot().files.map(({ path, text }) => [path, text])).toEqual([
    ["a.yaml", "# second\n"],
    ["b.yaml", "# third\n"],
    ["c.yaml", "# fourth\n"],
  ]);
});

it("tells of a policy that soon expires, and then that it has, without any change of the files", () => {
  const text = `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: short}
spec:
  expires: 2026-11-23T00:00:00Z
  subject: {selector: {}}
  ingress:
    - {ports: [{port: 80}]}
`;
  workspace.save("short.yaml", text, 0);
  const codes = () => workspace.snapshot().reading.diagnostics.map(({ code }) => code);
  expect(codes()).toEqual(["WL322"]);
  nowMs = Date.UTC(2026, 10, 20);
  expect(codes()).toContain("WL347");
  const told = workspace.snapshot();
  nowMs += 1000;
  expect(workspace.snapshot()).toBe(told);
  nowMs = Date.UTC(2026, 10, 23);
  expect(codes()).toContain("WL346");
});
