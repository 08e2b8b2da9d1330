import { ErrorCode, type Failure } from "@wardline/domain/errors";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { HAND_DECISION, type HandProgramOptions, type HandRule, handProgram } from "../../testing/handProgram.ts";
import { LAB_HOST, LAB_PEER, NetfilterLab, netfilterLabProblem } from "../../testing/netfilterLab.ts";
import { nftablesEnforcerInside, nftablesProblem } from "../../testing/nftablesLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import { wirePacket } from "../../testing/wirePacket.ts";
import type { EnforcementMode } from "../enforcer.ts";
import { NftablesEnforcer } from "./nftablesEnforcer.ts";

const [TCP, UDP] = [6, 17];
const problem = netfilterLabProblem() ?? nftablesProblem();
const why = problem === null ? "" : ` (${problem})`;

function allow(direction: HandRule["direction"], ...ports: number[]): HandRule[] {
  return ports.flatMap((port) =>
    [TCP, UDP].map((protocol) => ({ direction, remote: null, protocol, port, verdict: "allow" as const })),
  );
}

/** Allowed: peer to host 7001, host to peer 8001. Everything else is denied. */
const ONE_PORT_EACH_WAY: HandProgramOptions = { rules: [...allow("ingress", 7001), ...allow("egress", 8001)] };
const NOTHING: HandProgramOptions = { rules: [] };

async function failureOf(run: () => unknown): Promise<Failure | null> {
  try {
    await run();
    return null;
  } catch (error) {
    return error as Failure;
  }
}

describe.skipIf(problem !== null)(`the nftables backend and real sockets${why}`, { timeout: 240_000 }, () => {
  let lab: NetfilterLab;
  let host: SocketPeer;
  let peer: SocketPeer;
  let enforcer: NftablesEnforcer;
  let generation = 0;

  async function put(
    program: HandProgramOptions,
    mode: EnforcementMode = "enforce",
    fallbackAfterMs: number | null = null,
  ): Promise<void> {
    generation += 1;
    const prepared = await enforcer.prepare(handProgram(program), generation);
    enforcer.activate(prepared, { mode, fallbackAfterMs });
  }

  const nft = (...args: string[]): string => lab.inside("host", "nft", args);
  const counted = (decision: number): bigint =>
    enforcer.readCounters().find((counter) => counter.decision === decision)?.packets ?? -1n;

  beforeAll(async () => {
    lab = new NetfilterLab();
    host = await lab.startSocketPeer("host");
    peer = await lab.startSocketPeer("peer");
    for (const port of [7001, 7002]) {
      await host.listenTcp(port);
      await host.listenUdp(port);
      await peer.listenTcp(port + 1000);
      await peer.listenUdp(port + 1000);
    }
  });

  beforeEach(async () => {
    enforcer = nftablesEnforcerInside(lab.namespacePath("host"));
    await enforcer.open();
  });

  afterEach(async () => {
    await enforcer.release();
    expect(nft("list", "tables")).toBe("");
  });

  afterAll(() => lab.close());

  it.each([4, 6] as const)("passes what is allowed and nothing else, IPv%s", async (family) => {
    expect(await peer.connectTcp("before", LAB_HOST[family], 7002)).toBe("ok");
    await put(ONE_PORT_EACH_WAY);
    expect(await peer.exchange("before"), "no longer allowed").toBe("timeout");
    expect(await peer.connectTcp("in", LAB_HOST[family], 7001)).toBe("ok");
    expect(await peer.connectTcp("no", LAB_HOST[family], 7002)).toBe("timeout");
    expect(await host.connectTcp("out", LAB_PEER[family], 8001)).toBe("ok");
    expect(await host.connectTcp("no", LAB_PEER[family], 8002)).toBe("timeout");
    expect(await peer.askUdp(LAB_HOST[family], 7001)).toBe("ok");
    expect(await host.askUdp(LAB_PEER[family], 8002)).toBe("EPERM");
    expect(await host.connectTcp("self", LAB_HOST[family], 7002), "its own address").toBe("ok");
    for (const name of ["out", "self"]) await host.disconnect(name);
    for (const name of ["before", "in"]) await peer.disconnect(name);
    expect(counted(HAND_DECISION.firstRule)).toBeGreaterThanOrEqual(6n);
    expect(counted(HAND_DECISION.ingress)).toBeGreaterThan(0n);
    expect(enforcer.readCounters().every(({ lastSeenBootNs }) => lastSeenBootNs === 0n)).toBe(true);
  });

  it("decides about closed ports and ping, which no socket sees", async () => {
    await put({ rules: allow("ingress", 7009) });
    expect(await peer.connectTcp("closed", LAB_HOST[4], 7009)).toBe("ECONNREFUSED");
    expect(await peer.connectTcp("closed", LAB_HOST[4], 7010), "silence").toBe("timeout");
    expect(lab.ping("peer", LAB_HOST[4])).toBe("silence");
    await put({ rules: [{ direction: "ingress", remote: null, protocol: 1, port: 8 << 8, verdict: "allow" }] });
    expect(lab.ping("peer", LAB_HOST[4])).toBe("answered");
  });

  it("ends a connection that lost its permission and keeps one that did not, over a swap and back", async () => {
    await put({ rules: allow("ingress", 7001, 7002) });
    expect(await peer.connectTcp("kept", LAB_HOST[4], 7001)).toBe("ok");
    expect(await peer.connectTcp("revoked", LAB_HOST[4], 7002)).toBe("ok");
    await put(ONE_PORT_EACH_WAY, "enforce", 60_000);
    expect([await peer.exchange("kept"), await peer.exchange("revoked")]).toEqual(["ok", "timeout"]);
    enforcer.revert();
    expect(await peer.connectTcp("again", LAB_HOST[4], 7002)).toBe("ok");
    for (const name of ["kept", "revoked", "again"]) await peer.disconnect(name);
  });

  it("judges what answers as the connection that it belongs to, also when only the answering end goes on", async () => {
    await put(ONE_PORT_EACH_WAY);
    const ends = { source: LAB_PEER[4], destination: LAB_HOST[4], protocol: UDP };
    lab.sendToHost([wirePacket({ ...ends, port: 7001, otherPort: 5555 })]);
    await put({ rules: [], otherwise: { ingress: "deny", egress: "allow" } });
    const before = [counted(HAND_DECISION.ingress), counted(HAND_DECISION.egress)] as const;
    const answer = { source: LAB_HOST[4], destination: LAB_PEER[4], protocol: UDP, port: 5555, otherPort: 7001 };
    lab.sendFromHost([wirePacket(answer), wirePacket(answer), wirePacket({ ...answer, port: 5556 })]);
    // Not opened by the host, whose own connections may all leave.
    expect(counted(HAND_DECISION.ingress) - before[0]).toBeGreaterThanOrEqual(2n);
    expect(counted(HAND_DECISION.egress) - before[1]).toBeGreaterThanOrEqual(1n);
  });

  it("keeps a connection that is older than the table when its opener may go on", async () => {
    expect(await host.connectTcp("older", LAB_PEER[4], 8001)).toBe("ok");
    await put(ONE_PORT_EACH_WAY);
    expect(await host.exchange("older")).toBe("ok");
    await host.disconnect("older");
  });

  it("lets everything pass in observe mode and counts what it would have denied", async () => {
    await put(NOTHING, "observe");
    expect(enforcer.state().mode).toBe("observe");
    expect(await peer.connectTcp("seen", LAB_HOST[4], 7002)).toBe("ok");
    await peer.disconnect("seen");
    expect(counted(HAND_DECISION.ingress)).toBeGreaterThanOrEqual(4n);
  });

  it("returns by itself to what decided before, and counts for it", async () => {
    await put({ rules: allow("ingress", 7002) });
    await put(ONE_PORT_EACH_WAY, "enforce", 700);
    expect(await peer.askUdp(LAB_HOST[4], 7001)).toBe("ok");
    expect(await peer.askUdp(LAB_HOST[4], 7002, 16, 100)).toBe("timeout");
    await expect.poll(() => peer.askUdp(LAB_HOST[4], 7002, 16, 100), { timeout: 40_000, interval: 20 }).toBe("ok");
    expect(await peer.askUdp(LAB_HOST[4], 7001, 16, 100)).toBe("timeout");
    expect(enforcer.state()).toMatchObject({ expired: true, generation, previousGeneration: generation - 1 });
    expect(counted(HAND_DECISION.firstRule + 1), "of the program before").toBeGreaterThan(0n);
    await put(ONE_PORT_EACH_WAY, "enforce", 60_000);
    enforcer.confirm();
    expect(await peer.askUdp(LAB_HOST[4], 7001)).toBe("ok");
  });

  it("stops no allowed packet and passes no denied one while generations are exchanged", async () => {
    await put(ONE_PORT_EACH_WAY);
    const other = await lab.startSocketPeer("host");
    const before = await peer.countUdp(8001);
    await host.startUdp(LAB_PEER[4], 8001);
    await other.startUdp(LAB_PEER[4], 8002);
    for (let round = 0; round < 8; round++) {
      await put({ rules: [...ONE_PORT_EACH_WAY.rules, ...allow("egress", 9000 + round)] }, "enforce", 60_000);
      if (round % 2 === 0) enforcer.confirm();
      else enforcer.revert();
    }
    const sent = await host.stopUdp();
    expect(await other.stopUdp(101)).toBeGreaterThan(100);
    await expect.poll(async () => (await peer.countUdp(8001)) - before).toBe(sent);
    expect(await peer.countUdp(8002)).toBe(0);
  });

  it("opens and closes in an emergency, whatever decides", async () => {
    enforcer.setEmergency("closed");
    expect(await peer.connectTcp("no", LAB_HOST[4], 7001), "without any program").toBe("timeout");
    await put(ONE_PORT_EACH_WAY, "observe");
    expect(await peer.connectTcp("no", LAB_HOST[4], 7001)).toBe("timeout");
    expect(await host.connectTcp("no", LAB_PEER[6], 8001)).toBe("timeout");
    expect(await host.connectTcp("loopback", "127.0.0.1", 7001)).toBe("ok");
    await host.disconnect("loopback");
    const closed = enforcer.readCounters().find(({ decision }) => decision === 8);
    expect(closed?.packets).toBeGreaterThan(0n);
    enforcer.setEmergency("open");
    await put(NOTHING);
    expect(await peer.askUdp(LAB_HOST[4], 7002)).toBe("ok");
    enforcer.setEmergency("none");
    expect(await peer.askUdp(LAB_HOST[4], 7002, 16, 100)).toBe("timeout");
  });

  it("says when somebody removed its table, and puts it back when it is opened or has to close", async () => {
    await put(NOTHING);
    await put(ONE_PORT_EACH_WAY);
    nft("flush", "ruleset");
    expect(enforcer.state()).toMatchObject({ attached: false, generation: 0, programDigest: "" });
    expect(enforcer.readCounters()).toEqual([]);
    expect((await failureOf(() => enforcer.prepare(handProgram(NOTHING), 9)))?.code).toBe(ErrorCode.KERNEL_REFUSED);
    const whole = { attached: true, generation, previousGeneration: generation - 1, mode: "enforce" };
    expect(await enforcer.open()).toMatchObject(whole);
    expect(enforcer.limits.at(-1)).toContain("put back (1 time since");
    nft("flush", "ruleset");
    enforcer.setEmergency("closed");
    expect(await peer.connectTcp("no", LAB_HOST[4], 7001)).toBe("timeout");
    nft("flush", "table", "inet", "wardline");
    expect(enforcer.state().attached).toBe(false);
    enforcer.setEmergency("none");
    expect(enforcer.state()).toMatchObject({ ...whole, emergency: "none" });
    expect(await peer.askUdp(LAB_HOST[4], 7001)).toBe("ok");
    expect(await peer.askUdp(LAB_HOST[4], 7002, 16, 100)).toBe("timeout");
    nft("flush", "ruleset");
    expect(enforcer.revert()).toMatchObject({ attached: true, generation: generation - 1 });
    expect(enforcer.limits.at(-1)).toContain("put back (4 times since");
  });

  it("makes an empty table where it does not know what was in it", async () => {
    await put(ONE_PORT_EACH_WAY);
    const stranger = nftablesEnforcerInside(lab.namespacePath("host"));
    await stranger.open();
    nft("flush", "ruleset");
    expect(stranger.revert()).toMatchObject({ attached: true, generation: 0 });
    await stranger.close();
  });

  it("puts its table back by itself, with the time that is left to confirm", async () => {
    await enforcer.close();
    enforcer = nftablesEnforcerInside(lab.namespacePath("host"), 50);
    await enforcer.open();
    await put({ rules: allow("ingress", 7002) });
    await put(ONE_PORT_EACH_WAY, "enforce", 3_000);
    const { deadlineBootMs } = enforcer.state();
    nft("flush", "ruleset");
    await expect
      .poll(() => enforcer.state(), { timeout: 40_000, interval: 20 })
      .toMatchObject({
        attached: true,
        generation,
        deadlineBootMs,
        expired: false,
      });
    expect(await peer.askUdp(LAB_HOST[4], 7001)).toBe("ok");
    await expect.poll(() => enforcer.state().expired, { timeout: 40_000, interval: 20 }).toBe(true);
    expect(await peer.askUdp(LAB_HOST[4], 7001, 16, 100)).toBe("timeout");
    nft("flush", "ruleset");
    // Nobody confirmed it: it is not put back.
    await expect
      .poll(() => enforcer.state(), { timeout: 40_000, interval: 20 })
      .toMatchObject({ attached: true, generation: generation - 1, deadlineBootMs: null });
    expect(await peer.askUdp(LAB_HOST[4], 7002)).toBe("ok");
  });

  it("puts back the hooks that somebody removed, without losing the program", async () => {
    await put(ONE_PORT_EACH_WAY);
    for (const damage of [
      ["delete", "chain", "inet", "wardline", "input"],
      ["flush", "chain", "inet", "wardline", "output"],
      ["insert", "rule", "inet", "wardline", "forward_in", "accept"],
    ]) {
      nft(...damage);
      expect(enforcer.state(), damage.join(" ")).toMatchObject({ attached: false, generation });
      expect(await enforcer.open()).toMatchObject({ attached: true, generation, mode: "enforce" });
    }
    expect(await peer.connectTcp("no", LAB_HOST[4], 7002)).toBe("timeout");
    expect(await peer.connectTcp("in", LAB_HOST[4], 7001)).toBe("ok");
    await peer.disconnect("in");
  });

  it("is not opened where nft refuses a sample of every rule, and makes nothing there", async () => {
    await enforcer.release();
    const refusing = new NftablesEnforcer({ nft: ["/bin/false"], networkNamespace: lab.namespacePath("host") });
    expect((await failureOf(() => refusing.open()))?.code).toBe(ErrorCode.KERNEL_REFUSED);
    expect(() => refusing.state()).toThrow("not open");
    expect(nft("list", "tables")).toBe("");
  });

  it("refuses what it cannot do by name, and changes nothing", async () => {
    await put(ONE_PORT_EACH_WAY);
    const before = enforcer.state();
    const program = handProgram({
      rules: [{ direction: "ingress", remote: null, protocol: TCP, port: 7001, verdict: "allow", set: 1 }],
      workloads: [{ kind: "systemdUnit", unit: "nginx.service" }],
    });
    const failure = await failureOf(() => enforcer.prepare(program, 99));
    expect(failure?.code).toBe(ErrorCode.POLICY_UNSUPPORTED);
    expect(failure?.message).toContain("Workload/default/w1 would be treated otherwise than its host");
    expect(enforcer.state()).toEqual(before);
  });
});
