/**
 * Node 26 takes an HTTP/2 stream for broken off (ERR_STREAM_PREMATURE_CLOSE) when its answer is read only after the other
 * side has closed it, although all of it is there: `closed` is the word of the protocol, and the readers of streams take it for
 * their own. Over SSH a whole answer comes in one packet, and then that is the rule rather than the exception.
 */
import type { ClientHttp2Stream } from "node:http2";

/** The same stream, which is closed when there is nothing left to read. */
export function closedOnceRead(stream: ClientHttp2Stream): ClientHttp2Stream {
  const prototype = Object.getPrototypeOf(stream) as object;
  return Object.defineProperty(stream, "closed", {
    get(): boolean {
      const isClosed = Reflect.get(prototype, "closed", stream) as boolean;
      return isClosed && (stream.destroyed || stream.readableEnded);
    },
  });
}
