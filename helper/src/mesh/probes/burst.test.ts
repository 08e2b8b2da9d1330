import { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { beforeEach, describe, expect, it } from "vitest";
import { SimulatedLinks } from "../../testing/simulatedLinks.ts";
import { BURST, Bursts, type BurstVerdict, verdictOf } from "./burst.ts";
import { LinkProbes } from "./linkProbes.ts";

/** How rows end where each echo is lost with this probability, computed over all states of a row and not drawn. */
function endings(loss: number): Readonly<Record<BurstVerdict, number>> {
  const ends: Record<BurstVerdict, number> = { open: 0, loss: 0, luck: 0, clean: 0, unclear: 0 };
  let open = new Map([["0 0 answered", 1]]);
  for (let asked = 1; asked <= BURST.all; asked += 1) {
    const next = new Map<string, number>();
    for (const [state, share] of open) {
      const [lost = 0, gaps = 0, last = ""] = state
        .split(" ")
        .map((each, index) => (index < 2 ? Number(each) : each)) as [number, number, string];
      for (const [isAnswered, chance] of [[true, 1 - loss] as const, [false, loss] as const]) {
        const nowLost = lost + (isAnswered ? 0 : 1);
        const nowGaps = gaps + (!isAnswered && last === "answered" ? 1 : 0);
        const verdict = verdictOf(rowWith(asked, nowLost, nowGaps, isAnswered));
        if (verdict !== "open") ends[verdict] += share * chance;
        else {
          const key = `${nowLost} ${nowGaps} ${isAnswered ? "answered" : "lost"}`;
          next.set(key, (next.get(key) ?? 0) + share * chance);
        }
      }
    }
    open = next;
  }
  return ends;
}

/** A row of that length with so many lost in so many gaps: no verdict depends on more. */
function rowWith(length: number, lost: number, gaps: number, endsAnswered: boolean): boolean[] {
  const row: boolean[] = [];
  for (let gap = 0; gap < gaps; gap += 1) {
    if (gap > 0) row.push(true);
    row.push(...Array<boolean>(gap === 0 ? lost - gaps + 1 : 1).fill(false));
  }
  const rest = Array<boolean>(length - row.length).fill(true);
  return endsAnswered ? [...row, ...rest] : [...rest, ...row];
}

describe("a row of echoes", () => {
  it.each([
    [0.01, 5e-6],
    [0.02, 1.2e-4],
    [0.05, 0.008],
  ])("calls a way that loses %d lossy in less than a share of %d of its rows", (loss, most) => {
    expect(endings(loss).loss).toBeLessThan(most);
  });

  it("finds 30 % of loss in more than 19 of 20 rows, and calls no such way clean in one of 1,000", () => {
    expect(endings(0.3).loss).toBeGreaterThan(0.95);
    expect(endings(0.3).clean).toBeLessThan(0.001);
    expect(endings(0).clean).toBe(1);
  });

  it("takes one gap, however long, for no loss", () => {
    for (let gap = 1; gap < BURST.first; gap += 1) {
      const row = [true, ...Array<boolean>(gap).fill(false), ...Array<boolean>(BURST.all).fill(true)];
      for (let asked = 1; asked <= BURST.all; asked += 1) expect(verdictOf(row.slice(0, asked))).not.toBe("loss");
    }
  });

  it("begins once in five seconds for a lost echo, once in ten to look again, and once for a return", () => {
    const bursts = new Bursts();
    expect(bursts.begin("doubt", 0)).toBe(true);
    bursts.end();
    expect(bursts.begin("doubt", 4_999)).toBe(false);
    expect(bursts.begin("return", 100)).toBe(true);
    bursts.end();
    expect(bursts.begin("return", 200)).toBe(false);
    expect(bursts.begin("check", 300)).toBe(true);
    bursts.end();
    expect(bursts.begin("check", 10_299)).toBe(false);
    expect(bursts.begin("doubt", 5_000)).toBe(true);
    bursts.distrust(10_000);
    expect(bursts.begin("doubt", 10_000 + BURST.distrustMs - 1)).toBe(false);
    expect(bursts.begin("doubt", 10_000 + BURST.distrustMs)).toBe(true);
  });
});

describe("ways that are looked at closely", () => {
  let links: SimulatedLinks;
  let probes: LinkProbes;
  const addressOf = (number: number) => `10.0.${number >> 8}.${number & 0xff}`;
  const begin = (count: number, provider = MeshProvider.IP) => {
    links = new SimulatedLinks();
    probes = new LinkProbes(links);
    probes.setTargets(
      Array.from({ length: count }, (_, index) => ({ host: `host-${index}`, address: addressOf(index), provider })),
    );
  };
  const only = () => probes.results()[0];
  const usual = () => links.sent.filter(({ packetBytes }) => packetBytes === 0);

  beforeEach(() => begin(1));

  it("tell 30 % of loss, and its end, within seconds", async () => {
    const tookMs: number[] = [];
    for (let run = 0; run < 20; run += 1) {
      begin(1);
      for (let skipped = 0; skipped < run * 7; skipped += 1) links.random();
      await links.run(30_000);
      const fromMs = links.nowMs;
      links.behaviour = () => (links.random() < 0.3 ? null : 10);
      for (let waited = 0; waited < 300 && !only()?.lossProven; waited += 1) await links.run(100);
      tookMs.push(links.nowMs - fromMs);
      expect(only()).toMatchObject({ reachable: true, lossProven: true });
      expect(only()?.loss).toBeGreaterThanOrEqual(0.1);
      links.behaviour = () => 10;
      await links.run(25_000);
      expect(only()).toMatchObject({ lossProven: false, problem: "" });
      expect(only()?.loss).toBeLessThan(0.1);
      probes.close();
    }
    expect(tookMs.toSorted((one, other) => one - other)[10]).toBeLessThan(6_000);
  });

  it("take no gap shorter than a second for a way that is gone, nor for loss", async () => {
    for (let gapMs = 100; gapMs <= 700; gapMs += 100) {
      begin(1);
      const told: (boolean | undefined)[] = [];
      await links.run(20_000);
      probes.onChange(() => told.push(only()?.reachable));
      const fromMs = links.nowMs + 350;
      links.behaviour = ({ atMs }) => (atMs >= fromMs && atMs < fromMs + gapMs ? null : 10);
      await links.run(20_000);
      expect(told).toEqual([]);
      expect(only()).toMatchObject({ reachable: true, lossProven: false });
      probes.close();
    }
  });

  it("tell a way that is gone within 2.2 s, and count an outage that is over as no loss", async () => {
    for (let offsetMs = 0; offsetMs < 1_000; offsetMs += 130) {
      for (const outageMs of [2_500, 3_500, 6_000]) {
        begin(1);
        await links.run(20_000 + offsetMs);
        const goneAtMs = links.nowMs;
        let toldAtMs = 0;
        probes.onChange(() => {
          if (toldAtMs === 0) toldAtMs = links.nowMs;
        });
        links.behaviour = () => null;
        await links.run(outageMs);
        expect(toldAtMs - goneAtMs).toBeLessThanOrEqual(2_200);
        expect(only()?.reachable).toBe(false);
        links.behaviour = () => 10;
        await links.run(4_000);
        expect(only()).toMatchObject({ reachable: true, loss: 0, lossProven: false });
        probes.close();
      }
    }
  });

  it("are believed no more where a host answers only so many echoes a second", async () => {
    await links.run(20_000);
    let answeredMs: number[] = [];
    links.behaviour = ({ atMs }) => {
      answeredMs = answeredMs.filter((each) => atMs - each < 250);
      if (answeredMs.length > 0) return null;
      answeredMs.push(atMs);
      return 10;
    };
    const first = usual().length;
    let isLost = false;
    const limited = links.behaviour;
    links.behaviour = (sent) => {
      if (isLost) return limited(sent);
      isLost = true;
      return null;
    };
    await links.run(3_000);
    expect(only()?.lossProven, "it looks like loss").toBe(true);
    await links.run(20_000);
    expect(only()).toMatchObject({ lossProven: false, reachable: true });
    isLost = false;
    const before = usual().length;
    expect(before - first).toBeLessThan(120);
    await links.run(60_000);
    expect(usual().length - before, "no row any more").toBeLessThanOrEqual(63);
    expect(only()?.lossProven).toBe(false);
  });

  it("cost no more than 60 echoes a second however many are in doubt, and nothing at rest", async () => {
    begin(60);
    await links.run(30_000);
    const atRest = usual().length;
    links.behaviour = () => (links.random() < 0.3 ? null : 10);
    await links.run(60_000);
    const perSecond = Map.groupBy(usual().slice(atRest), ({ atMs }) => Math.floor(atMs / 1_000));
    for (const sent of perSecond.values()) expect(sent.length).toBeLessThanOrEqual(2 * 64 + 60);
    for (const number of [1, 17, 33]) {
      const own = usual().filter(({ address, atMs }) => address === addressOf(number) && atMs > 35_000);
      expect(own.length / 60).toBeLessThanOrEqual(2 + BURST.all / 5 + BURST.all / 10);
    }
    links.behaviour = () => 10;
    await links.run(90_000);
    const before = usual().length;
    await links.run(10_000);
    expect((usual().length - before) / 10).toBeLessThanOrEqual(61);
  });

  it("say of a mesh that it is silent when nothing over it is answered, and of one of whom something is that it is not", async () => {
    begin(3, MeshProvider.YGGDRASIL);
    await links.run(10_000);
    expect(probes.isSilent(MeshProvider.YGGDRASIL)).toBe(false);
    expect(probes.isSilent(MeshProvider.BATMAN), "nothing is known of it").toBe(false);
    links.behaviour = ({ address }) => (address === addressOf(0) ? 10 : null);
    await links.run(3_000);
    expect(probes.isSilent(MeshProvider.YGGDRASIL)).toBe(false);
    links.behaviour = () => null;
    await links.run(1_300);
    expect(probes.isSilent(MeshProvider.YGGDRASIL)).toBe(true);
    links.behaviour = () => 10;
    await links.run(2_500);
    expect(probes.isSilent(MeshProvider.YGGDRASIL)).toBe(false);
  });
});
