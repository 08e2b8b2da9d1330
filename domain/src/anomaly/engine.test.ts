import fc from "fast-check";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { Failure } from "../errors/index.ts";
import type { FlowRecord } from "../flows/record.ts";
import { createAnomalyEngine } from "./create-engine.ts";
import type { AnomalyEngine } from "./engine.ts";
import type { Finding } from "./finding.ts";
import { USUAL_SETTINGS } from "./model.ts";
import { MAX_MODEL_BYTES } from "./saving.ts";
import { ATTACKS } from "./testing/attacks.ts";
import { flowRecord, inWindows, START_MS } from "./testing/records.ts";
import { type LabelledWindow, ScenarioHost } from "./testing/scenarios.ts";

const HOUR_MS = 3_600_000;
// Seconds of work, but of the processor: a busy machine takes its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

function engineOf(model: string | null = null, changes: Partial<typeof USUAL_SETTINGS> = {}): AnomalyEngine {
  return createAnomalyEngine({ host: "web-1", seed: 7, settings: { ...USUAL_SETTINGS, ...changes }, model });
}

/** The last word on each finding that was new. */
function observeAll(engine: AnomalyEngine, windows: Iterable<readonly FlowRecord[]>): Finding[] {
  const findings = new Map<string, Finding>();
  for (const records of windows) {
    const nowMs = (records[0]?.windowStartMs ?? 0) + 10_000;
    for (const finding of engine.observe(records, nowMs)) findings.set(finding.id, finding);
  }
  return [...findings.values()];
}

const recordsOf = (windows: readonly LabelledWindow[]) => windows.map(({ records }) => records);

const scan = (ports: number, overMs: number, changes: Partial<FlowRecord> = {}) =>
  Array.from({ length: ports }, (_, index) =>
    flowRecord(START_MS + Math.floor((index * overMs) / ports), {
      direction: "ingress",
      sourceAddress: "10.0.0.9",
      destinationAddress: "10.0.0.1",
      destinationPort: 20 + index,
      originatorBytes: 60,
      responderBytes: 0,
      ...changes,
    }),
  );

const beats = (count: number, everyMs: number, changes: Partial<FlowRecord> = {}, fromMs = START_MS) =>
  Array.from({ length: count }, (_, index) =>
    flowRecord(fromMs + index * everyMs + ((index * 37) % 40), {
      destinationAddress: "203.0.113.9",
      destinationPort: 4444,
      ...changes,
    }),
  );

/** Something else that was there before, so that what follows is known to be new. */
const earlier = () => [flowRecord(START_MS - HOUR_MS)];

describe("an engine that knows nothing yet", () => {
  it("finds a scan of 100 ports in 30 s, while it goes on, and explains it", () => {
    const engine = engineOf();
    expect(observeAll(engine, inWindows(scan(100, 30_000)))).toHaveLength(1);
    const [finding] = engine.advance(START_MS + 60_000);
    expect(finding).toMatchObject({
      detector: "port-scan",
      direction: "ingress",
      remote: "10.0.0.9",
      state: "ongoing",
    });
    expect((finding?.detectedAtMs ?? 0) - START_MS).toBeLessThan(10_000);
    expect(finding?.sentence).toMatch(/^10\.0\.0\.9 tried about \d+ different ports of this host within 30 seconds; /);
    expect(finding?.evidence).toHaveLength(50);
    expect(finding?.evidenceTotal).toBe(100);
    expect(finding?.evidenceQuery).toBe(
      "host:web-1 address:10.0.0.9 direction:ingress since:2026-09-07T09:00:00Z until:2026-09-07T09:00:30Z",
    );
    expect(finding?.actions).toContainEqual(expect.objectContaining({ kind: "deny", remoteCidr: "10.0.0.9/32" }));
  });

  it("finds a beacon every 5 s within a minute of its beginning, with its rhythm", () => {
    const engine = engineOf();
    observeAll(engine, inWindows(earlier()));
    const twoPerWindow = Array.from({ length: 6 }, (_, window) => {
      const atMs = START_MS + window * 10_000 + 1000;
      const beacon = { destinationAddress: "203.0.113.9", destinationPort: 4444 };
      return flowRecord(atMs, { ...beacon, started: 2, firstSeenMs: atMs + (window % 3) * 5, lastSeenMs: atMs + 5000 });
    });
    const [finding] = observeAll(engine, inWindows(twoPerWindow));
    expect(finding).toMatchObject({ detector: "beacon", remote: "203.0.113.9", port: 4444, process: "curl" });
    expect((finding?.detectedAtMs ?? 0) - START_MS).toBeLessThanOrEqual(60_000);
    expect(finding?.sentence).toContain("curl on web-1 contacted 203.0.113.9:4444 every 5.0 s (±");
    expect(finding?.features.reduce((sum, { contribution }) => sum + contribution, 0)).toBeCloseTo(1, 9);
  });

  it("says that it is untrained, and lets no statistical detector speak", () => {
    const status = engineOf().status();
    expect(status).toMatchObject({ state: "untrained", reason: expect.stringContaining("0 of 24 hours") });
    expect(status.detectors.filter(({ isReady }) => !isReady).map(({ detector }) => detector)).toEqual([
      "baseline",
      "isolation-forest",
      "novelty",
    ]);
  });

  it("does not take chance arrivals, a long conversation or the time service for a beacon", () => {
    const engine = engineOf();
    observeAll(engine, inWindows(earlier()));
    let atMs = START_MS;
    const chance = Array.from({ length: 200 }, (_, index) => {
      atMs += 2000 - 30_000 * Math.log(((index * 7919) % 997) / 997 + 0.001);
      return flowRecord(atMs, { destinationAddress: "203.0.113.20" });
    });
    const talk = beats(100, 10_000, { protocol: 17, started: 0, destinationPort: 8801 });
    const time = beats(60, 64_000, { protocol: 17, destinationPort: 123 });
    expect(observeAll(engine, inWindows([...chance, ...talk, ...time])).map(({ sentence }) => sentence)).toEqual([]);
  });

  it("keeps quiet about detectors that are switched off", () => {
    const engine = engineOf(null, { disabled: ["port-scan"] });
    expect(observeAll(engine, inWindows(scan(100, 30_000)))).toEqual([]);
    expect(engine.status().detectors.find(({ detector }) => detector === "port-scan")?.isEnabled).toBe(false);
  });
});

describe("findings", () => {
  it("go on as one, end when it is quiet, and are taken up again when it returns", () => {
    const engine = engineOf();
    const [first] = observeAll(engine, inWindows(scan(60, 30_000)));
    const over = engine.advance(START_MS + 10 * 60_000);
    expect(over).toMatchObject([{ id: first?.id, state: "over" }]);
    const again = scan(60, 30_000).map((record) => ({
      ...record,
      windowStartMs: record.windowStartMs + 15 * 60_000,
      firstSeenMs: record.firstSeenMs + 15 * 60_000,
      lastSeenMs: record.lastSeenMs + 15 * 60_000,
    }));
    expect(observeAll(engine, inWindows(again))).toMatchObject([{ id: first?.id, state: "ongoing" }]);
  });

  it("have the same ids on every run over the same records, and others for another host", () => {
    const run = (host: string) =>
      observeAll(
        createAnomalyEngine({ host, seed: 7, settings: USUAL_SETTINGS, model: null }),
        inWindows(scan(60, 30_000)),
      );
    expect(run("web-1")).toEqual(run("web-1"));
    expect(run("web-1")[0]?.id).not.toBe(run("web-2")[0]?.id);
  });

  it("of very many ends at once are put together and counted, none dropped in silence", () => {
    const scanners = Array.from({ length: 40 }, (_, index) =>
      scan(60, 30_000, { sourceAddress: `10.9.0.${index + 1}` }),
    );
    const findings = observeAll(engineOf(), inWindows(scanners.flat())).filter(
      ({ detector }) => detector === "port-scan",
    );
    expect(findings.length).toBeLessThanOrEqual(8);
    const together = findings.find(({ sentence }) => sentence.includes("more cases like it"));
    expect(together?.sentence).toMatch(/^34 more cases/);
    expect(together?.remote).toBe("");
  });

  it("hold hostile texts bounded, on one line and without markup", () => {
    const command = `<img src=x onerror=alert(1)>\u202e\n${"x".repeat(10_000)}`;
    const process = { pid: 1, userId: 0, userName: command, command, executable: command };
    const hostile = {
      process,
      subjectKey: command,
      destinationName: command,
      cgroupPath: command,
      observedName: command,
    };
    const engine = engineOf();
    observeAll(engine, inWindows(earlier()));
    const [finding] = observeAll(engine, inWindows(beats(12, 10_000, hostile)));
    expect(finding?.detector).toBe("beacon");
    expect(finding?.sentence).not.toMatch(/[<>"\n\u202e]/);
    expect(finding?.sentence.length).toBeLessThan(600);
    expect(finding?.process).not.toMatch(/[<>]/);
    expect(finding?.evidenceQuery).toMatch(/^[\w.:/@ ,-]+$/);
    expect(JSON.stringify(finding).length).toBeLessThan(120_000);
  });
});

describe("feedback", () => {
  const nextBeats = () => beats(20, 10_000, { destinationAddress: "203.0.113.77" }, START_MS + 3 * HOUR_MS);

  it("that something is normal keeps the like of it from being told, counted, until it is taken back", () => {
    const engine = engineOf();
    observeAll(engine, inWindows(earlier()));
    const [finding] = observeAll(engine, inWindows(beats(20, 10_000)));
    if (finding === undefined) throw new Error("no finding");
    engine.feedback(finding, "normal");
    engine.advance(START_MS + 2 * HOUR_MS);
    const suppressed = () => engine.status().detectors.find(({ detector }) => detector === "beacon")?.suppressed;
    expect(observeAll(engine, inWindows(nextBeats()))).toEqual([]);
    expect(suppressed()).toBe(1);
    const other = beats(20, 10_000, { destinationPort: 9999 }, START_MS + 4 * HOUR_MS);
    expect(observeAll(engine, inWindows(other))).toMatchObject([{ detector: "beacon", port: 9999 }]);
    engine.feedback(finding, "undo");
    const later = beats(20, 10_000, { destinationAddress: "203.0.113.78" }, START_MS + 6 * HOUR_MS);
    expect(observeAll(engine, inWindows(later)).filter(({ remote }) => remote === "203.0.113.78")).toHaveLength(1);
  });

  it("survives saving", () => {
    const engine = engineOf();
    observeAll(engine, inWindows(earlier()));
    const [finding] = observeAll(engine, inWindows(beats(20, 10_000)));
    if (finding === undefined) throw new Error("no finding");
    engine.feedback(finding, "normal");
    const after = observeAll(engineOf(engine.save()), inWindows(nextBeats()));
    expect(after.filter(({ state }) => state === "ongoing")).toEqual([]);
  });
});

describe("the saved model", () => {
  it.each([
    ["cut", (text: string) => text.slice(0, -100)],
    ["changed by one character", (text: string) => text.replace('"minutes":', '"minuteS":')],
    ["of another program", () => '{"model":1}'],
    ["too large", (text: string) => text + " ".repeat(MAX_MODEL_BYTES)],
    ["newer", (text: string) => text.replace('"version":1', '"version":2')],
  ])("is refused when it is %s", (_, damage) => {
    const model = engineOf().save();
    expect(() => engineOf(damage(model))).toThrow(Failure);
  });
});

describe("hostile records", () => {
  it("with any numbers neither throw nor make a number that is none", () => {
    const number = fc.oneof(fc.double(), fc.integer(), fc.constant(Number.POSITIVE_INFINITY), fc.constant(START_MS));
    const hostile = fc.record({
      windowStartMs: number,
      firstSeenMs: number,
      lastSeenMs: number,
      destinationPort: number,
      protocol: number,
      started: number,
      deniedPackets: number,
      packets: number,
      originatorBytes: number,
      responderBytes: number,
      foldedFlows: number,
      verdict: fc.constantFrom("allow" as const, "deny" as const),
      direction: fc.constantFrom("ingress" as const, "egress" as const),
      destinationAddress: fc.string(),
    });
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 30 }), (changes) => {
        const engine = engineOf();
        engine.observe([flowRecord(START_MS)], START_MS + 10_000);
        const findings = engine.observe(
          changes.map((change) => ({ ...flowRecord(START_MS), ...change })),
          START_MS + 60_000,
        );
        for (const { score } of findings) if (!(score >= 0 && score <= 1)) return false;
        // Whatever is not finite would be lost in saving, and refused in loading.
        engineOf(engine.save());
        return true;
      }),
      { numRuns: 25, verbose: 0 },
    );
  });

  it("whose time goes backwards or lies in the future cannot turn the clock", () => {
    const engine = engineOf();
    observeAll(engine, inWindows(scan(60, 30_000)));
    engine.observe(
      [flowRecord(START_MS + 400 * 24 * HOUR_MS), flowRecord(START_MS - 90 * 24 * HOUR_MS)],
      START_MS + 60_000,
    );
    const [finding] = observeAll(engine, inWindows(scan(100, 30_000, { sourceAddress: "10.0.0.10" })));
    expect(finding?.lastAtMs).toBeLessThan(START_MS + HOUR_MS);
  });

  it("from thirty thousand different ends stay within the bounds of a model, and leave habits alone", () => {
    const engine = engineOf();
    const friend = { destinationAddress: "10.0.0.50", destinationPort: 5432 };
    for (let hour = 0; hour < 4; hour++) observeAll(engine, [[flowRecord(START_MS + hour * HOUR_MS, friend)]]);
    const sizes: number[] = [];
    for (let window = 0; window < 30; window++) {
      const atMs = START_MS + 4 * HOUR_MS + window * 10_000;
      const flood = Array.from({ length: 1000 }, (_, index) => {
        const id = window * 10_000 + index * 5;
        const destinationAddress = `${1 + (id >> 16)}.${(id >> 8) & 255}.${id & 255}.${index % 250}`;
        return flowRecord(atMs, {
          destinationAddress,
          destinationPort: 1 + (id % 60_000),
          started: 0,
          packets: 1,
          responderBytes: 0,
        });
      });
      engine.observe(flood, atMs + 10_000);
      if (window % 10 === 9) sizes.push(engine.save().length);
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_MODEL_BYTES);
    // What is kept no longer grows: the last fifth of the flood adds nothing.
    expect(sizes.at(-1) ?? 0).toBeLessThan((sizes.at(-2) ?? 0) * 1.05 + 50_000);
    expect(engine.save()).toContain("e10.0.0.50:5432");
  });
});

describe("a host that is known", () => {
  const host = new ScenarioHost("batch", 3);
  let model = "";
  let ground: LabelledWindow[] = [];

  beforeAll(() => {
    const engine = engineOf();
    observeAll(engine, recordsOf([...host.windows(2 * 24 * HOUR_MS)]));
    model = engine.save();
    ground = [...host.windows(24 * HOUR_MS)];
  });

  it("is trained, and says so", () => {
    expect(engineOf(model).status()).toMatchObject({ state: "trained" });
    expect(model.length).toBeLessThan(MAX_MODEL_BYTES);
  });

  it("has few false alarms on a clean day", () => {
    const findings = observeAll(engineOf(model), recordsOf(ground));
    expect(
      findings.map(({ sentence }) => sentence).length,
      findings.map(({ sentence }) => sentence).join("\n"),
    ).toBeLessThanOrEqual(2);
  });

  it("goes on identically after it was saved and loaded in the middle", () => {
    const attacked = [
      ...host.attacked(
        ground.slice(0, 720),
        ATTACKS[4] as (typeof ATTACKS)[number],
        (ground[0]?.startMs ?? 0) + HOUR_MS / 2,
        3,
      ),
    ];
    const straight = engineOf(model);
    const all = attacked.flatMap(({ records, startMs }) => straight.observe(records, startMs + 10_000));
    let broken = engineOf(model);
    const parts = attacked.flatMap(({ records, startMs }, index) => {
      if (index % 240 === 100) broken = engineOf(broken.save());
      return broken.observe(records, startMs + 10_000);
    });
    const plain = (findings: readonly Finding[]) => findings.map(({ evidence: _, ...finding }) => finding);
    expect(plain(parts)).toEqual(plain(all));
    expect(all.length).toBeGreaterThan(0);
  });

  it.each(ATTACKS.map((attack) => [attack.name, attack] as const))("shows a %s", (_, attack) => {
    const fromMs = (ground[0]?.startMs ?? 0) + 8 * HOUR_MS;
    const slice = ground.filter(
      ({ startMs }) => startMs >= fromMs - HOUR_MS / 4 && startMs < fromMs + attack.lengthMs + HOUR_MS,
    );
    const findings = observeAll(engineOf(model), recordsOf([...host.attacked(slice, attack, fromMs, 3)]));
    const found = findings.find(({ detector, detectedAtMs }) => detector === attack.detector && detectedAtMs >= fromMs);
    expect(found?.sentence ?? `not among ${findings.map(({ detector }) => detector).join(", ")}`).toMatch(/\.$/);
    expect((found?.detectedAtMs ?? Number.POSITIVE_INFINITY) - fromMs).toBeLessThan(
      attack.isSlow ? 12 * HOUR_MS : 5 * 60_000,
    );
  });

  it("learns from a history what it does, and forgets what it was told of neither findings nor feedback", () => {
    const engine = engineOf();
    observeAll(engine, inWindows(scan(60, 30_000)));
    engine.train(recordsOf(ground), { leaveOutFindings: true });
    const status = engine.status();
    expect(status.trainedWindows).toBeGreaterThan(1300);
    expect(status.detectors.find(({ detector }) => detector === "port-scan")?.findings).toBe(1);
  });

  it("cannot be taught in small steps that sending everything away is usual", () => {
    const engine = engineOf(model);
    let told = 0;
    let bytes = 2e7;
    let atMs = (ground[0]?.startMs ?? 0) + 9 * HOUR_MS;
    // A fifth more every day, to the same stranger.
    for (let day = 0; day < 40 && told === 0; day++) {
      for (let part = 0; part < 8; part++) {
        const record = flowRecord(atMs + part * 3 * HOUR_MS, {
          destinationAddress: "198.51.100.7",
          originatorBytes: bytes / 8,
          responderBytes: 2000,
        });
        told += engine
          .observe([record], record.windowStartMs + 10_000)
          .filter(({ detector }) => detector === "exfiltration").length;
      }
      bytes *= 1.2;
      atMs += 24 * HOUR_MS;
    }
    // The bound of docs/anomalies.md: three times ten times what it began with, or what any habit may have.
    expect(told).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(40 * 1e9);
  });

  it("gives its group one vote, and takes no level that is far above the group's", () => {
    const engine = engineOf(model);
    const { features } = engine.summary();
    expect(Object.keys(features)).toContain("out_sent");
    for (const { median, spread } of Object.values(features)) expect(Number.isFinite(median) && spread >= 0).toBe(true);
    const tiny = Object.fromEntries(Object.keys(features).map((key) => [key, { median: 0, spread: 0 }]));
    engine.setGroup({ group: "batch", hosts: 5, features: tiny });
    expect(engine.status()).toMatchObject({ group: "batch", groupHosts: 5 });
  });
});
