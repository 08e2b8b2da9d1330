/** The HTTP/2 sessions of a link, by the gRPC library's manager without the way in which that one ends a whole process. */
import type { ClientHttp2Stream } from "node:http2";
import { Http2SessionManager } from "@connectrpc/connect-node";

/**
 * When the other end says goodbye to a session that has nothing to do, the manager destroys it with an error, which Node tells
 * a turn or more later. A call or an `abort` between the two makes the manager forget the session and take its listeners away:
 * an error that nobody listens for is an uncaught exception. So each session has one listener that stays.
 */
export class LinkSessions extends Http2SessionManager {
  override async request(...words: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...words);
    const { session } = stream;
    if (session && !session.listeners("error").includes(ignore)) session.on("error", ignore);
    return stream;
  }
}

/** Calls learn of it from their own streams. */
function ignore(): void {}
