import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/notifications";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Clock } from "../ports.ts";
import type { Guard } from "../rpc/guard.ts";
import { dismiss, MOST_ENTRIES, markRead, snooze } from "./notification-book.ts";
import type { Notifications } from "./notifications.ts";

const LONGEST_SNOOZE_MS = 31 * 86_400_000;

export class NotificationServiceImpl {
  readonly #notifications: Notifications;
  readonly #clock: Clock;

  constructor(notifications: Notifications, clock: Clock) {
    this.#notifications = notifications;
    this.#clock = clock;
  }

  routes(guard: Guard): ServiceImpl<typeof wire.NotificationService> {
    return {
      dismissNotifications: guard.unary(({ keys }: wire.DismissNotificationsRequest) => {
        this.#notifications.apply((book) => dismiss(book, bounded(keys)));
        return create(wire.DismissNotificationsResponseSchema);
      }),
      snoozeNotifications: guard.unary((request: wire.SnoozeNotificationsRequest) => this.#snooze(request)),
      markNotificationsRead: guard.unary(({ keys }: wire.MarkNotificationsReadRequest) => {
        this.#notifications.apply((book) => markRead(book, bounded(keys)));
        return create(wire.MarkNotificationsReadResponseSchema);
      }),
    };
  }

  #snooze({ keys, until }: wire.SnoozeNotificationsRequest) {
    const untilMs = until ? timestampMs(until) : 0;
    const aheadMs = untilMs - this.#clock.nowMs();
    if (keys.length === 0 || aheadMs <= 0 || aheadMs > LONGEST_SNOOZE_MS)
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: "Say what to leave out, and until when: up to 31 days from now.",
      });
    this.#notifications.apply((book) => snooze(book, bounded(keys), untilMs));
    return create(wire.SnoozeNotificationsResponseSchema);
  }
}

function bounded(keys: readonly string[]): readonly string[] {
  if (keys.length <= MOST_ENTRIES) return keys;
  throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: `At most ${MOST_ENTRIES} entries at once.` });
}
