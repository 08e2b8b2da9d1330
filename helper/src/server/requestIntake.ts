/**
 * Requests that still arrive: each is kept in memory until it is whole, and whoever sends it may take as long as they like. So
 * everybody has a share of memory for them, and what comes beyond it is refused before a byte of it is read.
 */
import type { Http2ServerRequest, ServerHttp2Stream } from "node:http2";
import { Code } from "@connectrpc/connect";
import { METHOD_RULES } from "./methods.ts";
import { MAX_REQUEST_BYTES, SMALL_REQUEST_BYTES } from "./requests.ts";

/** Of each user: five large requests, or a hundred small ones. */
const SHARE_BYTES = 128 * 1024 * 1024;

/** @param name as in {@link METHOD_RULES} */
export function maxBytesOf(name: string): number {
  return METHOD_RULES.get(name)?.isLarge ? MAX_REQUEST_BYTES : SMALL_REQUEST_BYTES;
}

export class RequestIntake {
  readonly #arrivingBytes = new Map<number | null, number>();

  /** False when the request was refused. `userId`: `null` = the kernel did not say. */
  take(request: Http2ServerRequest, userId: number | null): boolean {
    // Methods are found by the path alone: with a query behind it, a large request would count as a small one.
    const bytes = maxBytesOf(request.url.slice(1).split("?", 1)[0] ?? "");
    const arriving = this.#arrivingBytes.get(userId) ?? 0;
    if (arriving + bytes > SHARE_BYTES) {
      refuse(request.stream);
      return false;
    }
    this.#arrivingBytes.set(userId, arriving + bytes);
    let isArriving = true;
    const leave = () => {
      if (isArriving) this.#give(userId, bytes);
      isArriving = false;
    };
    request.once("end", leave);
    request.once("close", leave);
    return true;
  }

  #give(userId: number | null, bytes: number): void {
    const rest = (this.#arrivingBytes.get(userId) ?? 0) - bytes;
    if (rest > 0) this.#arrivingBytes.set(userId, rest);
    else this.#arrivingBytes.delete(userId);
  }
}

/** As gRPC says it without a body. What comes all the same is thrown away as it comes. */
function refuse(stream: ServerHttp2Stream): void {
  const message = "Too much is arriving from this user already; try again in a moment.";
  stream.on("error", () => {});
  stream.respond(
    {
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": Code.ResourceExhausted,
      "grpc-message": encodeURIComponent(message),
    },
    { endStream: true },
  );
}
