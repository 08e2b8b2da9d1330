/** The shell's end of the bridge: turns a `Request` of the page into frames, and frames into a `Response`. */
import { type BridgePort, MAX_BODY_BYTES, type RequestFrame, type ResponseFrame, readResponseFrame } from "./frames.ts";

interface Exchange {
  readonly onHead: (response: Response) => void;
  readonly onFailure: (error: Error) => void;
  readonly body: ReadableStream<Uint8Array>;
  stream: ReadableStreamDefaultController<Uint8Array> | null;
  answered: boolean;
}

/** Statuses that have no body. */
const BODILESS = new Set([204, 205, 304]);

export class BridgeClient {
  readonly #port: BridgePort<RequestFrame>;
  readonly #exchanges = new Map<number, Exchange>();
  #nextId = 1;
  #closed: Error | null = null;

  constructor(port: BridgePort<RequestFrame>) {
    this.#port = port;
    port.onFrame((value) => {
      const frame = readResponseFrame(value);
      if (frame) this.#receive(frame);
    });
  }

  /** Sends a call. Aborting its signal, or cancelling the body of the answer, ends it on the other side too. */
  async fetch(path: string, request: Request): Promise<Response> {
    const body = request.body ? new Uint8Array(await request.arrayBuffer()) : null;
    if (body && body.byteLength > MAX_BODY_BYTES) return new Response("too large", { status: 413 });
    if (this.#closed) throw this.#closed;
    const id = this.#nextId++;
    const headers = [...request.headers];
    return new Promise((resolve, reject) => {
      this.#open(id, resolve, reject);
      request.signal.addEventListener("abort", () => this.#cancel(id, new Error("the page has gone")), { once: true });
      this.#port.post({ type: "request", id, method: request.method, path, headers, body });
    });
  }

  /** Ends every open call: the backend has gone. */
  fail(error: Error): void {
    this.#closed = error;
    for (const id of [...this.#exchanges.keys()]) this.#end(id, error);
  }

  #open(id: number, onHead: (response: Response) => void, onFailure: (error: Error) => void): void {
    let stream: ReadableStreamDefaultController<Uint8Array> | null = null;
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          stream = controller;
        },
        pull: () => {
          if (this.#exchanges.has(id)) this.#port.post({ type: "credit", id });
        },
        cancel: () => this.#cancel(id, null),
      },
      // The other side may send this much unasked; `pull` adds one for each chunk that the page has taken.
      { highWaterMark: 1 },
    );
    this.#exchanges.set(id, { onHead, onFailure, body, stream, answered: false });
  }

  #receive(frame: ResponseFrame): void {
    if (frame.type === "ready" || frame.type === "failed") return;
    const exchange = this.#exchanges.get(frame.id);
    if (!exchange) return;
    switch (frame.type) {
      case "head": {
        exchange.answered = true;
        const headers = frame.headers.map(([name, value]): [string, string] => [name, value]);
        exchange.onHead(
          new Response(BODILESS.has(frame.status) ? null : exchange.body, { status: frame.status, headers }),
        );
        break;
      }
      case "chunk":
        exchange.stream?.enqueue(frame.data);
        break;
      case "end":
        this.#end(frame.id, null);
        break;
      case "error":
        this.#end(frame.id, new Error(frame.message));
    }
  }

  #cancel(id: number, error: Error | null): void {
    if (!this.#exchanges.has(id)) return;
    this.#port.post({ type: "cancel", id });
    this.#end(id, error);
  }

  #end(id: number, error: Error | null): void {
    const exchange = this.#exchanges.get(id);
    if (!exchange) return;
    this.#exchanges.delete(id);
    if (!exchange.answered) exchange.onFailure(error ?? new Error("the backend ended the call without an answer"));
    try {
      if (error) exchange.stream?.error(error);
      else exchange.stream?.close();
    } catch {
      // The page has cancelled the stream already.
    }
  }
}
