/** What windows are shown of alerts: whole, whenever it has changed, in this process or in another one on the store. */
import { create, equals } from "@bufbuild/protobuf";
import { type AlertBoard, AlertBoardSchema } from "@wardline/api/wardline/console/v1/alerts";
import { type Alert, byUrgency } from "@wardline/domain/alerts";
import { Failure } from "@wardline/domain/errors";
import { timestampOf } from "@wardline/domain/wire";
import type { ChangeSignal } from "../async/signal.ts";
import type { Clock, Logger, ShellPort } from "../ports.ts";
import type { SettingsTable } from "../store/settings-table.ts";
import type { Store } from "../store/store.ts";
import { DELIVERED_BY } from "./alert-runner.ts";
import type { AlertTables, StoredNotification } from "./alert-tables.ts";
import { toWireAlert, toWireReceiver, toWireRule, toWireSilence } from "./alert-wire.ts";
import type { ConfigurationTables } from "./configuration-tables.ts";
import type { ReceiverSecrets } from "./secrets.ts";

const MOST_SHOWN = 500;
const MOST_NOTIFICATIONS = 20;
/** What a window that opens now is still shown. */
const NOTIFICATIONS_SHOWN_MS = 300_000;
/** How soon what another process did is seen. */
const POLL_MS = 1_000;
const SLOWEST_MS = 10_000;

export interface AlertBoardPorts {
  readonly store: Store;
  readonly tables: AlertTables;
  readonly configuration: ConfigurationTables;
  readonly secrets: ReceiverSecrets;
  readonly settings: SettingsTable;
  readonly shell: Pick<ShellPort, "notify">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly runner: {
    readonly isDelivering: boolean;
    readonly problems: readonly string[];
    readonly changes: ChangeSignal;
  };
  /** The process that holds the lease now; empty = none. */
  readonly holder: () => string;
}

export class AlertBoardView {
  readonly #ports: AlertBoardPorts;

  constructor(ports: AlertBoardPorts) {
    this.#ports = ports;
  }

  /** @throws Failure of the store */
  board(): AlertBoard {
    const { tables, configuration, secrets, settings, clock, runner, holder } = this.#ports;
    const open = tables.open().filter(({ state }) => state !== "resolved");
    const shown = open.sort(byState).slice(0, MOST_SHOWN);
    const isHeld = runner.isDelivering || holder() !== "";
    const problems = [...runner.problems];
    if (open.length > MOST_SHOWN) {
      problems.push(`${open.length.toLocaleString("en")} alerts are open; the ${MOST_SHOWN} worst are shown.`);
    }
    if (!isHeld) problems.push("No process evaluates alerts now: nobody is told of anything.");
    return create(AlertBoardSchema, {
      alerts: shown.map((alert) => toWireAlert(alert, tables.deliveriesOf(alert.id))),
      rules: configuration.rules().map(toWireRule),
      receivers: configuration
        .receivers()
        .map((receiver) =>
          toWireReceiver(receiver, secrets.placeOf(receiver.name), tables.lastDelivery(receiver.name)),
        ),
      silences: configuration
        .silences()
        .filter(({ untilMs }) => untilMs > clock.nowMs())
        .map(toWireSilence),
      isDelivering: runner.isDelivering,
      deliveredBy: isHeld ? (settings.text(DELIVERED_BY) ?? "") : "",
      problems,
      notifications: tables
        .notifications(clock.nowMs(), MOST_NOTIFICATIONS)
        .filter(this.#isShown)
        .map(toWireNotification),
      allowedUrls: configuration.allowedUrls(),
    });
  }

  /** At once, then after each change. Who watches is a window: it takes what waits to be shown. */
  async *watch(signal: AbortSignal): AsyncGenerator<AlertBoard> {
    const { store, clock, runner, logger } = this.#ports;
    let sent: AlertBoard | null = null;
    let known = "";
    while (!signal.aborted) {
      const seen = runner.changes.version;
      // What was said here, by other processes, and by nobody: a silence or a notification that is over.
      const now = `${seen} ${store.dataVersion()} ${Math.floor(clock.nowMs() / SLOWEST_MS)}`;
      try {
        if (now !== known) {
          await this.#takeNotifications();
          const board = this.board();
          if (sent === null || !equals(AlertBoardSchema, sent, board)) yield board;
          sent = board;
        }
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        logger.warn({ code: error.code, problem: error.message }, "alerts not read");
      }
      known = now;
      await clock.sleep(POLL_MS / 4, signal);
      await runner.changes.wait(seen, (POLL_MS * 3) / 4, signal);
    }
  }

  readonly #isShown = ({ madeAtMs, takenAtMs }: StoredNotification): boolean =>
    takenAtMs !== null && this.#ports.clock.nowMs() - madeAtMs < NOTIFICATIONS_SHOWN_MS;

  /** The desktop's own shell shows them itself; pages find them on the board. */
  async #takeNotifications(): Promise<void> {
    const { tables, shell, clock, logger } = this.#ports;
    const now = clock.nowMs();
    for (const waiting of tables.notifications(now, MOST_NOTIFICATIONS)) {
      if (waiting.takenAtMs !== null || !tables.takeNotification(waiting.id, now) || !shell.notify) continue;
      const { title, body, tag, isUrgent } = waiting;
      await shell.notify({ title, body, tag, isUrgent: isUrgent === 1 }).catch((error: unknown) => {
        logger.warn({ problem: String(error) }, "the desktop did not take a notification");
      });
    }
  }
}

/** Firing before pending, and the worst first. */
function byState(one: Alert, other: Alert): number {
  if (one.state !== other.state) return one.state === "firing" ? -1 : 1;
  return byUrgency(one, other);
}

function toWireNotification({ id, title, body, tag, isUrgent, madeAtMs }: StoredNotification) {
  return { id: BigInt(id), title, body, tag, isUrgent: isUrgent === 1, time: timestampOf(madeAtMs) };
}
