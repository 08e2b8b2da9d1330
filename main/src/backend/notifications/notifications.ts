/**
 * Keeps the list behind the bell in the store, so that every window and the next start have it. Several processes may do so
 * at once: each reads the list anew before it changes it, in one transaction.
 */

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as wire from "@wardline/api/wardline/console/v1/notifications";
import type { SettingsValues } from "@wardline/domain/settings";
import { ChangeSignal } from "../async/signal.ts";
import type { Clock, Logger, ShellPort } from "../ports.ts";
import type { SettingsTable } from "../store/settings-table.ts";
import type { Store } from "../store/store.ts";
import { type DesktopNote, tellDesktop } from "./desktop-notes.ts";
import type { Matter } from "./matter.ts";
import { type Book, type Entry, followMatters, listed, needingPerson } from "./notification-book.ts";

const KEPT_IN = "notifications";
const LOOK_MS = 2_000;
const DAY_MS = 86_400_000;
const MOST_LISTED = 200;

export interface NotificationPorts {
  readonly store: Store;
  readonly settings: SettingsTable;
  readonly values: () => SettingsValues;
  readonly matters: () => readonly Matter[];
  readonly shell: Pick<ShellPort, "notify">;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class Notifications {
  readonly changes = new ChangeSignal();
  readonly #ports: NotificationPorts;
  #seen = "";
  #notes: readonly DesktopNote[] = [];

  constructor(ports: NotificationPorts) {
    this.#ports = ports;
  }

  /** Looks every two seconds until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.look();
      await this.#ports.clock.sleep(LOOK_MS, signal);
    }
  }

  /** Takes up what is so now. */
  look(): void {
    const { clock, matters, values } = this.#ports;
    const nowMs = clock.nowMs();
    const current = matters();
    const keepMs = values()["notifications.keepDays"] * DAY_MS;
    const { news } = this.#change((book) => followMatters(book, current, nowMs, keepMs));
    this.#tell(news, nowMs);
    // Also what ran out by the clock, and what another process has changed.
    const seen = `${this.#ports.settings.text(KEPT_IN)} ${needingPerson(this.#entries(), nowMs)} ${this.#notes.length}`;
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.changes.notify();
  }

  /** What a person does with entries. */
  apply(change: (book: Book) => Book): void {
    this.#change((book) => ({ book: change(book), news: [], hasChanged: true }));
    this.look();
  }

  list(): wire.NotificationList {
    const nowMs = this.#ports.clock.nowMs();
    const entries = this.#entries();
    return create(wire.NotificationListSchema, {
      notifications: entries.slice(0, MOST_LISTED).map(toWire),
      needingPerson: needingPerson(entries, nowMs),
      unread: entries.filter(({ isRead }) => !isRead).length,
      desktop: this.#ports.shell.notify
        ? []
        : this.#notes.map(({ id, title, body, tag, isUrgent, place }) => ({
            id: BigInt(id),
            title,
            body,
            tag,
            urgent: isUrgent,
            place,
          })),
    });
  }

  #entries(): readonly Entry[] {
    return listed(read(this.#ports.settings.text(KEPT_IN)));
  }

  #change<Result extends { readonly book: Book; readonly hasChanged: boolean }>(
    change: (book: Book) => Result,
  ): Result {
    const { store, settings } = this.#ports;
    const planned = change(read(settings.text(KEPT_IN)));
    if (!planned.hasChanged) return planned;
    return store.transaction(() => {
      const result = change(read(settings.text(KEPT_IN)));
      if (result.hasChanged) settings.set(KEPT_IN, JSON.stringify([...result.book.entries.values()]));
      return result;
    });
  }

  #tell(news: readonly Entry[], nowMs: number): void {
    const { values, shell, logger } = this.#ports;
    const local = new Date(nowMs);
    const before = new Set(this.#notes.map(({ id }) => id));
    this.#notes = tellDesktop(this.#notes, news, values(), nowMs, local.getHours() * 60 + local.getMinutes());
    if (!shell.notify) return;
    for (const { id, title, body, tag, isUrgent } of this.#notes) {
      if (before.has(id)) continue;
      shell.notify({ title, body, tag, isUrgent }).catch((error: unknown) => {
        logger.warn({ problem: String(error) }, "the desktop did not take a notification");
      });
    }
  }
}

function read(text: string | null): Book {
  try {
    const entries = JSON.parse(text ?? "[]") as Entry[];
    return { entries: new Map(entries.map((entry) => [entry.key, entry])) };
  } catch {
    return { entries: new Map() };
  }
}

const SOURCES = {
  pending: wire.NotificationSource.PENDING,
  rollout: wire.NotificationSource.ROLLOUT,
  host: wire.NotificationSource.HOST,
  anomaly: wire.NotificationSource.ANOMALY,
  alert: wire.NotificationSource.ALERT,
  mesh: wire.NotificationSource.MESH,
  settings: wire.NotificationSource.SETTINGS,
  audit: wire.NotificationSource.AUDIT,
  question: wire.NotificationSource.QUESTION,
} as const;

function toWire(entry: Entry) {
  const { key, source, urgency, title, body, hostId, hostName, count, isOpen, isRead, place } = entry;
  const { firstAtMs, lastAtMs, snoozedUntilMs, deadlineMs } = entry;
  return {
    ...{ key, source: SOURCES[source], urgency: urgency as wire.NotificationUrgency, title, body, hostId, hostName },
    ...{ count, open: isOpen, read: isRead, place },
    firstAt: timestampFromMs(firstAtMs),
    lastAt: timestampFromMs(lastAtMs),
    ...(snoozedUntilMs === null ? {} : { snoozedUntil: timestampFromMs(snoozedUntilMs) }),
    ...(deadlineMs === null ? {} : { deadline: timestampFromMs(deadlineMs) }),
  };
}
