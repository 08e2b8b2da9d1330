/** Real packets between network namespaces: host — router — peer. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LinkLab, linkLabProblem, PEER, type ProbesProcess, type ShownProbe } from "../../testing/linkLab.ts";
import type { ProbeTarget } from "../ports.ts";

const problem = linkLabProblem();
/** For a machine that is busy with other things. */
const LIMIT_MS = 60_000;
/** How often a limit in time is tried: others can take the processor away, what the probes themselves are late with, they always are. */
const ROUNDS = 6;
const UNIT = join(import.meta.dirname, "../../../../assets/systemd/wardline-agent.service");
const ICMP = "MESH_PROBE_METHOD_ICMP";
const TCP = "MESH_PROBE_METHOD_TCP";
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

describe.skipIf(problem !== null)(
  `probes with real packets${problem ? ` (${problem})` : ""}`,
  { timeout: 240_000 },
  () => {
    let lab: LinkLab;
    let probes: ProbesProcess;
    /** So that no target is one of an earlier test. */
    let serial = 0;

    beforeAll(async () => {
      lab = new LinkLab();
      probes = lab.startProbes();
      // The addresses of IPv6 come up, and neighbours are found: the first echo takes that long.
      probes.setTargets(both());
      await until(({ reachable }) => reachable === true, 2);
    });
    afterAll(() => lab?.close());
    beforeEach(() => {
      serial += 1;
      lab.rules("");
      lab.sysctl("peer", "net.ipv4.icmp_echo_ignore_all", "0");
    });

    const target = (name: string, change: Partial<ProbeTarget> = {}): ProbeTarget => ({
      ...{ host: `${name}-${serial}`, address: PEER[4], provider: MeshProvider.IP },
      ...change,
    });
    const both = () => [target("v4"), target("v6", { address: PEER[6] })];
    const many = (count: number, change: Partial<ProbeTarget> = {}) =>
      Array.from({ length: count }, (_, index) => target(`many${index}`, change));

    /** All that is known once every one of it is as it should be. */
    async function until(
      isSo: (probe: ShownProbe) => boolean,
      count = 1,
      limitMs = LIMIT_MS,
      asked = probes,
    ): Promise<readonly ShownProbe[]> {
      const endMs = nowMs() + limitMs;
      for (;;) {
        const { probes: shown } = await asked.state();
        if (shown.length === count && shown.every(isSo)) return shown;
        if (nowMs() > endMs) throw new Error(`not in time: ${JSON.stringify(shown).slice(0, 600)}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }

    const meanLoss = (shown: readonly ShownProbe[]) => {
      const sum = (of: (probe: ShownProbe) => number) => shown.reduce((total, probe) => total + of(probe), 0);
      return 1 - sum(({ received }) => received ?? 0) / sum(({ sent }) => sent ?? 0);
    };

    it("measure latency and path MTU over IPv4 and IPv6, as root without the right to unprivileged echoes", async () => {
      probes.setTargets(both());
      // Three namespaces of one machine: 0.1 ms on an idle one. The process itself looks every 200 ms only.
      const isMeasured = ({ sent, pathMtuBytes, latencyMs }: ShownProbe) =>
        (sent ?? 0) >= 4 && pathMtuBytes !== undefined && (latencyMs ?? 0) < 20;
      for (const probe of await until(isMeasured, 2)) {
        expect(probe).toMatchObject({
          reachable: true,
          method: ICMP,
          loss: 0,
          pathMtuBytes: 1_500,
          address: expect.any(String),
        });
        expect(probe.latencyMs).toBeGreaterThan(0.005);
        expect(probe.problem).toBeUndefined();
      }
    });

    it("see a delay of 40 ms as such", async () => {
      const stop = await lab.startForger("slow");
      try {
        probes.setTargets(many(10));
        const shown = await until(({ sent, latencyMs }) => (sent ?? 0) >= 3 && latencyMs !== undefined, 10);
        for (const { latencyMs, latencyP95Ms } of shown) {
          expect(latencyMs).toBeGreaterThan(39.9);
          expect(latencyP95Ms).toBeGreaterThanOrEqual(latencyMs ?? 0);
        }
        // The forger looks every 5 ms and has a timer; the probes look every 200 ms. On a busy machine it is late itself.
        const least = async () => Math.min(...(await probes.state()).probes.map(({ latencyMs = 1e9 }) => latencyMs));
        await expect.poll(least, { timeout: 2 * LIMIT_MS, interval: 500 }).toBeLessThan(70);
      } finally {
        stop();
      }
    });

    it.each([
      ["requests", `ip daddr ${PEER[4]}`],
      ["answers", `ip saddr ${PEER[4]}`],
    ])("see a loss of 30 %% of the %s as one of echoes", async (_of, match) => {
      lab.rules(`${match} numgen random mod 100 < 30 drop`);
      probes.setTargets(many(60));
      await until(({ sent }) => (sent ?? 0) >= 10, 60);
      // 600 echoes at least, of which the last of each link may not be lost yet: four standard deviations below 27 %. On a
      // busy machine more than the last are still on their way.
      const deviation = async () => Math.abs(meanLoss((await probes.state()).probes) - 0.3);
      await expect.poll(deviation, { timeout: LIMIT_MS, interval: 300 }).toBeLessThan(0.11);
    });

    it.each([
      ["by a router that says so, over IPv6", true, PEER[6]],
      ["by one that says nothing, over IPv4", false, PEER[4]],
    ])("find an MTU of 1400 %s", async (_by, tells, address) => {
      lab.mtu("router", "eth1", 1_400);
      lab.mtu("peer", "eth0", 1_400);
      if (!tells)
        lab.rules("icmp type { destination-unreachable } drop\nicmpv6 type packet-too-big drop", "router", "output");
      try {
        probes.setTargets([target("narrow", { address })]);
        const [probe] = await until(({ pathMtuBytes }) => pathMtuBytes !== undefined, 1, 120_000);
        expect(probe).toMatchObject({ pathMtuBytes: 1_400, loss: 0 });
      } finally {
        lab.rules("", "router", "output");
        lab.mtu("router", "eth1", 1_500);
        lab.mtu("peer", "eth0", 1_500);
      }
    });

    it("tell a target that goes within 3 s and one that comes back within 2 s, once each", async () => {
      probes.setTargets(both());
      await until(({ sent, reachable }) => (sent ?? 0) >= 3 && reachable === true, 2);
      const rounds: (readonly [goneMs: number, backMs: number])[] = [];
      const isInTime = () => rounds.some(([goneMs, backMs]) => goneMs < 3_500 && backMs < 2_500);
      while (rounds.length < ROUNDS && !isInTime()) {
        const seen = probes.changes.length;
        const goneAtMs = nowMs();
        lab.rules("drop");
        await until(({ reachable }) => reachable !== true, 2);
        const lost = probes.changes.slice(seen);
        expect(lost).toHaveLength(2);
        const backAtMs = nowMs();
        lab.rules("");
        await until(({ reachable }) => reachable === true, 2);
        const back = probes.changes.slice(seen + 2);
        expect(back).toHaveLength(2);
        rounds.push([
          Math.max(...lost.map(({ atMs }) => atMs - goneAtMs)),
          Math.max(...back.map(({ atMs }) => atMs - backAtMs)),
        ]);
      }
      const told = rounds.map(([gone, back]) => `gone after ${Math.round(gone)} ms, back after ${Math.round(back)} ms`);
      console.info(told.join("; "));
      expect(isInTime(), told.join("; ")).toBe(true);
    });

    it("take handshakes where echoes are refused, and say so", async () => {
      const stop = await lab.listen("peer", 4_710);
      lab.rules("icmp type echo-request drop\nicmpv6 type echo-request drop");
      try {
        probes.setTargets([
          target("open", { tcpPort: 4_710 }),
          target("open6", { tcpPort: 4_710, address: PEER[6] }),
          target("closed", { tcpPort: 4_711 }),
        ]);
        const isTimed = ({ reachable, received, latencyMs }: ShownProbe) =>
          reachable === true && (received ?? 0) >= 2 && (latencyMs ?? 0) < 50;
        const shown = await until(isTimed, 3);
        for (const probe of shown) {
          expect(probe).toMatchObject({ method: TCP });
          expect(probe).not.toHaveProperty("loss");
          expect(probe).not.toHaveProperty("pathMtuBytes");
        }
        expect(shown[0]?.latencyMs).toBeGreaterThan(0.005);
        expect(shown[0]?.problem).toBe("Echoes are not answered; times are those of handshakes with port 4710.");
        expect(shown[2]).not.toHaveProperty("latencyMs");
        expect(shown[2]?.problem).toContain("port 4711, which refuses connections");
        expect(lab.run("host", "ss", ["-tanH"]), "no connection is left behind").toBe("");
      } finally {
        stop();
      }
    });

    it("say what keeps echoes on this host, and measure nothing of it", async () => {
      lab.rules(`ip daddr ${PEER[4]} drop`, "host", "output");
      try {
        probes.setTargets([target("kept"), target("nowhere", { address: "fdff::1" })]);
        await until(({ reachable }) => reachable !== true, 1);
        const { problems, probes: shown } = await probes.state();
        expect(problems).toEqual(["Links cannot be measured: A policy or firewall of this host lets no echoes out."]);
        expect(shown[0]?.problem).toMatch(/^Echoes are not answered\. It never answered/);
      } finally {
        lab.rules("", "host", "output");
      }
    });

    it.each(["identifier", "sequence", "payload", "short", "late"])(
      "count no answer with a wrong or forged %s",
      async (mode) => {
        const stop = await lab.startForger(mode);
        try {
          probes.setTargets([target(mode)]);
          const [probe] = await until(({ reachable, sent }) => reachable !== true && (sent ?? 0) >= 3);
          expect(probe).toMatchObject({ loss: 1 });
          expect(probe).not.toHaveProperty("received");
          expect(probe).not.toHaveProperty("lastAnswerAt");
        } finally {
          stop();
        }
      },
    );

    it.each(["honest", "duplicate", "flood"])("count an answer once, whatever comes with it: %s", async (mode) => {
      const stop = await lab.startForger(mode);
      try {
        probes.setTargets([target(mode)]);
        // The answer to the last may still be on its way.
        const [probe] = await until(({ sent, received }) => (sent ?? 0) >= 4 && received === sent);
        expect(probe).toMatchObject({ reachable: true, loss: 0 });
        expect(probe?.received).toBe(probe?.sent);
      } finally {
        stop();
      }
    });

    it("work with the capabilities of the shipped unit where the namespace allows echoes, and else take handshakes and say why", async () => {
      const unit = readFileSync(UNIT, "utf8");
      const names = /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1]?.split(" ") ?? [];
      const kept = names.map((name) => `+${name.replace("CAP_", "").toLowerCase()}`);
      const stop = await lab.listen("peer", 4_712);
      const shut = lab.startProbes(`-all,${kept.join(",")}`);
      lab.sysctl("host", "net.ipv4.ping_group_range", "0 0");
      const own = lab.startProbes(`-all,${kept.join(",")}`);
      try {
        own.setTargets(both());
        await until(({ pathMtuBytes, method }) => pathMtuBytes === 1_500 && method === ICMP, 2, LIMIT_MS, own);
        lab.sysctl("host", "net.ipv4.ping_group_range", "1 0");
        shut.setTargets([target("by port", { tcpPort: 4_712 }), target("without")]);
        const [probe] = await until(
          ({ method, received }) => method === TCP && (received ?? 0) >= 2,
          1,
          LIMIT_MS,
          shut,
        );
        expect(probe).toMatchObject({
          targetHost: `by port-${serial}`,
          reachable: true,
          latencyMs: expect.any(Number),
        });
        const { problems } = await shut.state();
        expect(problems).toEqual([
          expect.stringMatching(/^Links cannot be measured: The kernel gives the agent no socket.*ping_group_range/),
        ]);
      } finally {
        for (const each of [own, shut]) each.end();
        stop();
        lab.sysctl("host", "net.ipv4.ping_group_range", "1 0");
      }
    });

    it("cost next to nothing: ten targets a second take under 2 % of one busy processor", async () => {
      probes.setTargets(many(10));
      await until(({ pathMtuBytes }) => pathMtuBytes !== undefined, 10);
      const before = await probes.state();
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      const after = await probes.state();
      const share = (after.cpuUs - before.cpuUs) / 1_000 / (after.atMs - before.atMs);
      console.info(`ten targets a second: ${(share * 100).toFixed(3)} % of one processor`);
      expect(share).toBeLessThan(0.02);
    });
  },
);
