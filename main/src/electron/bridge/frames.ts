/**
 * HTTP over a message port: how the page's calls reach the backend in its own process, without a socket that other
 * programs could connect to. One request is one exchange with a number; bodies of answers are streams with credit, so
 * that a slow page does not make a queue in between.
 */

export type Header = readonly [name: string, value: string];

/** From the shell to the backend. */
export type RequestFrame =
  | {
      readonly type: "request";
      readonly id: number;
      readonly method: string;
      /** Below the prefix: `/wardline.console.v1.HostService/WatchHosts`. */
      readonly path: string;
      readonly headers: readonly Header[];
      readonly body: Uint8Array | null;
    }
  /** The page can take one more chunk. */
  | { readonly type: "credit"; readonly id: number }
  | { readonly type: "cancel"; readonly id: number }
  | { readonly type: "close" };

/** From the backend to the shell. */
export type ResponseFrame =
  | { readonly type: "ready" }
  /** The backend cannot run; the text is for people. */
  | { readonly type: "failed"; readonly message: string; readonly hint: string }
  | { readonly type: "head"; readonly id: number; readonly status: number; readonly headers: readonly Header[] }
  | { readonly type: "chunk"; readonly id: number; readonly data: Uint8Array }
  | { readonly type: "end"; readonly id: number }
  | { readonly type: "error"; readonly id: number; readonly message: string };

/** One side of the channel: a `parentPort`, a `UtilityProcess`, or a `MessagePort` in tests. */
export interface BridgePort<Outgoing> {
  post(frame: Outgoing): void;
  /** Frames as they come: not validated yet. */
  onFrame(listener: (frame: unknown) => void): void;
}

/** Chunks that may be under way without the page having asked. */
export const INITIAL_CREDIT = 8;
export const MAX_BODY_BYTES = 32 * 1024 * 1024;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isHeaders(value: unknown): value is Header[] {
  return Array.isArray(value) && value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isText));
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** `null` for anything that is not a frame: types do not survive the border between processes. */
export function readRequestFrame(value: unknown): RequestFrame | null {
  if (!isRecord(value)) return null;
  if (value.type === "close") return { type: "close" };
  const { id } = value;
  if (!Number.isSafeInteger(id) || typeof id !== "number") return null;
  if (value.type === "credit" || value.type === "cancel") return { type: value.type, id };
  const { method, path, headers, body } = value;
  if (value.type !== "request" || !isText(method) || !isText(path) || !isHeaders(headers)) return null;
  if (body !== null && !(body instanceof Uint8Array && body.byteLength <= MAX_BODY_BYTES)) return null;
  return { type: "request", id, method, path, headers, body };
}

export function readResponseFrame(value: unknown): ResponseFrame | null {
  if (!isRecord(value)) return null;
  if (value.type === "ready") return { type: "ready" };
  const { id, message, hint, status, headers, data } = value;
  if (value.type === "failed" && isText(message) && isText(hint)) return { type: "failed", message, hint };
  if (!Number.isSafeInteger(id) || typeof id !== "number") return null;
  if (value.type === "end") return { type: "end", id };
  if (value.type === "error" && isText(message)) return { type: "error", id, message };
  if (value.type === "chunk" && data instanceof Uint8Array) return { type: "chunk", id, data };
  if (value.type === "head" && typeof status === "number" && isHeaders(headers)) {
    return { type: "head", id, status, headers };
  }
  return null;
}
