/** The time of one TCP handshake, as the kernel measured it. Nothing is sent over the connection, and it is closed at once. */
import { connect, type Socket } from "node:net";
import { getSocketOption } from "../../linux/ffi/libc.ts";
import { ANSWER_LIMIT_MS, type Handshake } from "./ports.ts";

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** Of `tcpi_rtt` in `struct tcp_info`: microseconds. */
const ROUND_TRIP_OFFSET = 68;
const INFO_BYTES = 104;

const KEPT_IN = ["EPERM", "EACCES"];

/** Never rejects. `silent` after so long, when there is no way there, and when `signal` ends it. */
export function shakeHands(
  address: string,
  port: number,
  signal: AbortSignal,
  limitMs = ANSWER_LIMIT_MS,
): Promise<Handshake> {
  const { promise, resolve } = Promise.withResolvers<Handshake>();
  const socket = connect({ host: address, port });
  const end = (handshake: Handshake) => {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
    // Without a wait for the other side's end: a connection a second would leave 60 of them.
    socket.resetAndDestroy();
    resolve(handshake);
  };
  const giveUp = () => end({ outcome: "silent", latencyNs: null });
  const timer = setTimeout(giveUp, limitMs).unref();
  signal.addEventListener("abort", giveUp, { once: true });
  socket.on("connect", () => end({ outcome: "answered", latencyNs: roundTripNs(socket) }));
  socket.on("error", (error: NodeJS.ErrnoException) => end({ outcome: outcomeOf(error.code ?? ""), latencyNs: null }));
  return promise;
}

function outcomeOf(code: string): Handshake["outcome"] {
  if (code === "ECONNREFUSED" || code === "ECONNRESET") return "refused";
  return KEPT_IN.includes(code) ? "kept in" : "silent";
}

/** `null` where the kernel does not tell: a time taken here would count what this process did meanwhile. */
function roundTripNs(socket: Socket): number | null {
  if (process.platform !== "linux") return null;
  // Node has no public way to the descriptor of a socket.
  const handle: unknown = Reflect.get(socket, "_handle");
  const fileDescriptor: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : null;
  if (typeof fileDescriptor !== "number" || fileDescriptor < 0) return null;
  const info = Buffer.alloc(INFO_BYTES);
  const length = getSocketOption(fileDescriptor, IPPROTO_TCP, TCP_INFO, info);
  if (length === null || length < ROUND_TRIP_OFFSET + 4) return null;
  const roundTripUs = info.readUInt32LE(ROUND_TRIP_OFFSET);
  return roundTripUs === 0 ? null : roundTripUs * 1_000;
}
