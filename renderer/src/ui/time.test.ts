import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  formatAxisTimes,
  formatBothZones,
  formatClock,
  formatClockMs,
  formatDateTime,
  formatDuration,
  formatMoment,
  formatUtc,
  setTimeDisplay,
  shownZoneName,
} from "./time.ts";

afterEach(() => setTimeDisplay({ zone: "local", clock: "24h" }));
const AT = Date.UTC(2026, 10, 21, 14, 3, 22, 417);

describe("times", () => {
  it("are written in the zone and with the clock of the person", () => {
    setTimeDisplay({ zone: "utc", clock: "24h" });
    expect(formatClock(AT)).toBe("14:03:22");
    expect(formatClockMs(AT)).toBe("14:03:22.417");
    expect(formatDateTime(AT)).toBe("21 Nov 2026 14:03:22 UTC");
    expect(formatMoment(AT, AT + 2_000)).toBe("14:03:22 · 2 s ago");
    expect(formatMoment(AT, AT + 90_000_000)).toBe("21 Nov 2026 14:03:22 · 1 d ago");
    expect(shownZoneName(AT)).toBe("UTC");
    setTimeDisplay({ zone: "utc", clock: "12h" });
    expect(formatClock(AT)).toBe("02:03:22 pm");
    expect(formatClock(AT - 14 * 3_600_000)).toBe("12:03:22 am");
  });

  it("are told apart along an axis, as long as they are", () => {
    const every = (stepMs: number) => formatAxisTimes([AT, AT + stepMs, AT + 2 * stepMs]);
    setTimeDisplay({ zone: "utc", clock: "24h" });
    expect(every(10_000)).toEqual(["14:03:22", "14:03:32", "14:03:42"]);
    expect(every(60_000)).toEqual(["14:03", "14:04", "14:05"]);
    expect(every(86_400_000)).toEqual(["21 Nov 14:03", "22 Nov 14:03", "23 Nov 14:03"]);
    expect(formatAxisTimes([])).toEqual([]);
    setTimeDisplay({ zone: "utc", clock: "12h" });
    expect(every(10_000)[0]).toBe("02:03:22 pm");
    expect(every(60_000)[0]).toBe("02:03 pm");
  });

  it("say midnight as 00 and not as 24", () => {
    setTimeDisplay({ zone: "utc", clock: "24h" });
    expect(formatClock(Date.UTC(2026, 0, 1))).toBe("00:00:00");
  });

  it("have both zones in their tooltip, whatever is shown", () => {
    for (const zone of ["local", "utc"] as const) {
      setTimeDisplay({ zone, clock: "24h" });
      const [here, utc] = formatBothZones(AT).split("\n");
      expect(here).toMatch(/^\d{1,2} Nov 2026 \d\d:\d\d:\d\d .+ \(here\)$/);
      expect(utc).toBe("21 Nov 2026 14:03:22 UTC");
    }
    expect(formatUtc(AT)).toBe("2026-11-21T14:03:22.417Z");
  });

  it("say durations with two units at most", () => {
    expect([0, 417, 2_340, 200_000, 3_600_000, 93_784_000].map(formatDuration)).toEqual([
      "0 ms",
      "417 ms",
      "2.3 s",
      "3 min 20 s",
      "1 h",
      "1 d 2 h",
    ]);
  });
});

const SOURCES = join(import.meta.dirname, "..");
/** What would write a time past the person's zone. */
const BY_HAND =
  /Intl\.DateTimeFormat|toLocale(?:Date|Time)String\(|\.toISOString\(|\.get(?:UTC)?(?:Hours|Minutes|Date|Month|FullYear)\(|\.to(?:UTC|Date|Time)String\(/;

/** The home of times; and what reads a moment that a person typed, in the zone that is shown. */
const READS_OR_WRITES = new Set(["ui/time.ts", "features/flows/model/moment.ts"]);

it("no component formats a date by itself", () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter(
    (path) => /\.tsx?$/.test(path) && !/\.test\.ts$|^testing\//.test(path) && !READS_OR_WRITES.has(path),
  );
  expect(files.length).toBeGreaterThan(100);
  const guilty = files.filter((path) => BY_HAND.test(readFileSync(join(SOURCES, path), "utf8")));
  expect(guilty.map((path) => relative(SOURCES, join(SOURCES, path)))).toEqual([]);
});
