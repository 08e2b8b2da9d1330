import { ConnectError } from "@connectrpc/connect";
import { Drift, Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { Role } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, startTestConsole, type TestConsole } from "../testing/console.ts";
import { FakeAgent } from "../testing/fake-agent.ts";
import { hostDocumentPath, newHostDocument, requireLabels, withHostIdentity, withHostLabels } from "./host-document.ts";

const POLICY = `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: deny}
spec:
  subject: {}
  ingress: []
`;

let tester: TestConsole;

afterEach(() => tester?.close());

async function host(console = tester) {
  for await (const { hosts } of console.hosts.watchHosts({})) {
    if (hosts[0]) return hosts[0];
  }
  throw new Error("no host");
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

describe("the host", () => {
  it("is shown with its status, the caller's role and its labels", async () => {
    tester = startTestConsole();
    await expect.poll(async () => (await host()).declared).toBe(true);
    expect(await host()).toMatchObject({
      id: "local",
      name: "alpha",
      local: true,
      reachability: Reachability.CONNECTED,
      role: Role.OPERATOR,
      actor: "test (1000)",
      labels: { "kubernetes.io/hostname": "alpha" },
      namespace: "default",
    });
  });

  it("is known from the last time while its agent is away, with its age", async () => {
    tester = startTestConsole();
    await expect.poll(async () => (await host()).reachability).toBe(Reachability.CONNECTED);
    await tester.backend.close();
    const agent = new FakeAgent();
    agent.dialFailure = new Failure({ code: ErrorCode.AGENT_UNREACHABLE, message: "gone", hint: "start it" });
    const next = startTestConsole(agent, { stateDir: tester.stateDir });
    try {
      await expect.poll(async () => (await host(next)).reachability).toBe(Reachability.NO_AGENT);
      const shown = await host(next);
      expect(shown).toMatchObject({ name: "alpha", problem: { message: "gone", hint: "start it", host: "alpha" } });
      expect(shown.status?.info?.agentVersion).toBe("0.1.0");
      expect(shown.lastHeardAt).toBeDefined();
    } finally {
      await next.close();
    }
  });

  it.each([
    ["older", 0, 0, "Update the agent"],
    ["newer", 2, 9, "Update the console"],
  ])("says what to do about an agent that is %s", async (_what, apiMin, apiMax, hint) => {
    const agent = new FakeAgent();
    Object.assign(agent, { apiMin, apiMax });
    tester = startTestConsole(agent);
    await expect.poll(async () => (await host()).reachability).toBe(Reachability.VERSION_MISMATCH);
    expect((await host()).problem?.hint).toContain(hint);
  });

  it("is lost when the connection ends, and connected again by itself", async () => {
    tester = startTestConsole();
    await expect.poll(async () => (await host()).reachability).toBe(Reachability.CONNECTED);
    tester.agent.dialFailure = new Failure({ code: ErrorCode.AGENT_UNREACHABLE, message: "gone" });
    tester.agent.dropConnections();
    await expect.poll(async () => (await host()).reachability).toBe(Reachability.LOST);
    tester.agent.dialFailure = null;
    await expect.poll(async () => (await host()).reachability).toBe(Reachability.CONNECTED);
  });

  it("sends the list again at least every two seconds", async () => {
    tester = startTestConsole();
    const started = performance.now();
    let last = 0n;
    for await (const { sequence } of tester.hosts.watchHosts({})) {
      expect(sequence).toBe(last + 1n);
      last = sequence;
      if (performance.now() - started > 4500) break;
    }
    expect(last).toBeGreaterThanOrEqual(3n);
  });

  it("has drifted when it enforces something else than was last confirmed from here", async () => {
    tester = startTestConsole();
    const drift = async () => (await host()).drift;
    await expect.poll(drift).toBe(Drift.NEVER_APPLIED);
    await tester.policies.saveFile({ path: "a.yaml", text: POLICY });
    const { planId } = await tester.ship.plan({});
    const applied = await collect(tester.ship.apply({ planId, mode: 2, reason: "x" }));
    const generation = applied.at(-1)?.pending?.generation?.number ?? 0n;
    // On trial: it has not been confirmed yet.
    expect(await drift()).toBe(Drift.NEVER_APPLIED);
    await tester.ship.confirm({ hostId: "local", generation });
    await expect.poll(drift).toBe(Drift.NONE);
    expect((await host()).desiredStateDigest).toBe((await host()).status?.enforced?.stateDigest);
    tester.agent.expire();
    await expect.poll(drift).toBe(Drift.OTHER_STATE);
    tester.agent.dialFailure = new Failure({ code: ErrorCode.AGENT_UNREACHABLE, message: "gone" });
    tester.agent.dropConnections();
    await expect.poll(drift).toBe(Drift.UNKNOWN);
  });

  it("tells who sits at the console", async () => {
    tester = startTestConsole();
    expect(await tester.hosts.getSession({})).toMatchObject({
      user: "tester",
      shell: "browser",
      stateDirectory: tester.stateDir,
    });
  });
});

describe("labels", () => {
  beforeEach(async () => {
    tester = startTestConsole();
    await expect.poll(async () => (await host()).declared).toBe(true);
  });

  it("are written into the document where it is, and everything else stays", async () => {
    const { revision, text } = await tester.policies.getFile({ path: "hosts/alpha.yaml" });
    const edited = `# mine\n---\n${text.replace("labels:", "labels: # why")}`;
    await tester.policies.saveFile({ path: "hosts/alpha.yaml", text: edited, baseRevision: revision });
    const { path } = await tester.hosts.setHostLabels({
      hostId: "local",
      labels: { role: "web", "example.com/zone": "a" },
    });
    expect(path).toBe("hosts/alpha.yaml");
    const after = (await tester.policies.getFile({ path })).text;
    expect(after).toContain("# why");
    expect(after).not.toContain("kubernetes.io/hostname");
    expect((await host()).labels).toEqual({ role: "web", "example.com/zone": "a" });
  });

  it("make the document when there is none", async () => {
    await tester.policies.deleteFile({ path: "hosts/alpha.yaml" });
    await tester.hosts.setHostLabels({ hostId: "local", labels: { role: "db" } });
    expect((await host()).labels).toEqual({ role: "db", "kubernetes.io/hostname": "alpha" });
  });

  it.each([
    { "a b": "x" },
    { "": "x" },
    { "-a": "x" },
    { "UP/er": "x" },
    { a: "x y" },
    { a: "x".repeat(64) },
    { "a/b/c": "x" },
  ])("refuse %j", async (labels) => {
    const failure = await failureOf(
      tester.hosts.setHostLabels({ hostId: "local", labels: labels as Record<string, string> }),
    );
    expect(failure?.code).toBe(ErrorCode.INVALID_ARGUMENT);
  });
});

describe("host documents", () => {
  it("are edited among others in one file, as YAML and as JSON", () => {
    const text = `# top\nkind: Other\n---\n${newHostDocument("alpha", ["10.0.0.1"])}---\nkind: Last # kept\n`;
    const edited = withHostLabels({ path: "a.yaml", text }, "alpha", { role: "web" });
    expect(edited).toContain("# top");
    expect(edited).toContain("kind: Last # kept");
    expect(edited).toContain("role: web");
    const json = `{"apiVersion":"wardline.io/v1","kind":"Host","metadata":{"name":"alpha"}}`;
    expect(JSON.parse(withHostLabels({ path: "a.json", text: json }, "alpha", { role: "web" }))).toMatchObject({
      metadata: { labels: { role: "web" } },
    });
  });

  it("take the name that the agent says, one among many, and nothing else changes", () => {
    const documents = ["alpha", "beta", "gamma"].map((name) => newHostDocument(name, [], { app: name }, ""));
    const text = `# top\n---\n${documents.join("---\n")}`;
    const line = text.slice(0, text.indexOf("name: beta")).split("\n").length;
    const identity = { name: "b-7", addresses: ["192.0.2.7"] };
    const named = withHostIdentity({ path: "a.yaml", text, line }, "beta", identity);
    expect(named).toBe(
      text
        .replaceAll("name: beta", "name: b-7")
        .replace("hostname: beta", "hostname: b-7")
        .replace(/(b-7[\s\S]*?addresses:) \[\]/, "$1\n    - 192.0.2.7"),
    );
    // Without the line, or with a file that is not split so simply, the whole is read.
    const others = [
      { text },
      { text: `%YAML 1.2\n---\n${documents[1]}`, line: 5 },
      { text: documents[1] ?? "", line: 3 },
    ];
    for (const other of others) {
      expect(withHostIdentity({ path: "a.yaml", ...other }, "beta", identity).match(/b-7/g)).toHaveLength(2);
    }
    const last = text.split("\n").length - 2;
    expect(withHostIdentity({ path: "a.yaml", text, line: last }, "gamma", identity)).toContain("name: b-7");
  });

  it("are not guessed at", () => {
    const bad =
      (text: string, name = "alpha") =>
      () =>
        withHostLabels({ path: "a.yaml", text }, name, {});
    expect(bad("a: [1")).toThrow("syntax errors");
    expect(bad(newHostDocument("beta", []))).toThrow("no Host document for alpha");
    expect(hostDocumentPath("../../Evil Host")).toBe("hosts/evil-host.yaml");
    expect(hostDocumentPath("///")).toBe("hosts/this-machine.yaml");
    expect(() => requireLabels(Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, ""])))).toThrow(
      "101",
    );
  });
});
