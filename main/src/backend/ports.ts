/** What the backend needs from outside: time, logs, and the shell around it. Nothing here knows Electron or a browser. */

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
