import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ErrorCode } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type HandProgramOptions, handProgram } from "../../testing/handProgram.ts";
import { LAB_HOST, NetfilterLab, netfilterLabProblem } from "../../testing/netfilterLab.ts";
import { nftablesEnforcerInside, nftablesProblem } from "../../testing/nftablesLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";

const MAIN = fileURLToPath(new URL("../../testing/nftablesProcessMain.ts", import.meta.url));
const UDP = 17;
const problem = netfilterLabProblem() ?? nftablesProblem();
const why = problem === null ? "" : ` (${problem})`;

const only = (port: number): HandProgramOptions => ({
  rules: [{ direction: "ingress", remote: null, protocol: UDP, port, verdict: "allow" }],
});

describe.skipIf(problem !== null)(`an nftables table without its process${why}`, { timeout: 240_000 }, () => {
  let lab: NetfilterLab;
  let peer: SocketPeer;
  let agent: ChildProcess;

  beforeEach(async () => {
    lab = new NetfilterLab();
    peer = await lab.startSocketPeer("peer");
    const host = await lab.startSocketPeer("host");
    for (const port of [7001, 7002]) await host.listenUdp(port);
  });

  afterEach(async () => {
    agent.kill("SIGKILL");
    await lab.close();
  });

  async function startAgent(waitsMs: number): Promise<void> {
    const program = [process.execPath, "--no-warnings", MAIN, JSON.stringify(only(7001)), JSON.stringify(only(7002))];
    const namespace = `--net=${lab.namespacePath("host")}`;
    agent = spawn("nsenter", [namespace, ...program, String(waitsMs)], { stdio: ["ignore", "pipe", "inherit"] });
    if (agent.stdout !== null) await once(agent.stdout, "data");
  }

  async function killAgent(): Promise<void> {
    const ended = once(agent, "exit");
    agent.kill("SIGKILL");
    await ended;
  }

  const passing = async (): Promise<string> => {
    const asked = [7001, 7002].map((port) => peer.askUdp(LAB_HOST[4], port, 16, 60));
    return (await Promise.all(asked)).map((outcome) => (outcome === "ok" ? "passes" : "denied")).join();
  };

  it("returns to the generation before in time, although the agent is dead, and lets no third thing happen", async () => {
    const waitsMs = 6_000;
    const beforeMs = performance.now();
    await startAgent(waitsMs);
    // It was armed between these two moments.
    const armedMs = performance.now();
    await killAgent();
    const seen = new Set<string>();
    let lastAskedMs = Number.NaN;
    for (let last = ""; last !== "passes,denied"; ) {
      const askedMs = performance.now();
      last = await passing();
      seen.add(last);
      if (last === "denied,passes") lastAskedMs = askedMs;
      if (performance.now() - armedMs > waitsMs + 30_000) break;
    }
    const returnedMs = performance.now();
    expect([...seen].filter((outcome) => outcome === "passes,passes")).toEqual([]);
    expect([...seen]).toContain("passes,denied");
    expect(returnedMs - beforeMs, "not before its time").toBeGreaterThan(waitsMs);
    // Packets are sent after they were asked for: on a busy machine a while after.
    expect(lastAskedMs - armedMs, "asked last, and passed").toBeLessThan(waitsMs + 1_000);
    const adopting = nftablesEnforcerInside(lab.namespacePath("host"));
    expect(await adopting.open()).toMatchObject({ generation: 2, expired: true, previousGeneration: 1 });
    expect(adopting.revert()).toMatchObject({ generation: 1, programDigest: handProgram(only(7001)).digest });
    await adopting.close();
    expect(await passing()).toBe("passes,denied");
  });

  it("goes on, is adopted with its deadline by the next process, and can be confirmed by it", async () => {
    await startAgent(60_000);
    await killAgent();
    expect(await passing()).toBe("denied,passes");
    const adopting = nftablesEnforcerInside(lab.namespacePath("host"));
    const listed = () =>
      lab.inside("host", "nft", ["-s", "list", "table", "inet", "wardline"]).replaceAll(/expires \S+/g, "");
    const before = listed();
    const { deadlineBootMs } = await adopting.open();
    expect(deadlineBootMs).toBeGreaterThan(0);
    expect(listed(), "opening changes nothing").toBe(before);
    adopting.confirm();
    expect(adopting.state()).toMatchObject({ generation: 2, deadlineBootMs: null, previousGeneration: 1 });
    expect(await passing()).toBe("denied,passes");
    await adopting.release();
    expect(await passing()).toBe("passes,passes");
  });
});

describe.skipIf(problem !== null)(`tables of others${why}`, () => {
  let lab: NetfilterLab;
  const enforcer = () => nftablesEnforcerInside(lab.namespacePath("host"));

  beforeEach(() => {
    lab = new NetfilterLab();
  });

  afterEach(() => lab.close());

  it("are left as they are through everything that the backend does", async () => {
    const others = [
      "table inet filter { chain input { type filter hook input priority filter; tcp dport 22 counter accept; }; }",
      "table ip wardline { set s { type ipv4_addr; elements = { 10.0.0.1 }; }; }",
      "table inet wardline_test { chain c { drop; }; }",
    ];
    for (const other of others) lab.load(other);
    const listed = () =>
      [...lab.inside("host", "nft", ["list", "ruleset"]).matchAll(/^table .*\{\n(?:.*\n)*?\}$/gm)]
        .map(([text]) => text)
        .filter((text) => !text.startsWith("table inet wardline {"));
    const before = listed();
    expect(before).toHaveLength(3);
    const own = enforcer();
    await own.open();
    for (const generation of [1, 2]) {
      const prepared = await own.prepare(handProgram(only(7000 + generation)), generation);
      own.activate(prepared, { mode: "enforce", fallbackAfterMs: 60_000 });
      own.confirm();
    }
    own.setEmergency("closed");
    own.revert();
    await own.release();
    expect(listed()).toEqual(before);
  });

  it("are refused when they have our name, and neither changed nor removed", async () => {
    lab.load("table inet wardline { chain input { type filter hook input priority filter; policy accept; }; }");
    const before = lab.inside("host", "nft", ["list", "ruleset"]);
    await expect(enforcer().open()).rejects.toMatchObject({
      code: ErrorCode.ALREADY_EXISTS,
      message: expect.stringContaining("no agent made"),
    });
    await enforcer().release();
    expect(lab.inside("host", "nft", ["list", "ruleset"])).toBe(before);
    lab.inside("host", "nft", ["delete", "table", "inet", "wardline"]);
    lab.load(
      'table inet wardline { set candidate { type nf_proto; flags timeout; comment "Wardline agent, table layout 9"; }; }',
    );
    await expect(enforcer().open()).rejects.toMatchObject({ code: ErrorCode.VERSION_MISMATCH });
  });

  it("taking its place while it runs are reported as nothing of ours", async () => {
    const own = enforcer();
    await own.open();
    lab.load("delete table inet wardline\ntable inet wardline { chain input { drop; }; }");
    expect(own.state()).toMatchObject({ attached: false, generation: 0 });
    expect(own.slotCounters()).toEqual([]);
    await own.close();
  });
});
