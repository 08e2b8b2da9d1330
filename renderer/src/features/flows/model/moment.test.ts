import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readMoment } from "./moment.ts";

const NOW_MS = Date.UTC(2026, 6, 20, 23, 30);
const former = process.env.TZ;

describe("a moment as it is typed", () => {
  // Two hours ahead of UTC in summer, one in winter.
  beforeEach(() => {
    process.env.TZ = "Europe/Berlin";
  });
  afterEach(() => {
    process.env.TZ = former;
  });
  it.each<[string, "utc" | "local", string | null]>([
    ["2026-07-20 14:03:22", "utc", "2026-07-20T14:03:22.000Z"],
    ["2026-07-20 14:03:22", "local", "2026-07-20T12:03:22.000Z"],
    ["2026-01-20T14:03", "local", "2026-01-20T13:03:00.000Z"],
    ["2026-07-20 14:03:22.4179", "utc", "2026-07-20T14:03:22.417Z"],
    ["2026-07-20 14:03:22Z", "local", "2026-07-20T14:03:22.000Z"],
    ["2026-07-20", "local", "2026-07-19T22:00:00.000Z"],
    // It is half past one of the next day already there.
    ["14:03", "local", "2026-07-21T12:03:00.000Z"],
    ["14:03", "utc", "2026-07-20T14:03:00.000Z"],
    ["2026-02-30", "utc", null],
    ["2026-13-01", "utc", null],
    ["0026-07-20", "utc", null],
    ["0099-07-20 14:03", "local", null],
    ["0100-07-20", "utc", "0100-07-20T00:00:00.000Z"],
    ["24:00", "utc", null],
    ["noon", "local", null],
    ["", "local", null],
  ])("%j in %s", (text, zone, expected) => {
    const timeMs = readMoment(text, NOW_MS, zone);
    expect(timeMs === null ? null : new Date(timeMs).toISOString()).toBe(expected);
  });
});
