import { ConnectError } from "@connectrpc/connect";
import { ExplainBasis, FileState, ImportAction } from "@wardline/api/wardline/console/v1/policies";
import { EnforcementMode, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, startTestConsole, type TestConsole } from "../testing/console.ts";

const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: default}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
    - from: [{ipBlock: {cidr: 10.9.0.0/16}}]
      ports: [{protocol: TCP, port: 443}]
`;
const bytes = (text: string) => new TextEncoder().encode(text);

let tester: TestConsole;

beforeEach(async () => {
  tester = startTestConsole();
  await expect.poll(async () => (await workspace()).files.length).toBe(1);
});
afterEach(() => tester.close());

async function workspace(console = tester) {
  for await (const message of console.policies.watchWorkspace({})) return message;
  throw new Error("the stream ended");
}

async function failureOf(call: Promise<unknown>) {
  return failureFromConnectError(
    ConnectError.from(
      await call.then(
        () => null,
        (reason: unknown) => reason,
      ),
    ),
  );
}

describe("the workspace", () => {
  it("begins with a document of this machine, once", async () => {
    const { files } = await workspace();
    expect(files[0]).toMatchObject({ path: "hosts/alpha.yaml", state: FileState.NEW, errorCount: 0 });
    expect(files[0]?.documents[0]).toMatchObject({ key: "Host/alpha", kind: "Host" });
    await tester.policies.deleteFile({ path: "hosts/alpha.yaml" });
    tester.agent.dropConnections();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await workspace()).files).toEqual([]);
  });

  it("streams a snapshot and then one after each change", async () => {
    const seen: [bigint, string[]][] = [];
    const reader = new AbortController();
    const reading = (async () => {
      for await (const { sequence, files } of tester.policies.watchWorkspace({}, { signal: reader.signal })) {
        seen.push([sequence, files.map(({ path }) => path)]);
        if (seen.length === 1) await tester.policies.saveFile({ path: "a.yaml", text: POLICY });
        if (seen.at(-1)?.[1].includes("a.yaml")) break;
      }
    })();
    await reading;
    reader.abort();
    expect(seen[0]).toEqual([1n, ["hosts/alpha.yaml"]]);
    expect(seen.at(-1)?.[1]).toEqual(["a.yaml", "hosts/alpha.yaml"]);
  });

  it("shows what another process has changed", async () => {
    const other = startTestConsole(tester.agent, { stateDir: tester.stateDir, collectFlows: false });
    try {
      const reader = new AbortController();
      const seen = (async () => {
        for await (const { files } of tester.policies.watchWorkspace({}, { signal: reader.signal })) {
          if (files.some(({ path }) => path === "theirs.yaml")) return true;
        }
        return false;
      })();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await other.policies.saveFile({ path: "theirs.yaml", text: POLICY });
      expect(await seen).toBe(true);
      reader.abort();
    } finally {
      await other.close();
    }
  });

  it("keeps drafts with errors and says what is wrong", async () => {
    const { diagnostics, revision } = await tester.policies.saveFile({ path: "a.yaml", text: "a: [1" });
    expect(diagnostics.length).toBeGreaterThan(0);
    expect(await tester.policies.getFile({ path: "a.yaml" })).toMatchObject({ text: "a: [1", revision });
    const summary = (await workspace()).files.find(({ path }) => path === "a.yaml");
    expect(summary?.errorCount).toBeGreaterThan(0);
  });

  it("compares each file with what the host enforces", async () => {
    await tester.policies.saveFile({ path: "a.yaml", text: POLICY });
    await tester.policies.saveFile({ path: "b.yaml", text: "# nothing yet\n" });
    const { planId } = await tester.ship.plan({});
    const steps = await collect(tester.ship.apply({ planId, mode: EnforcementMode.ENFORCE }));
    await tester.ship.confirm({ hostId: "local", generation: steps[1]?.pending?.generation?.number ?? 0n });
    const { revision } = await tester.policies.getFile({ path: "a.yaml" });
    await tester.policies.saveFile({ path: "a.yaml", text: `${POLICY}# changed\n`, baseRevision: revision });
    await tester.policies.deleteFile({ path: "b.yaml" });
    await tester.policies.saveFile({ path: "c.yaml", text: "" });
    await expect
      .poll(async () => (await workspace()).files.map(({ path, state }) => [path, FileState[state]]))
      .toEqual([
        ["a.yaml", "CHANGED"],
        ["b.yaml", "DELETED"],
        ["c.yaml", "NEW"],
        ["hosts/alpha.yaml", "ENFORCED"],
      ]);
  });

  it("refuses to overwrite what was changed elsewhere", async () => {
    const { revision } = await tester.policies.saveFile({ path: "a.yaml", text: "one" });
    await tester.policies.saveFile({ path: "a.yaml", text: "two", baseRevision: revision });
    const lost = tester.policies.saveFile({ path: "a.yaml", text: "three", baseRevision: revision });
    expect((await failureOf(lost))?.code).toBe(ErrorCode.REVISION_CONFLICT);
    expect((await tester.policies.getFile({ path: "a.yaml" })).text).toBe("two");
  });

  it.each([
    "../a.yaml",
    "a/../../b.yaml",
    "/etc/a.yaml",
    "C:/a.yaml",
    "a\\b.yaml",
    "a\u0000.yaml",
    "a\nb.yaml",
    "\u202eyaml.a.yaml",
    "a//b.yaml",
    "./a.yaml",
    " a.yaml",
    "a.txt",
    "a",
    "",
    `${"a".repeat(252)}.yaml`,
    `${"a/".repeat(300)}b.yaml`,
  ])("refuses the name %j", async (path) => {
    expect((await failureOf(tester.policies.saveFile({ path, text: "" })))?.code).toBe(ErrorCode.INVALID_ARGUMENT);
  });

  it("refuses a file that is too large", async () => {
    const text = "#".repeat(1024 * 1024 + 1);
    expect((await failureOf(tester.policies.saveFile({ path: "a.yaml", text })))?.code).toBe(ErrorCode.TOO_LARGE);
  });
});

describe("import", () => {
  const hostile = () => [
    { path: "good.yaml", content: bytes(POLICY) },
    { path: "broken.yaml", content: bytes("a: [1") },
    { path: "hosts/alpha.yaml", content: bytes("# other\n") },
    { path: "picture.yaml", content: Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]) },
    { path: "utf16.yaml", content: Uint8Array.from([0xff, 0xfe, 0x61, 0, 0x3a, 0]) },
    { path: "latin1.yaml", content: Uint8Array.from([0x61, 0x3a, 0x20, 0xe4, 0x0a]) },
    { path: "huge.yaml", content: new Uint8Array(1024 * 1024 + 1).fill(0x23) },
    { path: "../../etc/passwd.yaml", content: bytes("a: 1") },
    { path: "nul\u0000.yaml", content: bytes("a: 1") },
    { path: "readme.md", content: bytes("# hello") },
    { path: "twice.yaml", content: bytes("a: 1") },
    { path: "twice.yaml", content: bytes("a: 2") },
    { path: "bomb.yaml", content: bytes(yamlBomb()) },
  ];

  function yamlBomb(): string {
    const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
    for (let level = 1; level < 12; level++) {
      lines.push(`a${level}: &a${level} [${new Array(9).fill(`*a${level - 1}`).join(", ")}]`);
    }
    return lines.join("\n");
  }

  it("judges each file for itself and takes the good ones", async () => {
    const started = performance.now();
    const preview = await tester.policies.previewImport({ files: hostile() });
    expect((await workspace()).files).toHaveLength(1);
    const result = await tester.policies.importFiles({ files: hostile() });
    expect(performance.now() - started).toBeLessThan(30_000);
    expect(result.files.map(({ path, action }) => [path, ImportAction[action]])).toEqual(
      preview.files.map(({ path, action }) => [path, ImportAction[action]]),
    );
    const outcome = result.files.map(({ path, action, refusal }) => [
      path,
      refusal ? ErrorCode[refusal.code] : ImportAction[action],
    ]);
    expect(outcome).toEqual([
      ["good.yaml", "ADD"],
      ["broken.yaml", "ADD"],
      ["hosts/alpha.yaml", "REPLACE"],
      ["picture.yaml", "NOT_TEXT"],
      ["utf16.yaml", "NOT_TEXT"],
      ["latin1.yaml", "NOT_TEXT"],
      ["huge.yaml", "TOO_LARGE"],
      ["../../etc/passwd.yaml", "INVALID_ARGUMENT"],
      ["nul\u0000.yaml", "INVALID_ARGUMENT"],
      ["readme.md", "INVALID_ARGUMENT"],
      ["twice.yaml", "INVALID_ARGUMENT"],
      ["twice.yaml", "INVALID_ARGUMENT"],
      ["bomb.yaml", "ADD"],
    ]);
    expect(result.files.every(({ refusal }) => !refusal || refusal.message.length > 20)).toBe(true);
    expect(result.files[0]?.documents).toMatchObject([{ key: "NetworkPolicy/default/web", ruleCount: 1 }]);
    expect(result.files[1]?.diagnostics.length).toBeGreaterThan(0);
    expect(result.files[12]?.diagnostics.length).toBeGreaterThan(0);
    expect((await workspace()).files.map(({ path }) => path)).toEqual([
      "bomb.yaml",
      "broken.yaml",
      "good.yaml",
      "hosts/alpha.yaml",
    ]);
    const again = await tester.policies.previewImport({ files: hostile().slice(0, 1) });
    expect(again.files[0]?.action).toBe(ImportAction.SAME);
  });

  it("refuses a drop that is too large as a whole, and takes nothing of it", async () => {
    const files = Array.from({ length: 2001 }, (_, index) => ({ path: `${index}.yaml`, content: bytes("") }));
    expect((await failureOf(tester.policies.importFiles({ files })))?.code).toBe(ErrorCode.TOO_LARGE);
    const large = Array.from({ length: 17 }, (_, index) => ({
      path: `${index}.yaml`,
      content: new Uint8Array(1024 * 1024),
    }));
    expect((await failureOf(tester.policies.importFiles({ files: large })))?.code).toBe(ErrorCode.TOO_LARGE);
    expect((await workspace()).files).toHaveLength(1);
  });
});

describe("check", () => {
  it("reads the texts of the editor with the rest of the workspace, or alone", async () => {
    await tester.policies.saveFile({ path: "a.yaml", text: POLICY });
    const duplicate = { files: [{ path: "b.yaml", text: POLICY }] };
    const together = await tester.policies.check(duplicate);
    expect(together.diagnostics.some(({ source }) => source?.file === "b.yaml")).toBe(true);
    const alone = await tester.policies.check({ ...duplicate, standalone: true });
    expect(alone.documents.map(({ key }) => key)).toEqual(["NetworkPolicy/default/web"]);
    expect(alone.diagnostics.filter(({ severity }) => severity === 1)).toEqual([]);
    expect((await workspace()).files).toHaveLength(2);
  });
});

describe("explain", () => {
  const request = { from: "10.9.1.1", to: "alpha", protocol: 6, port: 443 };

  it("gives the verdict of the drafts and of what is enforced", async () => {
    await tester.policies.saveFile({ path: "a.yaml", text: POLICY });
    const draft = await tester.policies.explain({ ...request, port: 22 });
    expect(draft.evaluation?.verdict).toBe(Verdict.DENY);
    expect(draft).toMatchObject({ fromAddress: "10.9.1.1", toAddress: "10.0.0.1" });
    expect((await tester.policies.explain(request)).evaluation?.verdict).toBe(Verdict.ALLOW);
    const enforced = { ...request, to: "10.0.0.1", port: 22, basis: ExplainBasis.ENFORCED };
    expect((await tester.policies.explain(enforced)).evaluation?.verdict).toBe(Verdict.ALLOW);
  });

  it.each([
    ["a name that nobody has", { to: "nobody" }, ErrorCode.NOT_FOUND],
    ["a protocol that does not exist", { protocol: 256 }, ErrorCode.INVALID_ARGUMENT],
    ["a port that does not exist", { port: 65_536 }, ErrorCode.INVALID_ARGUMENT],
    ["a name without end", { from: "a".repeat(601) }, ErrorCode.INVALID_ARGUMENT],
  ])("refuses %s", async (_what, over, code) => {
    expect((await failureOf(tester.policies.explain({ ...request, ...over })))?.code).toBe(code);
  });

  it("has no verdict while there are errors", async () => {
    await tester.policies.saveFile({ path: "a.yaml", text: "a: [1" });
    const failure = await failureOf(tester.policies.explain(request));
    expect(failure?.code).toBe(ErrorCode.POLICY_INVALID);
    expect(failure?.diagnostics.length).toBeGreaterThan(0);
  });
});

describe("versions", () => {
  it("restore what was applied, and keep what was there before", async () => {
    await tester.policies.saveFile({ path: "a.yaml", text: POLICY });
    const { planId } = await tester.ship.plan({});
    await collect(tester.ship.apply({ planId, mode: EnforcementMode.OBSERVE, reason: "first" }));
    const [first] = (await tester.policies.listVersions({})).versions;
    await tester.policies.deleteFile({ path: "a.yaml" });
    await tester.policies.saveFile({ path: "b.yaml", text: "# draft\n" });
    await tester.policies.restoreVersion({ id: first?.id ?? "", reason: "back" });
    expect((await workspace()).files.map(({ path }) => path)).toEqual(["a.yaml", "hosts/alpha.yaml"]);
    const { versions } = await tester.policies.listVersions({});
    expect(versions.map(({ number, reason }) => [number, reason])).toEqual([
      [3n, "back"],
      [2n, "Before restoring version 1"],
      [1n, "first"],
    ]);
    expect(versions[0]?.id).toBe(first?.id);
    expect(versions[0]?.id).toBe((await workspace()).stateDigest);
    const before = await tester.policies.getVersion({ id: versions[1]?.id ?? "" });
    expect(before.files.map(({ path }) => path)).toEqual(["b.yaml", "hosts/alpha.yaml"]);
    expect((await failureOf(tester.policies.restoreVersion({ id: "none" })))?.code).toBe(ErrorCode.NOT_FOUND);
  });
});
