import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withDefaults } from "@wardline/domain/settings";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DesktopNotification, silentLogger, systemClock } from "../ports.ts";
import { SettingsTable } from "../store/settings-table.ts";
import { Store } from "../store/store.ts";
import { startTestConsole } from "../testing/console.ts";
import { isQuiet, tellDesktop } from "./desktop-notes.ts";
import type { Matter } from "./matter.ts";
import {
  type Book,
  dismiss,
  type Entry,
  followMatters,
  listed,
  markRead,
  needingPerson,
  snooze,
} from "./notification-book.ts";
import { Notifications } from "./notifications.ts";

const NOTHING: Book = { entries: new Map() };
const KEEP_MS = 1_000_000;
const matter = (key: string, urgency: 1 | 2 | 3 = 2): Matter => ({
  ...{
    key,
    source: "host",
    urgency,
    title: `about ${key}`,
    body: "",
    hostId: "",
    hostName: "",
    place: "hosts",
    deadlineMs: null,
  },
});
const follow = (book: Book, matters: Matter[], nowMs: number) => followMatters(book, matters, nowMs, KEEP_MS);
const keys = (entries: readonly Entry[]) => entries.map(({ key }) => key);

describe("the list behind the bell", () => {
  it("lists what is open, worst first, then what is over, and tells news once", () => {
    const first = follow(NOTHING, [matter("a"), matter("b", 3)], 1);
    expect(keys(first.news)).toEqual(["a", "b"]);
    const again = follow(first.book, [matter("a"), matter("b", 3)], 2);
    expect(again).toMatchObject({ news: [], hasChanged: false });
    const over = follow(again.book, [matter("a")], 3);
    expect(keys(listed(over.book))).toEqual(["a", "b"]);
    expect(needingPerson(listed(over.book), 3)).toBe(1);
    const back = follow(over.book, [matter("a"), matter("b", 3)], 4);
    expect(back.news).toMatchObject([{ key: "b", count: 2, firstAtMs: 1, isRead: false }]);
  });

  it("brings back what was put away when it gets worse or comes anew, and not before", () => {
    let { book } = follow(NOTHING, [matter("a", 2)], 1);
    book = dismiss(book, ["a"]);
    expect(listed(follow(book, [matter("a", 2)], 2).book)).toEqual([]);
    expect(follow(book, [matter("a", 3)], 3).news).toMatchObject([{ key: "a", isRead: false }]);
    const over = follow(book, [], 4).book;
    expect(over.entries.size).toBe(0);
    expect(keys(follow(over, [matter("a", 2)], 5).news)).toEqual(["a"]);
  });

  it("leaves out what sleeps until its time, and forgets what is long over", () => {
    const book = snooze(follow(NOTHING, [matter("a")], 1).book, ["a"], 100);
    expect(needingPerson(listed(book), 50)).toBe(0);
    expect(needingPerson(listed(book), 101)).toBe(1);
    expect(markRead(book, []).entries.get("a")?.isRead).toBe(true);
    const over = follow(book, [], 10).book;
    expect(over.entries.size).toBe(1);
    expect(follow(over, [], 10 + KEEP_MS + 1).book.entries.size).toBe(0);
  });

  it("stays bounded with ten thousand matters, and keeps the open ones", () => {
    const many = Array.from({ length: 10_000 }, (_, index) => matter(`m${index}`));
    expect(follow(NOTHING, many, 1).book.entries.size).toBe(500);
  });
});

describe("what the desktop is told", () => {
  const entries = (count: number, urgency: 2 | 3 = 3) => [
    ...follow(
      NOTHING,
      Array.from({ length: count }, (_, index) => matter(`m${index}`, urgency)),
      1,
    ).news,
  ];
  const wishes = withDefaults({ "notifications.perMinute": 3 });

  it("is as much as the person wants, and never more in a minute", () => {
    expect(tellDesktop([], entries(2, 2), wishes, 1, 0)).toEqual([]);
    expect(tellDesktop([], entries(2, 2), { ...wishes, "notifications.desktop": "all" }, 1, 0)).toHaveLength(2);
    expect(tellDesktop([], entries(2), { ...wishes, "notifications.desktop": "off" }, 1, 0)).toEqual([]);
    const notes = tellDesktop([], entries(50), wishes, 1, 0);
    expect(notes.map(({ title }) => title)).toEqual(["about m0", "about m1", "48 more things need a look"]);
    expect(tellDesktop(notes, entries(5), wishes, 2, 0)).toHaveLength(3);
    expect(tellDesktop(notes, entries(1), wishes, 60_002, 0).map(({ id }) => id)).toEqual([1, 2, 3, 4]);
  });

  it("is nothing in quiet hours, also over midnight", () => {
    const quiet = { ...wishes, "notifications.quietHours": "22:00-07:00" } as const;
    expect(tellDesktop([], entries(1), quiet, 1, 23 * 60)).toEqual([]);
    expect(tellDesktop([], entries(1), quiet, 1, 12 * 60)).toHaveLength(1);
    expect([21 * 60 + 59, 22 * 60, 0, 6 * 60 + 59, 7 * 60].map((minute) => isQuiet("22:00-07:00", minute))).toEqual([
      ...[false, true, true, true, false],
    ]);
    expect(isQuiet("09:00-17:00", 12 * 60)).toBe(true);
    expect(isQuiet("", 12 * 60)).toBe(false);
  });
});

describe("Notifications", () => {
  let stateDir: string;
  let store: Store;
  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), "wardline-notifications-"));
    store = new Store({ stateDir, logger: silentLogger });
  });
  afterEach(() => {
    store.close();
    rmSync(stateDir, { recursive: true, force: true });
  });

  it("keep what is unread over a restart, and two processes agree", () => {
    let matters = [matter("a", 3)];
    const told: DesktopNotification[] = [];
    const shell = { notify: async (note: DesktopNotification) => void told.push(note) };
    const start = () => {
      const ports = { values: () => withDefaults({}), clock: systemClock, logger: silentLogger };
      return new Notifications({ store, settings: new SettingsTable(store), matters: () => matters, shell, ...ports });
    };
    const [one, other] = [start(), start()];
    for (const each of [one, other, one]) each.look();
    expect(told.map(({ title }) => title)).toEqual(["about a"]);
    expect(start().list()).toMatchObject({ unread: 1, needingPerson: 1, desktop: [] });
    other.apply((book) => dismiss(book, []));
    const seen = one.changes.version;
    one.look();
    expect(one.changes.version).toBeGreaterThan(seen);
    expect(one.list().notifications).toEqual([]);
    matters = [];
    one.look();
  });
});

it("a console lists a settings file with a mistake, and no longer when it is mended", async () => {
  const tester = startTestConsole(undefined, { collectFlows: true });
  try {
    const leaving = new AbortController();
    const { writeFileSync, mkdirSync } = await import("node:fs");
    mkdirSync(join(tester.stateDir, "config"), { recursive: true });
    writeFileSync(join(tester.stateDir, "config/settings.yaml"), "display: [");
    const openOf = () =>
      tester.backend.notifications
        .list()
        .notifications.filter(({ open }) => open)
        .map(({ key }) => key);
    await expect.poll(openOf, { timeout: 15_000 }).toContain("settings/problems");
    writeFileSync(join(tester.stateDir, "config/settings.yaml"), "display: {}\n");
    await expect.poll(openOf, { timeout: 15_000 }).not.toContain("settings/problems");
    leaving.abort();
  } finally {
    await tester.close();
  }
});
