import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProposedAction } from "@wardline/api/wardline/console/v1/configuration";
import { VersionKind } from "@wardline/api/wardline/console/v1/versions";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startTestConsole, type TestConsole } from "../../testing/console.ts";
import { runGit } from "./git-program.ts";
import { propose } from "./proposal.ts";
import { checkedSource } from "./source-settings.ts";

const hasGit = (() => {
  try {
    execFileSync("git", ["--version"]);
    return true;
  } catch {
    return false;
  }
})();

let tester: TestConsole;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wardline-source-"));
  tester = startTestConsole(undefined, { introducesLocalHost: false, sourceMayBeLocal: true });
});
afterEach(async () => {
  await tester.close();
  rmSync(dir, { recursive: true, force: true });
});

async function codeOf(call: Promise<unknown>) {
  return call.then(
    () => null,
    (error: unknown) => failureFromConnectError(error)?.code ?? null,
  );
}

async function save(path: string, text: string) {
  const { revision } = await tester.policies.getFile({ path }).catch(() => ({ revision: 0n }));
  await tester.policies.saveFile({ path, text, baseRevision: revision });
}

const setFolder = (path: string) =>
  tester.configuration.setSource({ settings: { kind: { case: "folder", value: { path } } } });
const filesOf = async () => {
  await tester.configuration.refreshSource({});
  const { files } = await tester.configuration.getProposal({});
  return files.map(({ path, action }) => [path, ProposedAction[action]]);
};
const textOf = async (path: string) => (await tester.policies.getFile({ path })).text;

describe("propose", () => {
  it("takes what one side changed, merges what both did, and never forgets what only one has", () => {
    const texts = (entries: object) => new Map(Object.entries(entries) as [string, string][]);
    const base = texts({
      same: "a\n",
      mine: "a\n",
      theirs: "a\n",
      both: "1\n2\n3\n",
      fight: "a\n",
      gone: "a\n",
      left: "a\n",
    });
    const mine = texts({
      same: "a\n",
      mine: "b\n",
      theirs: "a\n",
      both: "0\n2\n3\n",
      fight: "b\n",
      gone: "a\n",
      own: "x\n",
    });
    const theirs = texts({
      same: "a\n",
      mine: "a\n",
      theirs: "b\n",
      both: "1\n2\n4\n",
      fight: "c\n",
      left: "a\n",
      added: "y\n",
    });
    const { changes, unpublished } = propose(base, mine, theirs);
    expect(changes.map(({ path, action, result }) => [path, ProposedAction[action], result])).toEqual([
      ["added", "ADD", "y\n"],
      ["both", "MERGE", "0\n2\n4\n"],
      ["fight", "CONFLICT", "b\n"],
      ["gone", "REMOVE", null],
      ["theirs", "REPLACE", "b\n"],
    ]);
    expect([...unpublished]).toEqual([
      ["left", null],
      ["mine", "b\n"],
      ["own", "x\n"],
    ]);
  });
});

describe("a watched folder", () => {
  it("proposes what it has, takes over nothing by itself, and follows no link", async () => {
    mkdirSync(join(dir, "policies"));
    writeFileSync(join(dir, "policies/web.yaml"), "# web\n");
    writeFileSync(join(dir, "readme.md"), "no policy");
    writeFileSync(join(dir, "binary.yaml"), Buffer.from([0, 1, 2]));
    const outside = mkdtempSync(join(tmpdir(), "wardline-outside-"));
    writeFileSync(join(outside, "outside.yaml"), "# outside\n");
    symlinkSync(join(outside, "outside.yaml"), join(dir, "link.yaml"));
    symlinkSync("/", join(dir, "root"));
    const { status } = await setFolder(dir);
    expect(status).toMatchObject({ addedCount: 1, leftOutCount: 2 });
    expect(tester.backend.workspace.snapshot().files).toEqual([]);
    const { proposalId, files } = await tester.configuration.getProposal({});
    expect(files).toMatchObject([{ path: "policies/web.yaml", action: ProposedAction.ADD, theirs: "# web\n" }]);
    const { version } = await tester.configuration.takeProposal({ proposalId, reason: "take", ticket: "T-1" });
    expect(version).toMatchObject({ kind: VersionKind.SOURCE, reason: "take", ticket: "T-1" });
    expect(await textOf("policies/web.yaml")).toBe("# web\n");
    expect(await filesOf()).toEqual([]);
    expect(await codeOf(tester.configuration.takeProposal({ proposalId }))).toBe(ErrorCode.REVISION_CONFLICT);
    rmSync(outside, { recursive: true });
  });

  it("is noticed when it changes, without anybody asking", async () => {
    await setFolder(dir);
    const controller = new AbortController();
    const seen: number[] = [];
    for await (const { status } of tester.configuration.watchSource({}, { signal: controller.signal })) {
      seen.push(status?.addedCount ?? -1);
      if (seen.length === 1) writeFileSync(join(dir, "new.yaml"), "# new\n");
      if (status?.addedCount === 1) break;
    }
    expect(seen.at(-1)).toBe(1);
    expect(tester.backend.workspace.snapshot().files).toEqual([]);
  });

  it("merges what both changed, asks where they met, and is written only when a person publishes", async () => {
    writeFileSync(join(dir, "a.yaml"), "one\ntwo\nthree\n");
    await setFolder(dir);
    const take = async (more: object = {}) => {
      await tester.configuration.refreshSource({});
      const { proposalId } = await tester.configuration.getProposal({});
      await tester.configuration.takeProposal({ proposalId, ...more });
    };
    await take();
    await save("a.yaml", "ONE\ntwo\nthree\n");
    writeFileSync(join(dir, "a.yaml"), "one\ntwo\nTHREE\n");
    expect(await filesOf()).toEqual([["a.yaml", "MERGE"]]);
    await take();
    expect(await textOf("a.yaml")).toBe("ONE\ntwo\nTHREE\n");
    expect(readFileSync(join(dir, "a.yaml"), "utf8")).toBe("one\ntwo\nTHREE\n");
    await save("a.yaml", "mine\n");
    writeFileSync(join(dir, "a.yaml"), "theirs\n");
    expect(await filesOf()).toEqual([["a.yaml", "CONFLICT"]]);
    expect(await codeOf(take())).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(await codeOf(tester.configuration.publishToSource({ reason: "over" }))).toBe(ErrorCode.REVISION_CONFLICT);
    await take({ resolved: [{ path: "a.yaml", text: "both\n" }] });
    expect(await textOf("a.yaml")).toBe("both\n");
    await save("deep/b.yaml", "# b\n");
    const { fileCount } = await tester.configuration.publishToSource({ reason: "done" });
    expect(fileCount).toBe(2);
    expect(readFileSync(join(dir, "a.yaml"), "utf8")).toBe("both\n");
    expect(readFileSync(join(dir, "deep/b.yaml"), "utf8")).toBe("# b\n");
    expect(await filesOf()).toEqual([]);
  });

  it("writes through no link, and says what is wrong with a folder that is gone", async () => {
    const outside = mkdtempSync(join(tmpdir(), "wardline-outside-"));
    await setFolder(dir);
    symlinkSync(outside, join(dir, "deep"));
    await save("deep/b.yaml", "# b\n");
    expect(await codeOf(tester.configuration.publishToSource({ reason: "x" }))).toBe(ErrorCode.PERMISSION_DENIED);
    expect(existsSync(join(outside, "b.yaml"))).toBe(false);
    rmSync(outside, { recursive: true });
    rmSync(dir, { recursive: true });
    const { status } = await tester.configuration.refreshSource({});
    expect(status?.error?.code).toBe(ErrorCode.NOT_FOUND);
  });
});

describe("the words for git", () => {
  const judge =
    (url: string, branch = "main", folder = "") =>
    () =>
      checkedSource({ kind: { case: "git", value: { url, branch, folder, intervalSeconds: 0 } } } as never);

  it.each([
    "--upload-pack=/bin/sh",
    "ext::sh -c id",
    "file:///etc",
    "/etc/repo",
    "https://user:secret@host/x.git",
    "http://host/x.git",
    "ssh://-oProxyCommand=x/y",
    "git@-oProxyCommand=x:y",
    "git@host:-x",
    "https://host/a b",
    "https://host/a\nb",
    "",
  ])("refuses %j", (url) => expect(judge(url)).toThrow());

  it.each(["-x", "a..b", "a b", "x.lock", "a//b", "@{1}", ""])("refuses the branch %j", (branch) =>
    expect(judge("https://host.example/x.git", branch)).toThrow(),
  );

  it.each(["..", "a/../b", "-x", ":(top)", "a\\b"])("refuses the folder %j", (folder) =>
    expect(judge("https://host.example/x.git", "main", folder)).toThrow(),
  );

  it.each(["https://host.example/team/x.git", "ssh://git@host:2222/x.git", "git@host.example:team/x.git"])(
    "takes %j",
    (url) => expect(judge(url, "release/1.0", "policies/prod")).not.toThrow(),
  );
});

describe.skipIf(!hasGit)(`a git remote${hasGit ? "" : " (there is no git on this machine)"}`, () => {
  let bare: string;
  let work: string;
  const git = (...words: string[]) =>
    execFileSync("git", ["-c", "user.name=alice", "-c", "user.email=a@example.com", "-C", work, ...words], {
      stdio: "pipe",
    }).toString();
  const commit = (path: string, text: string) => {
    mkdirSync(join(work, "policies"), { recursive: true });
    writeFileSync(join(work, path), text);
    git("add", "-A");
    git("commit", "-qm", `change ${path}`);
    git("push", "-q", "origin", "HEAD:main");
  };
  const setGit = (more: object = {}) =>
    tester.configuration.setSource({
      settings: { kind: { case: "git", value: { url: bare, branch: "main", folder: "policies", ...more } } },
    });

  beforeEach(() => {
    bare = join(dir, "remote.git");
    work = join(dir, "work");
    execFileSync("git", ["init", "-q", "--bare", bare]);
    execFileSync("git", ["init", "-q", work]);
    git("remote", "add", "origin", bare);
    commit("policies/web.yaml", "# web\n");
  });

  it("is fetched, proposed with its commit, taken over by a person, and pushed to when asked", async () => {
    const { status } = await setGit();
    expect(status?.error).toBeUndefined();
    expect(status?.addedCount).toBe(1);
    expect(status?.revisionText).toContain("alice");
    expect(tester.backend.workspace.snapshot().files).toEqual([]);
    const { proposalId } = await tester.configuration.getProposal({});
    await tester.configuration.takeProposal({ proposalId });
    await save("web.yaml", "# web\n# more\n");
    await save("db/new.yaml", "# db\n");
    const published = await tester.configuration.publishToSource({ reason: "open db", ticket: "NET-9" });
    expect(published.fileCount).toBe(2);
    git("fetch", "-q", "origin");
    expect(git("log", "-1", "--format=%H %an %B", "origin/main")).toContain(
      `${published.revision} tester open db\n\nTicket: NET-9`,
    );
    expect(git("show", "origin/main:policies/db/new.yaml")).toBe("# db\n");
    expect(await filesOf()).toEqual([]);
    git("reset", "-q", "--hard", "origin/main");
    commit("policies/web.yaml", "# web\n# more\n# theirs\n");
    expect(await filesOf()).toEqual([["web.yaml", "REPLACE"]]);
  });

  it("runs no hook, follows no link and no submodule, and reads only its folder", async () => {
    writeFileSync(join(work, "outside.yaml"), "# outside\n");
    symlinkSync("/etc/hostname", join(work, "policies/link.yaml"));
    writeFileSync(join(work, ".gitattributes"), "*.yaml filter=evil\n");
    commit("policies/.gitmodules.yaml", "# no\n");
    const marker = join(dir, "hook-ran");
    await setGit();
    const hooks = join(tester.stateDir, "source.git/hooks");
    mkdirSync(hooks, { recursive: true });
    for (const hook of ["pre-push", "post-update", "reference-transaction"]) {
      writeFileSync(join(hooks, hook), `#!/bin/sh\ntouch ${marker}\n`, { mode: 0o755 });
    }
    const { status } = await tester.configuration.refreshSource({});
    expect(status?.leftOutCount).toBe(1);
    const { files, proposalId } = await tester.configuration.getProposal({});
    expect(files.map(({ path }) => path)).toEqual([".gitmodules.yaml", "web.yaml"]);
    await tester.configuration.takeProposal({ proposalId });
    await save("x.yaml", "# x\n");
    await tester.configuration.publishToSource({ reason: "push" });
    expect(existsSync(marker)).toBe(false);
  });

  it("says so when somebody was faster, when there is no such branch, and when git takes too long", async () => {
    await setGit();
    const { proposalId } = await tester.configuration.getProposal({});
    await tester.configuration.takeProposal({ proposalId });
    await save("web.yaml", "# mine\n");
    commit("policies/other.yaml", "# theirs\n");
    expect(await codeOf(tester.configuration.publishToSource({ reason: "x" }))).toBe(ErrorCode.REVISION_CONFLICT);
    const { status } = await setGit({ branch: "nowhere" });
    expect(status?.error?.code).toBe(ErrorCode.HOST_UNREACHABLE);
    const call = { gitDir: bare, arguments: ["cat-file", "--batch"], timeoutMs: 1, maxOutputBytes: 100 };
    const slow = await runGit(call).then(
      () => null,
      (error: { code?: ErrorCode }) => error.code,
    );
    expect([ErrorCode.DEADLINE_EXCEEDED, null]).toContain(slow);
    const large = runGit({
      ...call,
      arguments: ["log", "--all", "--format=%B%B%B%B%B%B%B%B%B%B%B%B%B"],
      timeoutMs: 20_000,
    });
    expect(
      await large.then(
        () => null,
        (error: { code?: ErrorCode }) => error.code,
      ),
    ).toBe(ErrorCode.TOO_LARGE);
  });
});
