import { VersionKind } from "@wardline/api/wardline/console/v1/versions";
import type { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../ports.ts";
import { ReceiptsTable } from "../store/receipts-table.ts";
import { Store } from "../store/store.ts";
import { startTestConsole, type TestConsole } from "../testing/console.ts";

const PATH = "policies/web.yaml";

const rule = (port: number) => `    - {from: [{selector: {}}], ports: [{port: ${port}}]}\n`;
const policy = (...ports: number[]) =>
  `apiVersion: wardline.io/v1\nkind: Policy\nmetadata: {name: web}\nspec:\n  subject: {selector: {matchLabels: {app: web}}}\n  ingress:\n${ports.map(rule).join("")}`;
const HOST = `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: web-1, labels: {app: web}}\nspec: {addresses: [192.0.2.1]}\n---\napiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: client}\nspec: {addresses: [192.0.2.9]}\n`;

let tester: TestConsole;
beforeEach(() => {
  tester = startTestConsole(undefined, { introducesLocalHost: false });
});
afterEach(() => tester.close());

async function save(text: string, path = PATH) {
  const { revision } = await tester.policies.getFile({ path }).catch(() => ({ revision: 0n }));
  await tester.policies.saveFile({ path, text, baseRevision: revision });
}

async function keep(text: string, reason: string, ticket = "") {
  await save(text);
  return (await tester.versions.keepVersion({ reason, ticket })).version;
}

async function codeOf(call: Promise<unknown>): Promise<ErrorCode | null> {
  return call.then(
    () => null,
    (error: unknown) => failureFromConnectError(error)?.code ?? null,
  );
}

const draft = { side: { case: "draft", value: true } } as const;
const number = (value: bigint) => ({ side: { case: "number", value } }) as const;

describe("versions", () => {
  it("are kept with author, reason, ticket and parent, and found by each of them", async () => {
    await save(HOST, "hosts.yaml");
    await keep(policy(80), "first", "NET-1");
    await keep(policy(80, 443), "open https", "NET-2");
    expect((await tester.versions.keepVersion({ reason: "again" })).added).toBe(false);
    const found = async (query: object) =>
      (await tester.versions.searchVersions(query)).versions.map((version) => Number(version.number));
    expect(await found({})).toEqual([2, 1]);
    expect(await found({ ticket: "net-2" })).toEqual([2]);
    expect(await found({ author: "TEST" })).toEqual([2, 1]);
    expect(await found({ path: "hosts" })).toEqual([1]);
    expect(await found({ text: "port: 443" })).toEqual([2]);
    expect(await found({ text: "192.0.2.1" })).toEqual([1]);
    expect(await found({ kinds: [VersionKind.APPLIED] })).toEqual([]);
    expect(await found({ beforeNumber: 2n })).toEqual([1]);
    const { versions, hasMore } = await tester.versions.searchVersions({ limit: 1 });
    expect(hasMore).toBe(true);
    expect(versions[0]).toMatchObject({
      ...{ parent: 1n, kind: VersionKind.KEPT, author: "tester", reason: "open https", ticket: "NET-2" },
      changedPaths: [PATH],
    });
  });

  it("compare by text and by meaning, with the draft and with what a host enforces", async () => {
    await save(HOST, "hosts.yaml");
    await keep(policy(80), "first");
    await save(policy(80, 443).replace("kind: Policy", "kind: Policy # shop"));
    const comparison = await tester.versions.compareVersions({ from: number(1n), to: draft });
    expect(comparison.files.map(({ path }) => path)).toEqual([PATH]);
    expect(comparison.meaning?.changes).toHaveLength(1);
    expect(comparison.meaning?.changes[0]).toMatchObject({
      gained: true,
      ports: "443/tcp",
      decidedBy: ["Policy/default/web"],
    });
    const same = await tester.versions.compareVersions({ from: draft, to: draft });
    expect([same.files, same.meaning?.changes, same.fromId === same.toId]).toEqual([[], [], true]);
    await save("not: [a policy");
    const broken = await tester.versions.compareVersions({ from: number(1n), to: draft });
    expect(broken.meaning?.unknownBecause).toContain("has errors");
    const enforced = { side: { case: "enforcedHostId", value: "local" } } as const;
    const against = await tester.versions.compareVersions({ from: enforced, to: number(1n), textsOnly: true });
    expect(against.files.map(({ path }) => path)).toEqual(expect.arrayContaining(["hosts.yaml", PATH]));
    expect(against.meaning).toBeUndefined();
  });

  it("are opened read-only, by number and by the first digits of their digest", async () => {
    const version = await keep(policy(80), "first");
    await save(policy(1));
    const id = { side: { case: "id", value: version?.id.slice(0, 8) ?? "" } } as const;
    expect(await tester.versions.readVersion({ side: id })).toMatchObject({ id: version?.id, paths: [PATH], text: "" });
    expect((await tester.versions.readVersion({ side: number(1n), path: PATH })).text).toBe(policy(80));
    expect(await codeOf(tester.versions.readVersion({ side: number(9n) }))).toBe(10);
    expect(await codeOf(tester.versions.readVersion({ side: { side: { case: "id", value: "ab'" } } }))).toBe(1);
    expect(await codeOf(tester.versions.readVersion({ side: number(1n), path: "other.yaml" }))).toBe(10);
  });

  it("come back whole or file by file as new versions; the draft that goes is kept first", async () => {
    await save(HOST, "hosts.yaml");
    await keep(policy(80), "first");
    await save(policy(81));
    await save(HOST.replace("192.0.2.1", "192.0.2.2"), "hosts.yaml");
    const { version } = await tester.versions.putBackVersion({
      side: number(1n),
      path: PATH,
      reason: "back",
      ticket: "T",
    });
    expect(version).toMatchObject({ number: 3n, parent: 2n, kind: VersionKind.RESTORED, reason: "back", ticket: "T" });
    expect((await tester.policies.getFile({ path: PATH })).text).toBe(policy(80));
    expect((await tester.policies.getFile({ path: "hosts.yaml" })).text).toContain("192.0.2.2");
    const before = await tester.versions.readVersion({ side: number(2n), path: PATH });
    expect(before.text).toBe(policy(81));
    await tester.versions.putBackVersion({ side: number(1n) });
    expect((await tester.policies.getFile({ path: "hosts.yaml" })).text).toBe(HOST);
    await tester.policies.deleteFile({ path: PATH });
    await tester.versions.putBackVersion({ side: number(1n), path: PATH });
    expect((await tester.policies.getFile({ path: PATH })).text).toBe(policy(80));
  });

  it("keep what an import, a deletion and a new name take away", async () => {
    await save(policy(80));
    const content = new TextEncoder().encode(policy(81));
    await tester.policies.importFiles({ files: [{ path: PATH, content }], reason: "from the mail", ticket: "M-1" });
    await save(policy(82));
    await tester.policies.renameFile({ path: PATH, newPath: "web.yaml" });
    await save(policy(83), "web.yaml");
    await tester.policies.deleteFile({ path: "web.yaml" });
    const { versions } = await tester.versions.searchVersions({});
    expect(versions.map(({ kind, reason, ticket }) => [VersionKind[kind], reason, ticket])).toEqual([
      ["BEFORE", "Before: deleting web.yaml", ""],
      ["BEFORE", `Before: renaming ${PATH}`, ""],
      ["IMPORTED", "from the mail", "M-1"],
      ["BEFORE", "Before: from the mail", ""],
    ]);
  });
});

describe("blame", () => {
  const runsOf = async (request: object) =>
    (await tester.versions.getBlame({ path: PATH, ...request })).runs.map((run) => [
      ...[run.firstLine, run.lineCount, Number(run.number)],
    ]);

  it("says which version brought each line, through new names, and what is in no version yet", async () => {
    await keep(policy(80, 81), "first", "NET-1");
    await keep(policy(80, 443, 81), "https", "NET-2");
    expect(await runsOf({})).toEqual([
      [1, 7, 1],
      [8, 1, 2],
      [9, 1, 1],
    ]);
    expect(await runsOf({ side: number(1n) })).toEqual([[1, 8, 1]]);
    expect(await runsOf({ text: policy(80, 443, 9, 81) })).toEqual([
      [1, 7, 1],
      [8, 1, 2],
      [9, 1, 0],
      [10, 1, 1],
    ]);
    await tester.policies.renameFile({ path: PATH, newPath: "moved.yaml" });
    await tester.versions.keepVersion({ reason: "moved" });
    expect(await runsOf({ path: "moved.yaml" })).toEqual(await runsOf({ side: number(2n) }));
    const { versions } = await tester.versions.getBlame({ path: "moved.yaml" });
    expect(versions.map(({ reason, ticket }) => [reason, ticket])).toEqual([
      ["first", "NET-1"],
      ["https", "NET-2"],
    ]);
    expect(await codeOf(tester.versions.getBlame({ path: "no.yaml" }))).toBe(10);
  });

  it("says since when a line is enforced, and where it was and is not any more", async () => {
    const first = await keep(policy(80), "first");
    const second = await keep(policy(80, 443), "https");
    const store = new Store({ stateDir: tester.stateDir, logger: silentLogger });
    const receipts = new ReceiptsTable(store);
    const confirm = (hostId: string, versionId: string, atMs: number) => {
      const digests = { stateDigest: versionId, programDigest: "p", author: "a", reason: "r" };
      receipts.end(receipts.open({ hostId, versionId, ...digests }, atMs), "confirmed", atMs + 1);
    };
    confirm("local", first?.id ?? "", 1_000);
    confirm("local", second?.id ?? "", 2_000);
    confirm("other", second?.id ?? "", 3_000);
    confirm("other", first?.id ?? "", 4_000);
    store.close();
    const { versions } = await tester.versions.getBlame({ path: PATH });
    const enforced = versions.map(({ enforcedOn }) =>
      enforcedOn.map(({ hostId, since, until }) => [hostId, since?.seconds, until?.seconds]),
    );
    expect(enforced).toEqual([
      [
        ["local", 1n, undefined],
        ["other", 3n, undefined],
      ],
      [
        ["local", 2n, undefined],
        ["other", 3n, 4n],
      ],
    ]);
  });
});
