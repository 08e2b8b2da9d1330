/** The backend's end of the bridge: answers frames with the services of a Connect router. */
import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import { createFetchHandler } from "@connectrpc/connect/protocol";
import {
  type BridgePort,
  type Header,
  INITIAL_CREDIT,
  MAX_BODY_BYTES,
  type RequestFrame,
  type ResponseFrame,
  readRequestFrame,
} from "./frames.ts";

const BASE_URL = "http://wardline.invalid";
const MAX_EXCHANGES = 256;

interface Exchange {
  readonly abort: AbortController;
  credit: number;
  wake: (() => void) | null;
}

/**
 * Serves until the process ends.
 * @param onClose called when the shell asks the backend to end
 */
export function serveBridge(
  port: BridgePort<ResponseFrame>,
  routes: (router: ConnectRouter) => void,
  onClose: () => void,
): void {
  const router = createConnectRouter({ readMaxBytes: MAX_BODY_BYTES });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, createFetchHandler(handler)]));
  const exchanges = new Map<number, Exchange>();

  const answer = async (frame: Extract<RequestFrame, { type: "request" }>, exchange: Exchange): Promise<void> => {
    const { id } = frame;
    try {
      const handler = handlers.get(frame.path);
      const response = handler
        ? await handler(toRequest(frame, exchange.abort.signal))
        : new Response("no such method", { status: 404 });
      const headers: Header[] = [...response.headers];
      port.post({ type: "head", id, status: response.status, headers });
      if (response.body) await sendBody(port, id, exchange, response.body);
      port.post({ type: "end", id });
    } catch (error) {
      if (!exchange.abort.signal.aborted) {
        port.post({ type: "error", id, message: error instanceof Error ? error.message : String(error) });
      }
    } finally {
      exchanges.delete(id);
    }
  };

  port.onFrame((value) => {
    const frame = readRequestFrame(value);
    if (!frame) return;
    if (frame.type === "close") return onClose();
    const exchange = exchanges.get(frame.id);
    if (frame.type === "request") {
      if (exchange) return;
      if (exchanges.size >= MAX_EXCHANGES) {
        port.post({ type: "error", id: frame.id, message: "too many calls at once" });
        return;
      }
      const opened: Exchange = { abort: new AbortController(), credit: INITIAL_CREDIT, wake: null };
      exchanges.set(frame.id, opened);
      void answer(frame, opened);
    } else if (exchange) {
      if (frame.type === "cancel") exchange.abort.abort();
      else exchange.credit++;
      exchange.wake?.();
    }
  });
}

function toRequest(frame: Extract<RequestFrame, { type: "request" }>, signal: AbortSignal): Request {
  const headers = frame.headers.map(([name, value]): [string, string] => [name, value]);
  const body = frame.body === null ? null : new Uint8Array(frame.body);
  return new Request(`${BASE_URL}${frame.path}`, { method: frame.method, headers, body, signal });
}

async function sendBody(
  port: BridgePort<ResponseFrame>,
  id: number,
  exchange: Exchange,
  body: ReadableStream<Uint8Array>,
): Promise<void> {
  const reader = body.getReader();
  const { signal } = exchange.abort;
  signal.addEventListener("abort", () => void reader.cancel().catch(() => {}), { once: true });
  for (;;) {
    const { done, value } = await reader.read();
    if (done || signal.aborted) return;
    while (exchange.credit <= 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        exchange.wake = resolve;
      });
    }
    exchange.credit--;
    port.post({ type: "chunk", id, data: value });
  }
}
