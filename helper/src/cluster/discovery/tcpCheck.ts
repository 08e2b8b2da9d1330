/** Whether something accepts TCP connections at an address. */
import { connect } from "node:net";
import { unusableAddressReason } from "@wardline/domain/cluster";

/** `null` = a connection was opened (and closed at once); else why not, in a few words. Never rejects. */
export type TcpCheck = (
  target: { readonly address: string; readonly port: number },
  timeoutMs: number,
  signal: AbortSignal,
) => Promise<string | null>;

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was reset",
  EHOSTUNREACH: "there is no way to the host",
  ENETUNREACH: "there is no way to the network",
  EHOSTDOWN: "the host is down",
  EPERM: "a policy of the leader's host forbids the connection",
  EACCES: "a policy of the leader's host forbids the connection",
};

export const checkTcp: TcpCheck = ({ address, port }, timeoutMs, signal) => {
  // Whatever stands in the store: the leader never opens connections to where a registration could not point.
  const reason = unusableAddressReason(address);
  if (reason !== null) return Promise.resolve(`its address is ${reason}`);
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const finish = (answer: string | null): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      socket.destroy();
      resolve(answer);
    };
    const stop = (): void => finish("the check was broken off");
    const timer = setTimeout(() => finish(`no answer in ${timeoutMs / 1000} s`), timeoutMs);
    signal.addEventListener("abort", stop, { once: true });
    socket.once("connect", () => finish(null));
    socket.on("error", (error: NodeJS.ErrnoException) => finish(REASONS[error.code ?? ""] ?? "it cannot be reached"));
    if (signal.aborted) stop();
  });
};
