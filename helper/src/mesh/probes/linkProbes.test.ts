import { constants } from "node:os";
import { MeshProbeMethod, MeshProvider } from "@wardline/api/wardline/v1/mesh";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { isSameAddress, socketAddressOf } from "../../linux/icmp/socketAddress.ts";
import { SimulatedLinks } from "../../testing/simulatedLinks.ts";
import type { ProbeTarget } from "../ports.ts";
import { LinkProbes } from "./linkProbes.ts";
import { PathMtuSearch, triesFor } from "./pathMtuSearch.ts";
import { ProbeWindow } from "./probeWindow.ts";

const open: LinkProbes[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

const target = (number = 1, change: Partial<ProbeTarget> = {}): ProbeTarget => ({
  host: `host-${number}`,
  address: `10.0.${number >> 8}.${number & 0xff}`,
  provider: MeshProvider.IP,
  ...change,
});

function started(targets: readonly ProbeTarget[] = [target()], prepare: (links: SimulatedLinks) => void = () => {}) {
  const links = new SimulatedLinks();
  prepare(links);
  const probes = new LinkProbes(links);
  open.push(probes);
  const changes: { readonly atMs: number; readonly reachable: boolean | undefined }[] = [];
  probes.onChange(() => changes.push({ atMs: links.nowMs, reachable: probes.results()[0]?.reachable }));
  probes.setTargets(targets);
  const only = () => probes.results()[0];
  return { links, probes, changes, only };
}

/** Usual echoes only. */
const isUsual = ({ packetBytes }: { readonly packetBytes: number }) => packetBytes === 0;
/** Answers up to a size. */
const narrow = (mtuBytes: number) => (sent: { readonly packetBytes: number }) =>
  sent.packetBytes > mtuBytes ? null : 10;

describe("probes of links", () => {
  it("measure latency by the time of the kernel, whenever the process looks", async () => {
    const { links, only } = started([target()], (world) => {
      let count = 0;
      world.behaviour = () => (++count % 10 === 0 ? 90 : 12.5);
    });
    await links.run(30_000);
    expect(only()).toMatchObject({
      reachable: true,
      latencyMs: 12.5,
      latencyP95Ms: 90,
      loss: 0,
      method: MeshProbeMethod.ICMP,
    });
    expect(only()?.problem).toBe("");
    expect(only()?.sent).toBe(only()?.received);
  });

  it("say nothing of a target before there is something to say", async () => {
    const { links, probes, changes } = started([target()], (world) => {
      world.behaviour = () => null;
    });
    expect(probes.results()).toEqual([]);
    await links.run(2_500);
    expect(probes.results()).toEqual([]);
    await links.run(3_000);
    expect(probes.results()[0]).toMatchObject({ reachable: false, loss: 1 });
    expect(probes.results()[0]?.latencyMs).toBeUndefined();
    expect(probes.results()[0]?.problem).toContain("never answered");
    expect(changes).toHaveLength(1);
  });

  it.each([1, 64, 65, 200, 256])(
    "keep their pace with %i targets: once a second each, 64 a second in all",
    async (count) => {
      const { links } = started(Array.from({ length: count }, (_, index) => target(index)));
      await links.run(60_000);
      const usual = links.sent.filter(isUsual);
      const perTarget = Map.groupBy(usual, ({ address }) => address);
      expect(perTarget.size).toBe(count);
      const everyMs = Math.max(1_000, (count * 1_000) / 64);
      for (const sent of perTarget.values()) expect(Math.abs(sent.length - 60_000 / everyMs)).toBeLessThanOrEqual(2);
      const perSecond = Map.groupBy(links.sent, ({ atMs }) => Math.floor(atMs / 1_000));
      for (const sent of perSecond.values()) expect(sent.length).toBeLessThanOrEqual(2 * 64);
      expect(usual.length / 60).toBeLessThanOrEqual(65);
      expect((links.sent.length - usual.length) / 60).toBeLessThanOrEqual(5);
      // Woken ten times a second at most, whatever there is to do.
      expect(links.wakes / 60).toBeLessThanOrEqual(10.1);
    },
  );

  it("do not begin together", async () => {
    const { links } = started(Array.from({ length: 60 }, (_, index) => target(index)));
    await links.run(1_200);
    const perWake = Map.groupBy(links.sent, ({ atMs }) => atMs);
    expect(Math.max(...[...perWake.values()].map(({ length }) => length))).toBeLessThan(20);
  });

  it("find a target gone after three lost in a row, within 2.8 s, and back after one answer", async () => {
    for (let offsetMs = 0; offsetMs < 1_000; offsetMs += 130) {
      const { links, changes, only } = started();
      await links.run(10_000 + offsetMs);
      const goneAtMs = links.nowMs;
      links.behaviour = () => null;
      await links.run(5_000);
      expect(changes.map(({ reachable }) => reachable)).toEqual([true, false]);
      expect((changes[1]?.atMs ?? 0) - goneAtMs).toBeLessThanOrEqual(2_800);
      expect(only()?.problem).toBe("Echoes are not answered.");
      const backAtMs = links.nowMs;
      links.behaviour = () => 10;
      await links.run(2_000);
      expect(changes.at(-1)?.reachable).toBe(true);
      expect((changes.at(-1)?.atMs ?? 0) - backAtMs).toBeLessThanOrEqual(1_400);
    }
  });

  it("ask a lost target once a second, not more", async () => {
    const { links } = started([target()], (world) => {
      world.behaviour = () => null;
    });
    await links.run(60_000);
    expect(links.sent.length).toBeLessThanOrEqual(61);
    expect(links.wakes).toBeLessThanOrEqual(190);
  });

  it("take two lost in a row for no fault, and a late answer for a loss", async () => {
    const { links, changes, only } = started();
    await links.run(10_000);
    let count = 0;
    links.behaviour = () => (++count <= 2 ? null : 10);
    await links.run(5_000);
    expect(changes).toHaveLength(1);
    links.behaviour = () => 1_050;
    await links.run(5_000);
    expect(changes.at(-1)?.reachable).toBe(false);
    expect(only()?.latencyMs, "those of before").toBeCloseTo(10);
  });

  it("do not take for lost what was answered while the process was held up", async () => {
    const { links, changes, only } = started();
    await links.run(5_300);
    links.stallMs = 20_000;
    await links.run(30_000);
    expect(changes).toHaveLength(1);
    expect(only()).toMatchObject({ loss: 0, latencyMs: 10 });
  });

  it.each([3_600_000, -3_600_000, 40, -5])(
    "leave out times between which the wall clock was set by %i ms",
    async (stepMs) => {
      const { links, changes, only } = started();
      links.behaviour = () => {
        // Between the question and its answer.
        if (links.sent.length % 3 === 0) links.wallOffsetMs += stepMs;
        return 10;
      };
      await links.run(30_000);
      expect(only()).toMatchObject({ reachable: true, loss: 0, latencyMs: 10, latencyP95Ms: 10 });
      expect(changes).toHaveLength(1);
    },
  );

  it("count no reply that is forged, changed, cut, of another address, or comes twice", async () => {
    const forgeries: SimulatedLinks["forge"][] = [
      ({ atMs }, reply) => [{ atMs: atMs + 5, reply: { ...reply, payload: Buffer.alloc(16, 1) } }],
      ({ atMs }, reply) => [{ atMs: atMs + 5, reply: { ...reply, payload: reply.payload.subarray(0, 15) } }],
      ({ atMs }, reply) => [
        { atMs: atMs + 5, reply: { ...reply, from: socketAddressOf("10.9.9.9") ?? Buffer.alloc(0) } },
      ],
      ({ atMs }, reply) => [{ atMs: atMs + 5, reply: { ...reply, from: Buffer.alloc(0) } }],
      ({ atMs }, reply) => [{ atMs: atMs + 5, reply: { ...reply, sequence: (reply.sequence + 1) & 0xffff } }],
    ];
    for (const forge of forgeries) {
      const { links, only } = started([target()], (world) => {
        world.behaviour = () => null;
        world.forge = forge;
      });
      await links.run(10_000);
      expect(only()).toMatchObject({ reachable: false, received: 0, loss: 1 });
    }
    const { links, only } = started([target()], (world) => {
      world.forge = ({ atMs }, reply) => [1, 2, 3].map((count) => ({ atMs: atMs + 10 + count, reply }));
    });
    await links.run(10_000);
    expect(only()?.received).toBe(only()?.sent);
    expect(only()?.latencyMs).toBe(10);
  });

  it("fall back to handshakes where echoes are refused, without calling the host unreachable", async () => {
    const { links, changes, only } = started([target(1, { tcpPort: 2379 })]);
    await links.run(5_000);
    links.behaviour = () => null;
    links.shake = () => ({ outcome: "answered", latencyNs: 8e6, afterMs: 8 });
    await links.run(40_000);
    expect(changes).toHaveLength(1);
    expect(only()).toMatchObject({ reachable: true, method: MeshProbeMethod.TCP, latencyMs: 8, latencyP95Ms: 8 });
    expect(only()?.loss).toBeUndefined();
    expect(only()?.pathMtuBytes).toBeUndefined();
    expect(only()?.problem).toBe("Echoes are not answered; times are those of handshakes with port 2379.");
    // Every two seconds, and an echo every ten to see whether they pass again.
    expect(links.handshakes.length).toBeLessThanOrEqual(22);
    links.shake = () => ({ outcome: "refused", latencyNs: null, afterMs: 8 });
    await links.run(5_000);
    expect(only()).toMatchObject({ reachable: true, latencyMs: 8 });
    expect(only()?.problem).toContain("which refuses connections");
    links.shake = () => ({ outcome: "silent", latencyNs: null, afterMs: 1_000 });
    await links.run(7_000);
    expect(only()).toMatchObject({ reachable: false });
    expect(only()?.problem).toContain("port 2379 does not answer");
    links.behaviour = () => 10;
    await links.run(3_000);
    expect(only()).toMatchObject({ reachable: true, method: MeshProbeMethod.ICMP, problem: "" });
    const before = links.handshakes.length;
    await links.run(20_000);
    expect(links.handshakes.length, "none is needed any more").toBe(before);
  });

  it("find a host with a port gone within 2.9 s too", async () => {
    const { links, changes } = started([target(1, { tcpPort: 2379 })]);
    await links.run(10_000);
    const goneAtMs = links.nowMs;
    links.behaviour = () => null;
    await links.run(5_000);
    expect(changes.at(-1)?.reachable).toBe(false);
    expect((changes.at(-1)?.atMs ?? 0) - goneAtMs).toBeLessThanOrEqual(2_900);
  });

  it("say nothing of a way onto which this host lets nothing, and why", async () => {
    const { links, probes } = started([target()], (world) => {
      world.errno = () => constants.errno.EPERM;
    });
    await links.run(10_000);
    expect(probes.results()).toEqual([]);
    expect(probes.problems()).toEqual([
      "Links cannot be measured: A policy or firewall of this host lets no echoes out.",
    ]);
    links.errno = () => 0;
    await links.run(3_000);
    expect(probes.results()[0]?.reachable).toBe(true);
    expect(probes.problems()).toEqual([]);
  });

  it("use handshakes where the kernel gives no socket for echoes", async () => {
    const { links, probes, only } = started([target(), target(2, { tcpPort: 22 })], (world) => {
      world.openProblem = "no socket";
      world.shake = () => ({ outcome: "answered", latencyNs: 3e6, afterMs: 3 });
    });
    await links.run(10_000);
    expect(probes.results()).toHaveLength(1);
    expect(only()).toMatchObject({ targetHost: "host-2", method: MeshProbeMethod.TCP, latencyMs: 3 });
    expect(probes.problems()).toEqual(["Links cannot be measured: no socket."]);
  });

  it("tell a host without a route from one that is silent", async () => {
    const { links, only } = started([target()], (world) => {
      world.errno = () => constants.errno.ENETUNREACH;
    });
    await links.run(5_000);
    expect(only()).toMatchObject({ reachable: false, loss: 1 });
    expect(only()?.problem).toContain("no route");
  });

  it("take a full queue of this host neither for a loss nor for an answer", async () => {
    const { links, only, changes } = started();
    await links.run(5_000);
    links.errno = () => constants.errno.ENOBUFS;
    await links.run(10_000);
    expect(only()).toMatchObject({ reachable: true, loss: 0 });
    expect(changes).toHaveLength(1);
  });

  it("keep what they know of targets that stay, forget the others, and rest without any", async () => {
    const { links, probes } = started([target(1), target(2)]);
    expect(links.open).toBe(1);
    await links.run(5_000);
    probes.setTargets([target(2), target(3)]);
    expect(probes.results().map(({ targetHost }) => targetHost)).toEqual(["host-2"]);
    await links.run(3_000);
    expect(probes.results().map(({ targetHost }) => targetHost)).toEqual(["host-2", "host-3"]);
    probes.setTargets([]);
    expect(links.open).toBe(0);
    const { wakes } = links;
    await links.run(10_000);
    expect(links.wakes).toBe(wakes);
    expect(probes.results()).toEqual([]);
  });

  it("name what is no address, and measure 256 at most", () => {
    const { probes } = started([
      target(1, { address: "web.example" }),
      ...Array.from({ length: 300 }, (_, index) => target(index)),
    ]);
    expect(probes.problems()[0]).toContain("“web.example” is no address");
    expect(probes.problems().length).toBeLessThanOrEqual(16);
    expect(probes.problems()[1]).toContain("more than 256");
  });
});

describe("lost in a row", () => {
  it("takes a time without a way for no loss of the way that there is after it, and four lost in a row for a loss", () => {
    const window = new ProbeWindow();
    window.answered(1, 1_000, 1e6);
    for (const serial of [2, 3, 4, 5]) window.lost(serial, serial * 1_000);
    window.answered(6, 6_000, 1e6);
    expect(window.figures(6_000)).toMatchObject({ sent: 6, received: 2 });
    for (const serial of [7, 8, 9, 10, 11]) window.lost(serial, serial * 1_000);
    expect(window.figures(11_000)).toMatchObject({ sent: 11, received: 2 });
    window.answered(12, 12_000, 1e6);
    expect(window.figures(12_000)).toMatchObject({ sent: 7, received: 3 });
  });

  it("counts by the order of questions: answers overtake one another, and a loss is known later than the answer after it", () => {
    const window = new ProbeWindow();
    window.answered(2, 300, 1e6);
    window.lost(1, 1_000);
    expect(window.lostInRow).toBe(0);
    for (const serial of [3, 4, 5, 6]) window.lost(serial, 2_000);
    expect(window.lostInRow).toBe(3);
    window.answered(5, 2_100, null);
    expect(window.lostInRow).toBe(1);
    // One that was given up and came late is an answer.
    expect(window.figures(2_200)).toMatchObject({ sent: 6, received: 2, latencyMs: 1 });
    expect(window.figures(60_900)).toMatchObject({ sent: 5 });
    expect(window.figures(70_000)).toEqual({ sent: 0, received: 0, loss: null, latencyMs: null, latencyP95Ms: null });
  });
});

describe("the path MTU", () => {
  it.each([576, 1_280, 1_400, 1_472, 1_499, 1_500, 1_501, 8_999, 9_000, 65_535])(
    "of %i bytes is found exactly",
    async (mtu) => {
      const { links, only } = started([target()], (world) => {
        world.behaviour = narrow(mtu);
      });
      await links.run(90_000);
      expect(only()?.pathMtuBytes).toBe(mtu);
      const large = links.sent.filter((sent) => !isUsual(sent)).length;
      expect(large).toBeLessThan(50);
      await links.run(200_000);
      expect(
        links.sent.filter((sent) => !isUsual(sent)),
        "nothing more for five minutes",
      ).toHaveLength(large);
    },
  );

  it("of an interface that takes no more costs one packet", async () => {
    const { links, only } = started([target()], (world) => {
      world.errno = ({ packetBytes }) => (packetBytes > 1_500 ? constants.errno.EMSGSIZE : 0);
    });
    await links.run(10_000);
    expect(only()?.pathMtuBytes).toBe(1_500);
    expect(links.sent.filter((sent) => !isUsual(sent))).toHaveLength(1);
  });

  it("is looked for again after five minutes, and after an absence", async () => {
    const { links, only } = started();
    links.behaviour = narrow(1_500);
    await links.run(30_000);
    links.behaviour = narrow(1_400);
    await links.run(360_000);
    expect(only()?.pathMtuBytes).toBe(1_400);
    links.behaviour = () => null;
    await links.run(5_000);
    expect(only()?.pathMtuBytes).toBeUndefined();
    links.behaviour = narrow(1_320);
    await links.run(40_000);
    expect(only()?.pathMtuBytes).toBe(1_320);
  });

  it("is found also where a third is lost, and not told where most is", async () => {
    const { links, only } = started([target()]);
    links.behaviour = (sent) => (links.random() < 0.3 ? null : narrow(1_400)(sent));
    await links.run(400_000);
    expect([1_400, undefined]).toContain(only()?.pathMtuBytes);
    links.behaviour = (sent) => (sent.packetBytes > 200 ? null : 10);
    await links.run(400_000);
    expect(only()?.pathMtuBytes, "where nothing large passes at all it is not known").toBeUndefined();
  });

  it("is not taken for small because the way broke for a moment while it was looked for", async () => {
    for (let breakMs = 300; breakMs <= 2_400; breakMs += 300) {
      for (let offsetMs = 0; offsetMs < 1_000; offsetMs += 200) {
        const { links, only } = started();
        await links.run(2_500 + offsetMs);
        let brokenAtMs: number | null = null;
        links.behaviour = (sent) => {
          if (sent.packetBytes > 0) brokenAtMs ??= sent.atMs;
          return brokenAtMs !== null && sent.atMs < brokenAtMs + breakMs ? null : narrow(1_500)(sent);
        };
        await links.run(60_000);
        expect(only()?.pathMtuBytes).toBe(1_500);
      }
    }
  });

  it("ends for every link, with the size itself", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 64, max: 65_535 }),
        fc.integer({ min: 64, max: 65_535 }),
        fc.option(fc.integer({ min: 0, max: 70_000 })),
        (path, device, previousBytes) => {
          const search = new PathMtuSearch({ previousBytes, smallestBytes: 64, largestBytes: 65_535, tries: 3 });
          let steps = 0;
          for (let size = search.nextBytes; size !== null; size = search.nextBytes) {
            search.tried(size > device ? "too big" : size > path ? "silent" : "answered");
            steps += 1;
            expect(steps).toBeLessThan(80);
          }
          expect(search.foundBytes).toBe(Math.min(path, device));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("is tried the more often the more is lost", () => {
    expect([0, 0.02, 0.1, 0.3, 0.5, 0.51, 1].map(triesFor)).toEqual([3, 3, 4, 8, 14, null, null]);
  });
});

describe("addresses for the kernel", () => {
  it.each([
    ["10.1.2.3", "020000000a01020300000000"],
    ["2001:db8::1", "0a0000000000000020010db800000000000000000000000100000000"],
    ["::", `0a00${"00".repeat(26)}`],
    ["200:1:2:3:4:5:6:7", "0a000000000000000200000100020003000400050006000700000000"],
    ["::ffff:1.2.3.4", "0a0000000000000000000000000000000000ffff0102030400000000"],
    ["fe80::1%3", "0a00000000000000fe80000000000000000000000000000103000000"],
  ])("%s", (text, hex) => {
    expect(
      socketAddressOf(text)
        ?.toString("hex")
        .replace(/^(0200.{20}).*$/, "$1"),
    ).toBe(hex);
  });

  it.each(["", "1.2.3", "1.2.3.4.5", "web", "::1%nosuch0", "fe80::1%", "1.2.3.4%eth0", ":::", "::1%-1", "::1%1%2"])(
    "“%s” is none",
    (text) => {
      expect(socketAddressOf(text)).toBeNull();
    },
  );

  it("are the same whatever port and zone the kernel adds", () => {
    const [one, other] = [socketAddressOf("fe80::1")!, socketAddressOf("fe80::1%2")!];
    other.writeUInt16BE(58, 2);
    expect(isSameAddress(one, other)).toBe(true);
    expect(isSameAddress(one, socketAddressOf("fe80::2")!)).toBe(false);
    expect(isSameAddress(one, socketAddressOf("10.0.0.1")!)).toBe(false);
    expect(isSameAddress(one, Buffer.alloc(0))).toBe(false);
  });
});
