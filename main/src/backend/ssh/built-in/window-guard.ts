/**
 * A server may send only as much as the window of a channel allows (RFC 4254, section 5.2). ssh2 does not hold it to that,
 * and a channel that nobody reads would grow without end: here the connection ends instead.
 */
import type { Duplex } from "node:stream";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { ClientChannel } from "ssh2";

/** The window of ssh2 (2 MiB), and one packet. */
const MOST_BUFFERED_BYTES = 2 * 1024 * 1024 + 64 * 1024;

export class WindowGuard {
  readonly #channels = new Set<ClientChannel>();
  readonly #onExceeded: (failure: Failure) => void;

  constructor(stream: Duplex, onExceeded: (failure: Failure) => void) {
    this.#onExceeded = onExceeded;
    stream.on("data", () => this.#check());
  }

  watch(channel: ClientChannel): void {
    this.#channels.add(channel);
    channel.once("close", () => this.#channels.delete(channel));
  }

  #check(): void {
    for (const channel of this.#channels) {
      if (channel.readableLength + channel.stderr.readableLength <= MOST_BUFFERED_BYTES) continue;
      this.#onExceeded(
        new Failure({
          code: ErrorCode.AGENT_UNREACHABLE,
          message: "The machine sent more than it was allowed to; the connection was ended.",
          hint: "Its SSH server is broken, or not what it seems.",
        }),
      );
      return;
    }
  }
}
