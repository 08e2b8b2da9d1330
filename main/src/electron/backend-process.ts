/** The backend in a process of its own: started by the shell with `utilityProcess`, reached over its parent port only. */
import { userInfo } from "node:os";
import { Failure } from "@wardline/domain/errors";
import { pino } from "pino";
import { createBackend } from "../backend/backend.ts";
import { serveBridge } from "./bridge/bridge-server.ts";
import type { BridgePort, ResponseFrame } from "./bridge/frames.ts";
import { desktopSettingsOf } from "./desktop-settings.ts";
import { notifyThrough } from "./notifications.ts";

/** The part of `process.parentPort` that is used. */
export interface ParentPort {
  postMessage(message: unknown): void;
  on(event: "message", listener: (event: { data: unknown }) => void): unknown;
}

export interface BackendProcessOptions {
  readonly stateDir: string;
  readonly agentSocketPath: string;
}

/** @param end called when the shell asks for the end, after everything is closed */
export function runBackendProcess(
  parentPort: ParentPort,
  options: BackendProcessOptions,
  end: (code: number) => void,
): void {
  const port: BridgePort<ResponseFrame> = {
    post: (frame) => parentPort.postMessage(frame),
    onFrame: (listener) => void parentPort.on("message", (event) => listener(event.data)),
  };
  const notices = {
    post: (message: unknown) => parentPort.postMessage(message),
    onFrame: (listener: (message: unknown) => void) => void parentPort.on("message", (event) => listener(event.data)),
  };
  try {
    const backend = createBackend({
      ...options,
      logger: pino({ name: "backend" }, pino.destination(2)),
      shell: {
        kind: "electron",
        notify: notifyThrough(notices),
        followSettings: (values) => parentPort.postMessage(desktopSettingsOf(values)),
      },
      userName: userInfo().username,
    });
    serveBridge(
      port,
      (router) => backend.routes(router),
      () => void backend.close().then(() => end(0)),
    );
    port.post({ type: "ready" });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    port.post({ type: "failed", message, hint: error instanceof Failure ? error.hint : "" });
    end(1);
  }
}
