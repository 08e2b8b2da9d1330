import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Alert,
  AlertBook,
  type AlertMessage,
  type AlertRule,
  type BookOptions,
  type Observation,
  previewSilence,
  ruleProblems,
  type SavedBook,
  type Silence,
  silenceProblems,
  USUAL_RULES,
} from "./index.ts";

const START = 1_700_000_000_000;
const MINUTE = 60_000;
const PEOPLE = [{ name: "mail", keepsState: false }];

function ruleOf(change: Partial<AlertRule> = {}): AlertRule {
  return {
    ...{ name: "findings", description: "", enabled: true, hostSelector: "", severity: null, forSeconds: 0 },
    source: { kind: "finding", minSeverity: "low", detectors: [] },
    ...{ groupBy: ["rule", "host"], groupWaitSeconds: 30, repeatSeconds: 600 },
    steps: [{ afterSeconds: 0, receivers: ["mail"] }],
    ...change,
  };
}

function seen(key: string, change: Partial<Observation> = {}): Observation {
  const host = change.host ?? "web-1";
  return {
    ...{ rule: "findings", key, holds: true, isEvent: true, severity: "high", sentence: `something about ${key}` },
    ...{ hostId: host, host, findingId: key, labels: { host, detector: "beacon" } },
    ...change,
  };
}

function bookOf(change: Partial<BookOptions> = {}): AlertBook {
  return new AlertBook({ rules: [ruleOf()], silences: [], receivers: PEOPLE, ...change });
}

function silenceOf(matches: Record<string, string>, untilMs: number): Silence {
  return { id: "quiet", matches, untilMs, reason: "", author: "a", createdAtMs: START };
}

/** Advances at every moment at which something is due, up to the given one. */
function runTo(book: AlertBook, untilMs: number): AlertMessage[] {
  const messages: AlertMessage[] = [];
  for (let rounds = 0; rounds < 10_000; rounds++) {
    const due = book.nextDueMs();
    if (due === null || due > untilMs) break;
    messages.push(...book.advance(due));
  }
  messages.push(...book.advance(untilMs));
  return messages;
}

describe("from an observation to a message", () => {
  it("fires after its time, waits for others of its group, reminds, and tells the end", () => {
    const book = bookOf({ rules: [ruleOf({ forSeconds: 60 })] });
    for (let time = START; time <= START + MINUTE; time += 10_000) {
      book.observe(seen("a", { isEvent: false }), time);
      if (time === START + 30_000) book.observe(seen("b", { isEvent: false }), time);
      expect(book.advance(time)).toEqual([]);
    }
    expect(book.alerts().map(({ state }) => state)).toEqual(["firing", "pending"]);
    const [first, ...more] = runTo(book, START + 5 * MINUTE);
    expect(more).toEqual([]);
    expect(first).toMatchObject({ kind: "firing", firingCount: 2, madeAtMs: START + 90_000, isReminder: false });
    const reminder = runTo(book, START + 12 * MINUTE);
    expect(reminder).toMatchObject([{ isReminder: true, madeAtMs: START + 90_000 + 600_000 }]);
    book.observe(seen("a", { holds: false, isEvent: false }), START + 13 * MINUTE);
    expect(runTo(book, START + 14 * MINUTE)).toEqual([]);
    book.observe(seen("b", { holds: false, isEvent: false }), START + 14 * MINUTE);
    expect(runTo(book, START + 14 * MINUTE)).toMatchObject([{ kind: "resolved", resolvedCount: 2 }]);
    expect(book.alerts()).toEqual([]);
    expect(book.nextDueMs()).toBeNull();
  });

  it("tells of what was over before anybody could be told", () => {
    const book = bookOf();
    book.observe(seen("a", { holds: false }), START);
    expect(runTo(book, START + MINUTE)).toMatchObject([{ kind: "firing", firingCount: 0, resolvedCount: 1 }]);
    // The same finding again, because somebody commented on it.
    book.observe(seen("a", { holds: false }), START + 2 * MINUTE);
    expect(runTo(book, START + 60 * MINUTE)).toEqual([]);
  });

  it("does not count time in which nobody looked", () => {
    const book = bookOf({ rules: [ruleOf({ forSeconds: 300 })] });
    book.observe(seen("a"), START);
    book.advance(START);
    // The machine slept.
    const woke = START + 8 * 60 * MINUTE;
    book.observe(seen("a"), woke);
    book.advance(woke);
    expect(book.alerts()[0]?.state).toBe("pending");
    for (let time = woke; time <= woke + 4 * MINUTE; time += 30_000) book.advance(time);
    expect(book.alerts()[0]?.state).toBe("firing");
  });

  it("goes on to later steps until somebody acknowledges", () => {
    const steps = [
      { afterSeconds: 0, receivers: ["mail"] },
      { afterSeconds: 900, receivers: ["boss"] },
      { afterSeconds: 1800, receivers: ["board"] },
    ];
    const receivers = ["mail", "boss", "board"].map((name) => ({ name, keepsState: false }));
    const book = bookOf({ rules: [ruleOf({ steps, groupWaitSeconds: 0 })], receivers });
    book.observe(seen("a"), START);
    const told = runTo(book, START + 20 * MINUTE).map(({ receiver, madeAtMs }) => [
      receiver,
      (madeAtMs - START) / MINUTE,
    ]);
    expect(told).toEqual([
      ["mail", 0],
      ["mail", 10],
      ["boss", 15],
      ["mail", 20],
    ]);
    const [alert] = book.alerts();
    expect(alert?.escalationStep).toBe(1);
    expect(book.acknowledge(alert?.id ?? "", "anna", START + 20 * MINUTE)).toMatchObject({ acknowledgedBy: "anna" });
    expect(runTo(book, START + 300 * MINUTE)).toEqual([]);
    // What got worse is news again.
    book.observe(seen("a", { severity: "critical" }), START + 301 * MINUTE);
    expect(runTo(book, START + 302 * MINUTE)[0]).toMatchObject({ receiver: "mail", severity: "critical" });
  });

  it("holds back what is silenced, and tells it when the silence ends first", () => {
    const silences = [silenceOf({ host: "web-1", detector: "beacon" }, START + 30 * MINUTE)];
    const book = bookOf({ silences });
    book.observe(seen("a"), START);
    book.observe(seen("b", { host: "db-1" }), START);
    expect(runTo(book, START + 5 * MINUTE).flatMap(({ firing }) => firing.map(({ key }) => key))).toEqual(["b"]);
    expect(book.alerts().find(({ key }) => key === "a")?.silencedBy).toBe("quiet");
    expect(runTo(book, START + 31 * MINUTE).find(({ groupKey }) => groupKey.includes("web-1"))).toMatchObject({
      madeAtMs: START + 30 * MINUTE,
      firingCount: 1,
    });
    book.observe(seen("c", { holds: false }), START + 32 * MINUTE);
    expect(previewSilence(silences[0] as Silence, book.alerts())).toHaveLength(2);
  });

  it("ends alerts of what is no longer said, and of rules that are gone", () => {
    const book = bookOf();
    book.observeAll("findings", [seen("a"), seen("b")], START);
    book.observeAll("findings", [seen("b")], START + 1);
    book.advance(START + 2);
    expect(book.alerts().map(({ key, state }) => [key, state])).toEqual([
      ["a", "resolved"],
      ["b", "firing"],
    ]);
    book.configure({ rules: [], silences: [], receivers: PEOPLE });
    book.advance(START + 3);
    expect(book.alerts()).toEqual([]);
    expect(book.takeChanges().closed).toHaveLength(2);
  });

  it("tells a receiver that keeps state each change at once, and all of it", () => {
    const book = bookOf({ receivers: [{ name: "mail", keepsState: true }], rules: [ruleOf({ groupWaitSeconds: 0 })] });
    for (let index = 0; index < 1_200; index++) book.observe(seen(`f${index}`), START);
    const messages = book.advance(START);
    expect(messages.map(({ firing }) => firing.length)).toEqual([500, 500, 200]);
    book.observe(seen("f7", { holds: false }), START + 1_000);
    expect(book.advance(START + 1_000)).toMatchObject([{ kind: "resolved", resolvedCount: 1, firingCount: 0 }]);
    const again = book.advance(START + 601_000).map(({ firingCount, isReminder }) => [firingCount, isReminder]);
    expect(again).toEqual([
      [500, true],
      [500, true],
      [199, true],
    ]);
  });
});

describe("floods", () => {
  it("makes a few messages of 10,000 findings of one host, with the counts in them", () => {
    const book = bookOf();
    const messages: AlertMessage[] = [];
    for (let index = 0; index < 10_000; index++) {
      book.observe(seen(`f${index}`, { labels: { host: "web-1", detector: `d${index % 10}` } }), START + index * 6);
      if (index % 1_000 === 0) messages.push(...book.advance(START + index * 6));
    }
    messages.push(...runTo(book, START + 9 * MINUTE));
    expect(messages).toHaveLength(1);
    const total = messages[0]?.firingCount ?? 0;
    expect(total).toBeGreaterThan(4_000);
    expect(messages[0]?.firing).toHaveLength(50);
    const [next] = runTo(book, START + 12 * MINUTE);
    expect(next?.firingCount).toBe(10_000);
  });

  it("puts a thousand groups together", () => {
    const book = bookOf();
    for (let index = 0; index < 1_000; index++) book.observe(seen(`f${index}`, { host: `h${index}` }), START);
    const messages = runTo(book, START + MINUTE);
    expect(messages).toHaveLength(10);
    expect(messages.at(-1)).toMatchObject({ groupKey: "", groupCount: 991, firingCount: 991 });
    expect(runTo(book, START + 9 * MINUTE)).toEqual([]);
  });

  it("counts what finds no room, and says so", () => {
    const book = bookOf({ mostAlerts: 100 });
    for (let index = 0; index < 150; index++) book.observe(seen(`f${index}`), START);
    const messages = runTo(book, START + MINUTE);
    expect(book.overflowed).toBe(50);
    expect(messages.flatMap(({ firing }) => firing.map(({ sentence }) => sentence))).toContain(
      '50 more alerts of the rule "findings" found no room and are not listed.',
    );
    const later = runTo(book, START + 20 * MINUTE);
    expect(later.some(({ kind, groupKey }) => kind === "resolved" && groupKey.includes("overflow"))).toBe(true);
  });
});

/** One thing that happens, after a pause. */
type Step = { pauseMs: number } & (
  | { kind: "see" | "end"; key: number; host: number; severity: "low" | "critical" }
  | { kind: "acknowledge"; index: number }
  | { kind: "silence"; host: number; minutes: number }
  | { kind: "wait" }
);

const pause = fc.oneof(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 30 * MINUTE }));
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    pauseMs: pause,
    kind: fc.constantFrom("see" as const, "end" as const),
    key: fc.nat(7),
    host: fc.nat(2),
    severity: fc.constantFrom("low" as const, "critical" as const),
  }),
  fc.record({ pauseMs: pause, kind: fc.constant("acknowledge" as const), index: fc.nat(5) }),
  fc.record({ pauseMs: pause, kind: fc.constant("silence" as const), host: fc.nat(2), minutes: fc.nat(60) }),
  fc.record({ pauseMs: pause, kind: fc.constant("wait" as const) }),
);
const STEPS = [
  { afterSeconds: 0, receivers: ["mail"] },
  { afterSeconds: 900, receivers: ["boss"] },
];
const RECEIVERS = ["mail", "boss"].map((name) => ({ name, keepsState: false }));
const SETTINGS = { rules: [ruleOf({ steps: STEPS })], receivers: RECEIVERS };

interface Sent {
  readonly message: AlertMessage;
  readonly realMs: number;
}

interface Run {
  readonly sent: Sent[];
  readonly fired: Map<string, Alert>;
  readonly book: AlertBook;
}

/** @param restartEvery the book is saved and read again after so many steps @param skewOf by how much the clock is wrong */
function play(steps: readonly Step[], restartEvery = 0, skewOf: (index: number) => number = () => 0): Run {
  let silences: Silence[] = [];
  let book = new AlertBook({ ...SETTINGS, silences });
  const kept: { alerts: Map<string, Alert>; pieces: Map<string, string> } = { alerts: new Map(), pieces: new Map() };
  const run: Run = { sent: [], fired: new Map(), book };
  let realMs = START;
  const keep = () => {
    const { alerts, closed, dropped, pieces } = book.takeChanges();
    for (const alert of [...alerts, ...closed]) if (alert.firedAtMs !== null) run.fired.set(alert.id, alert);
    for (const alert of alerts) kept.alerts.set(alert.id, alert);
    for (const id of [...dropped, ...closed.map((alert) => alert.id)]) kept.alerts.delete(id);
    for (const [name, json] of pieces) json === null ? kept.pieces.delete(name) : kept.pieces.set(name, json);
  };
  const advance = (skewMs: number) => {
    run.sent.push(...book.advance(realMs + skewMs).map((message) => ({ message, realMs })));
    keep();
  };
  const passTo = (untilMs: number, skewMs: number) => {
    advance(skewMs);
    for (let rounds = 0; rounds < 1_000; rounds++) {
      const due = book.nextDueMs();
      if (due === null || due - skewMs >= untilMs) break;
      realMs = Math.max(realMs, due - skewMs);
      advance(skewMs);
    }
    realMs = untilMs;
  };
  for (const [index, each] of steps.entries()) {
    const skewMs = skewOf(index);
    passTo(realMs + each.pauseMs, skewMs);
    const now = realMs + skewMs;
    if (each.kind === "see" || each.kind === "end") {
      const host = `h${each.host}`;
      const observation = seen(`${host}-${each.key}`, { host, severity: each.severity, holds: each.kind === "see" });
      book.observe(observation, now);
    } else if (each.kind === "acknowledge") {
      const alert = book.alerts()[each.index];
      if (alert) book.acknowledge(alert.id, "anna", now);
    } else if (each.kind === "silence") {
      silences = [silenceOf({ host: `h${each.host}` }, now + each.minutes * MINUTE)];
      book.configure({ ...SETTINGS, silences });
    }
    advance(skewMs);
    if (restartEvery > 0 && index % restartEvery === 0) {
      // Once from what was kept bit by bit, once from the whole.
      const whole = JSON.parse(JSON.stringify(book.save())) as SavedBook;
      const bits = {
        alerts: [...kept.alerts.values()],
        pieces: [...kept.pieces, ["now", String(realMs + skewMs)] as const],
      };
      expect(sorted(bits)).toEqual(sorted(whole));
      book = new AlertBook({ ...SETTINGS, silences, saved: index % 2 === 0 ? whole : bits });
    }
  }
  passTo(realMs + 3 * 3_600_000, skewOf(steps.length));
  advance(skewOf(steps.length));
  return { ...run, book };
}

function sorted({ alerts, pieces }: SavedBook) {
  const byId = [...alerts].sort((a, b) => (a.id < b.id ? -1 : 1));
  return { alerts: byId, pieces: Object.fromEntries(pieces) };
}

function groupsOf({ message }: Sent): string[] {
  const all = [...message.firing, ...message.resolved];
  return [...new Set(all.map(({ groupKey }) => groupKey))];
}

function shortestGapMs(sent: readonly Sent[], timeOf: (sent: Sent) => number): number {
  const last = new Map<string, number>();
  let shortest = Number.POSITIVE_INFINITY;
  for (const one of sent) {
    for (const group of groupsOf(one)) {
      const key = `${one.message.receiver} ${group} ${one.message.kind}`;
      shortest = Math.min(shortest, timeOf(one) - (last.get(key) ?? Number.NEGATIVE_INFINITY));
      last.set(key, timeOf(one));
    }
  }
  return shortest;
}

function lost({ fired, book }: Run): string[] {
  const open = new Map(book.alerts().map((alert) => [alert.id, alert]));
  return [...fired.values()]
    .map((alert) => open.get(alert.id) ?? alert)
    .filter(({ toldTo, silencedBy, acknowledgedBy }) => !toldTo.includes("mail") && !silencedBy && !acknowledgedBy)
    .map(({ id }) => id);
}

describe("whatever happens", () => {
  const runs = fc.array(step, { maxLength: 40 });
  const check = (property: fc.IProperty<[Step[]]>) => fc.assert(property, { numRuns: 150 });

  it("no alert is lost, and no group speaks twice within its repeat time", () => {
    check(
      fc.property(runs, (steps) => {
        const run = play(steps);
        expect(lost(run)).toEqual([]);
        expect(shortestGapMs(run.sent, ({ realMs }) => realMs)).toBeGreaterThanOrEqual(600_000);
      }),
    );
  });

  it("a restart changes nothing", () => {
    check(
      fc.property(runs, (steps) => {
        const messages = ({ sent }: Run) =>
          sent.map(({ message, realMs }) => [message.id, message.firingCount, realMs]);
        expect(messages(play(steps, 3))).toEqual(messages(play(steps)));
      }),
    );
  });

  it("a clock that is set back makes nothing come twice or never", () => {
    check(
      fc.property(runs, (steps) => {
        const run = play(steps, 0, (index) => (index > steps.length / 2 ? -30 * 86_400_000 : 0));
        expect(lost(run)).toEqual([]);
        expect(shortestGapMs(run.sent, ({ realMs }) => realMs)).toBeGreaterThanOrEqual(600_000);
      }),
    );
  });

  it("a clock that is set ahead loses nothing", () => {
    check(
      fc.property(runs, (steps) => {
        const run = play(steps, 0, (index) => (index > steps.length / 2 ? 30 * 86_400_000 : 0));
        expect(lost(run)).toEqual([]);
        expect(shortestGapMs(run.sent, ({ message }) => message.madeAtMs)).toBeGreaterThanOrEqual(600_000);
      }),
    );
  });
});

describe("rules and silences that make no sense", () => {
  const context = {
    receivers: new Set(["mail", "desktop"]),
    queryProblem: (query: string) => (query === "(" ? "It does not end." : null),
    selectorProblem: () => null,
  };

  it("names each problem with its place", () => {
    const rule = ruleOf({
      name: "no spaces",
      source: { kind: "denies", query: "(", threshold: 0, windowSeconds: 1 },
      repeatSeconds: 5,
      steps: [
        { afterSeconds: 60, receivers: ["nobody"] },
        { afterSeconds: 60, receivers: [] },
      ],
    });
    expect(ruleProblems(rule, context).map(({ path }) => path.join("."))).toEqual([
      ...["name", "repeat", "severity", "denies.query", "denies.threshold", "denies.window"],
      ...["steps.0.receivers.0", "steps.1.after", "steps.1.receivers"],
    ]);
    expect(ruleProblems(rule, context).at(-3)?.message).toContain("desktop, mail");
    for (const usual of USUAL_RULES) expect(ruleProblems(usual, context)).toEqual([]);
  });

  it("refuses a silence over everything", () => {
    expect(silenceProblems(silenceOf({}, START + 1), START)[0]).toContain("every alert");
    expect(silenceProblems(silenceOf({ hots: "a", host: "" }, START), START)).toHaveLength(3);
    expect(silenceProblems(silenceOf({ host: "a" }, START + 91 * 86_400_000), START)).toHaveLength(1);
    expect(silenceProblems(silenceOf({ host: "a" }, START + 1), START)).toEqual([]);
  });
});
