/** The edge of a real agent, in the network namespace of its host. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AgentLab, allowPorts } from "../testing/agentLab.ts";
import { AGENT_FROM_SOURCE, AgentProcess } from "../testing/agentProcess.ts";
import { HOST_ADDRESS, kernelLabProblem } from "../testing/kernelLab.ts";
import type { SocketPeer } from "../testing/socketPeer.ts";

const problem = kernelLabProblem();
const CLOSED_PORT = 7900;

describe.skipIf(problem !== null)(`the edge of a real agent${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: AgentLab;
  let peer: SocketPeer;

  beforeEach(async () => {
    lab = new AgentLab();
    const host = await lab.kernel.startSocketPeer("host");
    await host.listenTcp(8080);
    peer = await lab.kernel.startSocketPeer("peer");
  }, 240_000);

  afterEach(() => lab.close(), 240_000);

  async function start(...more: readonly string[]): Promise<void> {
    const command = ["nsenter", `--net=${lab.kernel.hostNamespace}`, ...AGENT_FROM_SOURCE];
    lab.agent = await AgentProcess.start(command, [...lab.options, ...more]);
  }

  const reach = (port: number): Promise<string> => peer.connectTcp(`to ${port}`, HOST_ADDRESS[4], port, 200);

  it("is on when asked for, outlives the process, and is off without", { timeout: 240_000 }, async () => {
    await start("--edge", "on", "--early-drop", "eth0,wan7");
    expect(await lab.status()).toMatchObject({
      edgeInterfaces: ["eth0 (tcx)", "eth0 (early drop)"],
      problems: ["Nothing is dropped early on wan7: there is no such interface."],
    });
    expect(await reach(CLOSED_PORT)).toBe("ECONNREFUSED");
    await lab.applyAndConfirm(0n, allowPorts(8080));
    expect([await reach(8080), await reach(CLOSED_PORT)]).toEqual(["ok", "timeout"]);
    await lab.agent?.end("SIGKILL");
    expect(await reach(CLOSED_PORT)).toBe("timeout");
    // An agent that guards one cgroup has no say about the whole host unless told so.
    await start();
    expect(await lab.status()).toMatchObject({ edgeInterfaces: [], problems: [], enforced: { number: 1n } });
    expect(await reach(CLOSED_PORT)).toBe("ECONNREFUSED");
  });

  it("goes with uninstall", { timeout: 240_000 }, async () => {
    await start("--edge", "on");
    await lab.applyAndConfirm(0n, allowPorts(8080));
    await lab.agent?.end("SIGTERM");
    expect(await reach(CLOSED_PORT)).toBe("timeout");
    expect(await lab.run("uninstall")).toMatchObject({ exitCode: 0 });
    expect(await reach(CLOSED_PORT)).toBe("ECONNREFUSED");
  });
});
