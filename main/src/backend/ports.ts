/** What the backend needs from outside: time, logs, and the shell around it. Nothing here knows Electron or a browser. */

import type { SettingsValues } from "@wardline/domain/settings";

export interface Clock {
  nowMs(): number;
  /** Resolves after the delay, or early when the signal aborts (it never rejects). */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** The part of pino that the backend uses. Never log policy text, file content or tokens. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The shell around the backend. Native things are asked for through it and are optional. */
export interface ShellPort {
  readonly kind: "browser" | "electron" | "cli";
  /** Keeps secrets out of files; absent where the shell has no keyring. */
  readonly secrets?: SecretsPort;
  /** Shows something on the desktop; absent where the windows are pages of a browser, which show it themselves. */
  notify?(notification: DesktopNotification): Promise<void>;
  /** Called at once and whenever a setting in force changes. */
  followSettings?(values: SettingsValues): void;
}

/** Plain text; the shell draws no markup from it. */
export interface DesktopNotification {
  readonly title: string;
  readonly body: string;
  /** One that is shown already is replaced. */
  readonly tag: string;
  readonly isUrgent: boolean;
}

export interface SecretsPort {
  /** `plain` means that the platform would write the secret readable: the person must be asked first. */
  protection(): Promise<"keyring" | "plain" | "none">;
  encrypt(text: string): Promise<Uint8Array>;
  decrypt(sealed: Uint8Array): Promise<string>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (delayMs, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, delayMs);
      signal?.addEventListener("abort", done, { once: true });
    }),
};

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
