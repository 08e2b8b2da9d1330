/** Keeps the backend process running and holds the bridge to it. */
import type { Logger } from "../backend/ports.ts";
import { BridgeClient } from "./bridge/bridge-client.ts";
import { type BridgePort, type RequestFrame, readResponseFrame } from "./bridge/frames.ts";
import { type DesktopSettings, readDesktopSettings } from "./desktop-settings.ts";
import type { ChildPart, ElectronModules } from "./electron-modules.ts";
import type { Notifier } from "./notifications.ts";

const FIRST_RESTART_MS = 500;
const LONGEST_RESTART_MS = 30_000;
/** After this time without an end, a start counts as good. */
const STABLE_AFTER_MS = 60_000;
const KEPT_LAST_WORDS = 25;

export interface SupervisorOptions {
  readonly utilityProcess: ElectronModules["utilityProcess"];
  readonly entryPath: string;
  readonly args: readonly string[];
  readonly logger: Logger;
  /** The backend said why it cannot run: starting it again would not help. */
  readonly onFailed: (message: string, hint: string) => void;
  /** Shows what the backend has to tell the person. */
  readonly notifier: Pick<Notifier, "serve">;
  /** The settings of the desktop, at once and whenever they change. */
  readonly onSettings: (settings: DesktopSettings) => void;
}

export class BackendSupervisor {
  readonly #options: SupervisorOptions;
  #bridge: BridgeClient | null = null;
  #child: ChildPart | null = null;
  #restarts = 0;
  #stopping = false;
  #hasFailed = false;
  #timer: NodeJS.Timeout | null = null;
  readonly #lastWords: string[] = [];

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  start(): void {
    const { utilityProcess, entryPath, args, logger } = this.#options;
    const startedAtMs = performance.now();
    const child = utilityProcess.fork(entryPath, [...args], {
      serviceName: "Wardline backend",
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    child.stderr?.on("data", (chunk: Buffer) => this.#remember(chunk));
    const port: BridgePort<RequestFrame> = {
      post: (frame) => child.postMessage(frame),
      onFrame: (listener) => void child.on("message", listener),
    };
    this.#options.notifier.serve({
      post: (message) => child.postMessage(message),
      onFrame: (listener) => void child.on("message", listener),
    });
    child.on("message", (message) => {
      const settings = readDesktopSettings(message);
      if (settings) this.#options.onSettings(settings);
    });
    const bridge = new BridgeClient(port);
    this.#bridge = bridge;
    port.onFrame((value) => {
      const frame = readResponseFrame(value);
      if (frame?.type !== "failed") return;
      this.#hasFailed = true;
      this.#options.onFailed(frame.message, frame.hint);
    });
    child.on("exit", (code) => {
      bridge.fail(new Error("the backend has ended and is started again"));
      if (this.#stopping || this.#hasFailed) return;
      logger.error({ code, lastWords: this.#lastWords.slice(-KEPT_LAST_WORDS) }, "backend ended");
      if (performance.now() - startedAtMs > STABLE_AFTER_MS) this.#restarts = 0;
      const delayMs = Math.min(LONGEST_RESTART_MS, FIRST_RESTART_MS * 2 ** this.#restarts++);
      this.#timer = setTimeout(() => this.start(), delayMs);
    });
  }

  call(path: string, request: Request): Promise<Response> {
    if (!this.#bridge) return Promise.reject(new Error("the backend is not started"));
    return this.#bridge.fetch(path, request);
  }

  /** Lets the backend close its store, then ends it. */
  async stop(graceMs = 3000): Promise<void> {
    this.#stopping = true;
    if (this.#timer) clearTimeout(this.#timer);
    const child = this.#child;
    if (!child) return;
    const ended = new Promise<void>((resolve) => child.on("exit", () => resolve()));
    child.postMessage({ type: "close" });
    const timer = setTimeout(() => child.kill(), graceMs);
    await ended;
    clearTimeout(timer);
  }

  #remember(chunk: Buffer): void {
    this.#lastWords.push(chunk.toString("utf8").slice(0, 2000));
    if (this.#lastWords.length > KEPT_LAST_WORDS) this.#lastWords.shift();
  }
}
