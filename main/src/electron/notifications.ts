/** Notifications of alerts, from the backend's process to the desktop and the answer back. */
import type { DesktopNotification, Logger } from "../backend/ports.ts";
import type { ElectronModules } from "./electron-modules.ts";

const ANSWER_LIMIT_MS = 5_000;
const LONGEST_TITLE = 200;
const LONGEST_BODY = 2_000;
/** The backend groups and limits already; a defect there must not fill the desktop. */
const MOST_PER_MINUTE = 30;

interface Port {
  post(message: unknown): void;
  onFrame(listener: (message: unknown) => void): void;
}

/** The backend's side: settles once the shell has said whether the desktop took it. */
export function notifyThrough(port: Port): (notification: DesktopNotification) => Promise<void> {
  const waiting = new Map<number, (problem: string) => void>();
  let nextId = 1;
  port.onFrame((message) => {
    if (!isRecord(message) || message.type !== "notified" || typeof message.notification !== "number") return;
    waiting.get(message.notification)?.(typeof message.problem === "string" ? message.problem : "");
  });
  return (notification) =>
    new Promise((resolve, reject) => {
      const number = nextId++;
      const settle = (problem: string) => {
        clearTimeout(timer);
        waiting.delete(number);
        if (problem === "") resolve();
        else reject(new Error(problem));
      };
      const timer = setTimeout(() => settle("the shell did not answer"), ANSWER_LIMIT_MS);
      waiting.set(number, settle);
      port.post({ type: "notify", notification: number, ...notification });
    });
}

export interface NotifierOptions {
  readonly notifications: ElectronModules["notifications"];
  readonly logger: Logger;
  /** The person clicked one. */
  readonly onClick: () => void;
}

/** The shell's side. Types do not survive the border between processes: what is none is dropped. */
export class Notifier {
  readonly #options: NotifierOptions;
  #shownAtMs: number[] = [];

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  serve(port: Port): void {
    port.onFrame((message) => {
      if (!isRecord(message) || message.type !== "notify" || typeof message.notification !== "number") return;
      port.post({ type: "notified", notification: message.notification, problem: this.#show(message) });
    });
  }

  /** Why it was not shown; empty when it was handed over. */
  #show({ title, body, isUrgent }: Record<string, unknown>): string {
    const { notifications, logger, onClick } = this.#options;
    if (typeof title !== "string" || typeof body !== "string") return "it is no notification";
    if (!notifications.isSupported()) return "this desktop shows no notifications";
    const now = performance.now();
    this.#shownAtMs = this.#shownAtMs.filter((atMs) => now - atMs < 60_000);
    if (this.#shownAtMs.length >= MOST_PER_MINUTE) return "there were too many in the last minute";
    this.#shownAtMs.push(now);
    try {
      const urgency = isUrgent === true ? "critical" : "normal";
      notifications.show({ title: title.slice(0, LONGEST_TITLE), body: body.slice(0, LONGEST_BODY), urgency }, onClick);
      return "";
    } catch (error) {
      logger.warn({ err: error }, "notification not shown");
      return error instanceof Error ? error.message : String(error);
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
