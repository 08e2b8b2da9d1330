import { getHeapStatistics } from "node:v8";
import { describe, expect, it } from "vitest";
import { collectGarbage, HeapUpkeep } from "./heapUpkeep.ts";

const MIB = 1024 * 1024;

describe("the heap of an agent that rests", () => {
  it("is made small when a burst is over, once, and not in the middle of it", () => {
    let heapBytes = 60 * MIB;
    let busyPart = 0.3;
    let count = 0;
    const upkeep = new HeapUpkeep({
      heapBytes: () => heapBytes,
      busyPart: () => busyPart,
      collect: () => {
        count += 1;
        heapBytes = 25 * MIB;
      },
    });
    upkeep.look();
    expect(count).toBe(0);
    busyPart = 0.004;
    upkeep.look();
    upkeep.look();
    expect(count).toBe(1);
    heapBytes = 32 * MIB;
    upkeep.look();
    expect(count).toBe(1);
    heapBytes = 34 * MIB;
    upkeep.look();
    expect(count).toBe(2);
  });

  it("stays as it is where it is large and in use, and has grown by little: a large one stands still for long", () => {
    let heapBytes = 200 * MIB;
    let count = 0;
    const collect = () => {
      count += 1;
      heapBytes = 160 * MIB;
    };
    const upkeep = new HeapUpkeep({ heapBytes: () => heapBytes, busyPart: () => 0.004, collect });
    upkeep.look();
    heapBytes = 199 * MIB;
    upkeep.look();
    expect(count).toBe(1);
    heapBytes = 200 * MIB;
    upkeep.look();
    expect(count).toBe(2);
  });

  it("gives the pages of garbage back", () => {
    let garbage: unknown[] = Array.from({ length: 400_000 }, (_, index) => ({ index, text: `flow ${index}` }));
    const before = getHeapStatistics().total_physical_size;
    expect(garbage).toHaveLength(400_000);
    garbage = [];
    collectGarbage();
    expect(before - getHeapStatistics().total_physical_size).toBeGreaterThan(15 * MIB);
  });
});
