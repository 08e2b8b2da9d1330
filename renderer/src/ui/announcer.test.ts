import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ANNOUNCEMENT_BUDGET, Announcer } from "./announcer.ts";

/** An announcer on a clock of its own, and everything that it ever said. */
function announcerOnClock() {
  let nowMs = 0;
  let timers: { atMs: number; run: () => void }[] = [];
  const announcer = new Announcer({
    nowMs: () => nowMs,
    later: (run, delayMs) => {
      const timer = { atMs: nowMs + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((each) => each !== timer);
      };
    },
  });
  const said: { atMs: number; text: string; isUrgent: boolean }[] = [];
  let serials = [0, 0];
  announcer.subscribe(() => {
    const { polite, urgent } = announcer.getState();
    if (polite.text !== "" && polite.serial !== serials[0])
      said.push({ atMs: nowMs, text: polite.text, isUrgent: false });
    if (urgent.text !== "" && urgent.serial !== serials[1])
      said.push({ atMs: nowMs, text: urgent.text, isUrgent: true });
    serials = [polite.serial, urgent.serial];
  });
  const advance = (byMs: number) => {
    const untilMs = nowMs + byMs;
    for (;;) {
      const next = timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (!next) break;
      timers = timers.filter((each) => each !== next);
      nowMs = Math.max(nowMs, next.atMs);
      next.run();
    }
    nowMs = untilMs;
  };
  return { announcer, said, advance };
}

describe("the announcer", () => {
  it("counts 2,000 events in a second together, says them in one sentence, and then ever more seldom", () => {
    const { announcer, said, advance } = announcerOnClock();
    for (let tenth = 0; tenth < 1_200; tenth++) {
      announcer.counts({ "new flows": 200, refused: tenth % 10 === 0 ? 1 : 0 });
      advance(100);
    }
    expect(said.map(({ atMs }) => atMs)).toEqual([5_000, 15_000, 35_000, 75_000]);
    expect(said[0]?.text).toBe("10,000 new flows, 5 refused");
    expect(said[3]?.text).toBe("80,000 new flows, 40 refused");
  });

  it("leaves words in the page for a while only, whatever the other voice goes on saying", () => {
    const { announcer, advance } = announcerOnClock();
    announcer.urgent("The connection is lost");
    for (let second = 0; second < 12; second++) {
      announcer.polite(`Saved ${second}`);
      advance(1_000);
    }
    expect(announcer.getState().urgent.text).toBe("");
    expect(announcer.getState().polite.text).not.toBe("");
    advance(ANNOUNCEMENT_BUDGET.keptMs);
    expect(announcer.getState().polite.text).toBe("");
  });

  it("starts anew after a silence, and forgets what nobody looks at any more", () => {
    const { announcer, said, advance } = announcerOnClock();
    announcer.counts({ "new flows": 1 });
    advance(5_000);
    announcer.counts({ "new flows": 2 });
    advance(20_000);
    advance(ANNOUNCEMENT_BUDGET.streamMostGapMs + 1);
    announcer.counts({ "new flows": 3 });
    advance(4_999);
    expect(said).toHaveLength(2);
    advance(1);
    expect(said.at(-1)?.text).toBe("3 new flows");
    announcer.counts({ "new flows": 4 });
    announcer.forgetCounts();
    advance(200_000);
    expect(said).toHaveLength(3);
  });

  it("says urgent words at once, and the same ones not again within ten seconds", () => {
    const { announcer, said, advance } = announcerOnClock();
    announcer.polite("Draft saved.");
    announcer.urgent("30 s left");
    announcer.urgent("30 s left");
    expect(said).toEqual([{ atMs: 0, text: "30 s left", isUrgent: true }]);
    advance(10_000);
    announcer.urgent("30 s left");
    expect(said.filter(({ isUrgent }) => isUrgent)).toHaveLength(2);
    expect(said.filter(({ isUrgent }) => !isUrgent).map(({ text }) => text)).toEqual(["Draft saved"]);
  });

  it("joins what comes at once, and says how much it left out", () => {
    const { announcer, said, advance } = announcerOnClock();
    announcer.polite("first");
    advance(0);
    for (let index = 0; index < 7; index++) announcer.polite(`done ${index}.`);
    advance(1_000);
    expect(said.map(({ text }) => text)).toEqual(["first", "done 3. done 4. done 5. done 6. and 3 more"]);
  });

  it("keeps its budget whatever comes", () => {
    const event = fc.record({
      what: fc.constantFrom("polite", "counts", "urgent"),
      afterMs: fc.nat(3_000),
      words: fc.constantFrom("a", "b", "c"),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 120 }), (events) => {
        const { announcer, said, advance } = announcerOnClock();
        let urgentCount = 0;
        for (const { what, afterMs, words } of events) {
          advance(afterMs);
          if (what === "polite") announcer.polite(words);
          else if (what === "counts") announcer.counts({ rows: 1 });
          else {
            const before = said.length;
            announcer.urgent(words);
            urgentCount += said.length - before;
          }
        }
        advance(200_000);
        const polite = said.filter(({ isUrgent }) => !isUrgent);
        const streams = polite.filter(({ text }) => text.includes(" rows"));
        for (const [list, gapMs] of [
          [polite, ANNOUNCEMENT_BUDGET.politeGapMs],
          [streams, ANNOUNCEMENT_BUDGET.streamGapMs],
        ] as const) {
          list.slice(1).forEach(({ atMs }, index) => {
            expect(atMs - (list[index]?.atMs ?? 0)).toBeGreaterThanOrEqual(gapMs);
          });
        }
        expect(said.filter(({ isUrgent }) => isUrgent)).toHaveLength(urgentCount);
        // Nothing that was counted is lost.
        const counted = streams.map(({ text }) => Number(/([\d,]+) rows/.exec(text)?.[1]?.replaceAll(",", "") ?? 0));
        expect(counted.reduce((sum, count) => sum + count, 0)).toBe(
          events.filter(({ what }) => what === "counts").length,
        );
      }),
      { numRuns: 200 },
    );
  });
});
