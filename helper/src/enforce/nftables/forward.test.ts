import { execFileSync } from "node:child_process";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type HandProgramOptions, type HandRule, handProgram } from "../../testing/handProgram.ts";
import { linksUp } from "../../testing/linksUp.ts";
import { LAB_PEER, NetfilterLab, netfilterLabProblem } from "../../testing/netfilterLab.ts";
import { nftablesProblem, nftInside } from "../../testing/nftablesLab.ts";
import { SocketPeer } from "../../testing/socketPeer.ts";
import { NftablesEnforcer } from "./nftablesEnforcer.ts";

const [TCP, UDP] = [6, 17];
const problem = netfilterLabProblem() ?? nftablesProblem();
const BEHIND = { 4: "198.18.77.2", 6: "fd99:77::2" } as const;
const ROUTER = { 4: "198.18.77.1", 6: "fd99:77::1" } as const;

function allow(direction: HandRule["direction"], remote: string | null, ...ports: number[]): HandRule[] {
  return ports.flatMap((port) =>
    [TCP, UDP].map((protocol) => ({ direction, remote, protocol, port, verdict: "allow" as const })),
  );
}

/** A network namespace behind the host: the host routes between it and its neighbour. */
describe.skipIf(problem !== null)(`forwarded packets and nftables${problem ? ` (${problem})` : ""}`, () => {
  let lab: NetfilterLab;
  let peer: SocketPeer;
  let behind: SocketPeer;
  let enforcer: NftablesEnforcer;
  let isContainer = false;
  const name = `wlnfb${process.pid}`;
  const ip = (...args: string[]): void => void execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });

  beforeAll(async () => {
    lab = new NetfilterLab();
    ip("netns", "add", name);
    const host = lab.namespacePath("host").replace(/.*\//, "");
    ip("-n", host, "link", "add", "inner0", "type", "veth", "peer", "name", "eth0", "netns", name);
    linksUp({ namespace: host, device: "inner0" }, { namespace: name, device: "eth0" });
    for (const [family, bits] of [
      [4, 24],
      [6, 64],
    ] as const) {
      const noDad = family === 6 ? ["nodad"] : [];
      ip("-n", host, "addr", "add", `${ROUTER[family]}/${bits}`, "dev", "inner0", ...noDad);
      ip("-n", name, "addr", "add", `${BEHIND[family]}/${bits}`, "dev", "eth0", ...noDad);
      ip("-n", name, `-${family}`, "route", "add", "default", "via", ROUTER[family]);
    }
    lab.inside("host", "sysctl", ["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
    peer = await lab.startSocketPeer("peer");
    behind = new SocketPeer(`/run/netns/${name}`, null);
    await behind.ready();
    for (const port of [7001, 7002]) {
      await behind.listenTcp(port);
      await behind.listenUdp(port);
      await peer.listenTcp(port + 1000);
    }
  }, 240_000);

  afterAll(async () => {
    await behind.close();
    ip("netns", "del", name);
    await lab.close();
  });

  beforeEach(async () => {
    isContainer = false;
    const networkNamespace = lab.namespacePath("host");
    enforcer = new NftablesEnforcer({
      nft: nftInside(networkNamespace),
      networkNamespace,
      isInner: (entry) => isContainer && entry.name === "inner0",
    });
    await enforcer.open();
  });

  afterEach(() => enforcer.release());

  let generation = 0;
  async function put(...rules: HandRule[]): Promise<void> {
    generation += 1;
    const options: HandProgramOptions = { rules };
    const prepared = await enforcer.prepare(handProgram(options), generation);
    enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
  }

  const inward = (port: number, family: 4 | 6 = 4) => peer.connectTcp(`in${port}`, BEHIND[family], port);
  const outward = (port: number, family: 4 | 6 = 4) => behind.connectTcp(`out${port}`, LAB_PEER[family], port);

  it.each([4, 6] as const)(
    "need a rule that lets them in from their source and one that lets them out, IPv%s",
    async (family) => {
      expect(await inward(7001, family), "no program").toBe("ok");
      await put(...allow("ingress", LAB_PEER[family], 7001, 7002), ...allow("egress", BEHIND[family], 7001));
      expect([await inward(7001, family), await inward(7002, family)]).toEqual(["ok", "timeout"]);
      expect(await peer.askUdp(BEHIND[family], 7001)).toBe("ok");
      expect(await outward(8001, family)).toBe("timeout");
      await put(...allow("ingress", LAB_PEER[family], 7001), ...allow("egress", BEHIND[family], 7001, 7002));
      expect([await inward(7001, family), await inward(7002, family)]).toEqual(["ok", "timeout"]);
      await put(...allow("ingress", LAB_PEER[family], 7001));
      expect(await peer.exchange("in7001"), "lost one of the two").toBe("timeout");
      await peer.disconnect("in7001");
    },
  );

  it("of a container are judged once, as if its socket were the host's own", async () => {
    await put(...allow("ingress", null, 7001), ...allow("egress", null, 8001));
    expect([await inward(7001), await outward(8001)]).toEqual(["timeout", "timeout"]);
    isContainer = true;
    await enforcer.open();
    expect([await inward(7001), await inward(7002)]).toEqual(["ok", "timeout"]);
    expect([await outward(8001), await outward(8002)]).toEqual(["ok", "timeout"]);
    isContainer = false;
    await enforcer.open();
    expect(await peer.exchange("in7001")).toBe("timeout");
    await peer.disconnect("in7001");
    await behind.disconnect("out8001");
  });

  it("follow interfaces that come and go, without anybody asking", async () => {
    isContainer = true;
    const host = lab.namespacePath("host").replace(/.*\//, "");
    const held = () => lab.inside("host", "nft", ["list", "set", "inet", "wardline", "inner"]);
    await enforcer.open();
    expect(held()).toContain('"inner0"');
    ip("-n", host, "link", "set", "inner0", "down");
    ip("-n", host, "link", "set", "inner0", "name", "renamed0");
    await expect.poll(held, { timeout: 40_000 }).not.toContain('"inner0"');
    ip("-n", host, "link", "set", "renamed0", "name", "inner0");
    ip("-n", host, "link", "set", "inner0", "up");
    await expect.poll(held, { timeout: 40_000 }).toContain('"inner0"');
  });

  it("stop in an emergency, those of containers too", async () => {
    isContainer = true;
    await enforcer.open();
    await put(...allow("ingress", null, 7001));
    enforcer.setEmergency("closed");
    expect(await inward(7001)).toBe("timeout");
    enforcer.setEmergency("open");
    expect(await inward(7002)).toBe("ok");
    await peer.disconnect("in7002");
  });
});
