import { describe, expect, it } from "vitest";
import { addToTail, freshTail, tailChance, tailScore } from "./calibration/tail.ts";
import { type MovementChain, stitchChains } from "./chains.ts";
import {
  averageDepthOf,
  forestContributions,
  forestScore,
  growForest,
  USUAL_FOREST,
} from "./detectors/isolation-forest.ts";
import { regularityOf } from "./detectors/regularity.ts";
import type { Finding } from "./finding.ts";
import { addDistinct, addRolling, countDistinct, countRolling, distinct, rollingDistinct } from "./support/distinct.ts";
import { mixBits, nextRandom, seededRandom } from "./support/random.ts";
import { addEntry, keepEntry, peekEntry, sizeOf, tieredMap, touchEntry } from "./support/tiered-map.ts";
import { flowRecord, START_MS } from "./testing/records.ts";

describe("the isolation forest", () => {
  const random = seededRandom(5);
  const rows = Float32Array.from({ length: 600 * 4 }, () => nextRandom(random) + nextRandom(random));
  const forest = growForest(rows, 4, { ...USUAL_FOREST, seed: 1 });

  it("ranks what lies outside above what lies within, the further the more", () => {
    const inside = forestScore(forest, Float32Array.of(1, 1, 1, 1));
    const edge = forestScore(forest, Float32Array.of(1, 1, 1, 2.4));
    const outside = forestScore(forest, Float32Array.of(1, 1, 1, 9));
    expect(inside).toBeLessThan(edge);
    expect(edge).toBeLessThan(outside);
  });

  it("is the same for the same seed, and another for another", () => {
    const point = Float32Array.of(0.2, 1.7, 1, 1);
    expect(forestScore(growForest(rows, 4, { ...USUAL_FOREST, seed: 1 }), point)).toBe(forestScore(forest, point));
    expect(forestScore(growForest(rows, 4, { ...USUAL_FOREST, seed: 2 }), point)).not.toBe(forestScore(forest, point));
  });

  it("names the feature that sets a point apart", () => {
    const usual = Float32Array.of(1, 1, 1, 1);
    const shares = forestContributions(forest, Float32Array.of(1, 1, 8, 1), usual);
    expect(shares.indexOf(Math.max(...shares))).toBe(2);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
  });

  it("grows from points that are all alike, and from two", () => {
    expect(
      forestScore(growForest(new Float32Array(40), 4, { ...USUAL_FOREST, seed: 1 }), new Float32Array(4)),
    ).toBeGreaterThan(0);
    expect(
      forestScore(growForest(new Float32Array(8), 4, { ...USUAL_FOREST, seed: 1 }), new Float32Array(4)),
    ).toBeGreaterThan(0);
  });

  it("knows the average depth of a search", () => {
    expect(averageDepthOf(2)).toBe(1);
    expect(averageDepthOf(256)).toBeCloseTo(10.24, 1);
  });
});

describe("the tail of normal scores", () => {
  it("gives back the chance of scores beyond all that were seen, on the safe side", () => {
    const random = seededRandom(3);
    const tail = freshTail();
    for (let index = 0; index < 5000; index++) addToTail(tail, -Math.log(1 - nextRandom(random)));
    // Exponential: a score of 12 has a chance of e^-12 = 6e-6.
    const chance = tailChance(tail, 12) ?? 0;
    expect(chance).toBeGreaterThan(3e-6);
    expect(chance).toBeLessThan(2e-3);
    const limit = tailScore(tail, 1e-4) ?? 0;
    expect(limit).toBeGreaterThan(8);
    expect(limit).toBeLessThan(20);
    expect(tailChance(tail, limit)).toBeCloseTo(1e-4, 6);
  });

  it("says nothing from too few", () => {
    expect(tailChance(freshTail(), 3)).toBeNull();
    expect(tailScore(freshTail(), 0.1)).toBeNull();
  });
});

describe("regularity", () => {
  const moments = (count: number, period: number, jitter: number) => {
    const random = seededRandom(11);
    let atMs = 0;
    return Array.from({ length: count }, () => {
      atMs += period * (1 + jitter * (2 * nextRandom(random) - 1));
      return atMs;
    });
  };

  it("sees a beat through jitter and missed beats, and none in chance", () => {
    expect(regularityOf(moments(12, 10_000, 0.01))?.evidence).toBeGreaterThan(7);
    expect(regularityOf(moments(40, 600_000, 0.25))?.evidence).toBeGreaterThan(7.5);
    const missed = moments(30, 10_000, 0.01).filter((_, index) => index % 7 !== 3);
    expect(regularityOf(missed)).toMatchObject({ steadiness: expect.closeTo(1, 1) });
    const random = seededRandom(2);
    let atMs = 0;
    const chance = Array.from({ length: 60 }, () => {
      atMs += -20_000 * Math.log(1 - nextRandom(random));
      return atMs;
    });
    expect(regularityOf(chance)?.evidence ?? 0).toBeLessThan(4);
  });
});

describe("counting in bounded memory", () => {
  it("counts exactly at first, and within a tenth to hundreds of thousands", () => {
    const counter = distinct();
    for (let index = 0; index < 64; index++) addDistinct(counter, mixBits(index));
    expect(countDistinct(counter)).toBe(64);
    for (let index = 0; index < 200_000; index++) addDistinct(counter, mixBits(index));
    expect(Math.abs(countDistinct(counter) / 200_000 - 1)).toBeLessThan(0.2);
  });

  it("forgets what is older than its buckets", () => {
    const rolling = rollingDistinct(1000, 3);
    for (let index = 0; index < 10; index++) addRolling(rolling, mixBits(index), index * 500);
    expect(countRolling(rolling, 4500)).toBe(6);
    expect(countRolling(rolling, 60_000)).toBe(0);
  });

  it("keeps what has proved itself through a flood of new keys", () => {
    const map = tieredMap<number>(100, 10);
    addEntry(map, "friend", 1);
    keepEntry(map, "friend");
    addEntry(map, "guest", 2);
    for (let index = 0; index < 10_000; index++) addEntry(map, `flood ${index}`, index);
    expect(touchEntry(map, "friend")).toBe(1);
    expect(peekEntry(map, "guest")).toBeUndefined();
    expect(sizeOf(map)).toBeLessThanOrEqual(125);
  });
});

describe("movements over several hosts", () => {
  const hop = (id: string, host: string, own: string, from: string, to: string, atMs: number): Finding => ({
    id,
    host,
    detector: "lateral-movement",
    severity: "high",
    state: "ongoing",
    sentence: "",
    score: 1,
    falseAlarmsPerDay: null,
    beganAtMs: atMs,
    lastAtMs: atMs + 60_000,
    detectedAtMs: atMs,
    subjectKey: "",
    process: "ssh",
    remote: to,
    port: 22,
    direction: "egress",
    features: [],
    evidence: [
      flowRecord(atMs, { direction: "ingress", sourceAddress: from, destinationAddress: own, destinationPort: 22 }),
      flowRecord(atMs + 1000, { sourceAddress: own, destinationAddress: to, destinationPort: 22 }),
    ],
    evidenceTotal: 2,
    evidenceQuery: "",
    actions: [],
    series: { feature: "", points: [] },
  });
  const a = hop("a", "desk-1", "10.0.0.1", "10.0.9.9", "10.0.0.2", START_MS);
  const b = hop("b", "web-1", "10.0.0.2", "10.0.0.1", "10.0.0.3", START_MS + 300_000);
  const c = hop("c", "db-1", "10.0.0.3", "10.0.0.2", "10.0.0.4", START_MS + 900_000);
  const stranger = hop("z", "mail-1", "10.7.0.1", "10.7.0.9", "10.7.0.5", START_MS + 200_000);

  it("are put together in order, whatever order the findings come in", () => {
    const expected: MovementChain[] = [
      {
        id: "a",
        findingIds: ["a", "b", "c"],
        hosts: ["desk-1", "web-1", "db-1"],
        beganAtMs: START_MS,
        lastAtMs: START_MS + 960_000,
      },
    ];
    expect(stitchChains([c, stranger, a, b])).toEqual(expected);
    expect(stitchChains([a, b, c, stranger])).toEqual(expected);
  });

  it("never run against time, in a ring, or by a name alone", () => {
    const before = hop("c", "db-1", "10.0.0.3", "10.0.0.2", "10.0.0.4", START_MS - 3 * 3_600_000);
    expect(stitchChains([b, before])).toEqual([]);
    const back = hop("c", "db-1", "10.0.0.2", "10.0.0.1", "10.0.0.1", START_MS);
    expect(stitchChains([a, back]).flatMap(({ findingIds }) => findingIds)).toHaveLength(2);
    expect(stitchChains([a, hop("y", "web-1", "10.5.0.2", "10.0.0.1", "10.5.0.3", START_MS)])).toEqual([]);
  });
});
