/** From a name to a TCP connection, step by step, so that a person learns at which one it ended. */
import { lookup } from "node:dns/promises";
import { connect, isIP, type Socket } from "node:net";
import { errorCode } from "../config/config-files.ts";
import type { SshTarget } from "../config/target.ts";
import type { ConnectOptions } from "../ssh-session.ts";
import { canceled, connectFailure, nameNotFound, type Place, timedOut, unreachable } from "./failures.ts";

const LOOKUP_TIMEOUT_MS = 10_000;
const MOST_ADDRESSES = 8;

export type ReachOptions = Pick<ConnectOptions, "signal" | "onStep">;

/** @throws Failure HOST_UNREACHABLE, CANCELED */
export async function reach(target: SshTarget, options: ReachOptions): Promise<Socket> {
  const place = { hostName: target.hostName, port: target.port, from: "" };
  const { onStep } = options;
  onStep?.("name", null);
  const addresses = await addressesOf(target, options.signal);
  onStep?.("name", addresses.join(", "));
  onStep?.("route", null);
  let failure: Error | null = null;
  for (const address of addresses) {
    try {
      const socket = await connectTo(address, place, target.connectTimeoutMs, options.signal);
      onStep?.("route", address);
      return socket;
    } catch (error) {
      // A refusal says more than silence: the machine was found.
      if (failure === null || isRefusal(error)) failure = error as Error;
      if (options.signal.aborted) break;
    }
  }
  if (isRefusal(failure)) {
    onStep?.("route", addresses.join(", "));
    onStep?.("port", null);
  }
  throw failure ?? unreachable(`${target.hostName} has no address.`, "Check its name.");
}

async function addressesOf(target: SshTarget, signal: AbortSignal): Promise<string[]> {
  const { hostName, addressFamily } = target;
  // A zone (`fe80::1%eth0`) belongs to the address.
  if (isIP(hostName.split("%")[0] ?? "") !== 0) return [hostName];
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_TIMEOUT_MS)]);
  const found = await new Promise<string[]>((resolve, reject) => {
    const giveUp = () => {
      if (signal.aborted) reject(canceled());
      else reject(nameNotFound(hostName, "ETIMEOUT", limit.reason));
    };
    if (limit.aborted) return giveUp();
    limit.addEventListener("abort", giveUp, { once: true });
    lookup(hostName, { all: true, family: addressFamily, order: "verbatim" }).then(
      (addresses) => resolve(addresses.map(({ address }) => address)),
      (error: unknown) => reject(nameNotFound(hostName, errorCode(error), error)),
    );
  });
  return [...new Set(found)].slice(0, MOST_ADDRESSES);
}

function connectTo(address: string, place: Place, timeoutMs: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(canceled());
    const socket = connect({ host: address, port: place.port, noDelay: true });
    const settle = (error: Error | null) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      socket.removeAllListeners("connect");
      // Whoever waits its turn for a key exchange does not listen yet, and a reset must not end the process meanwhile.
      socket.on("error", () => {});
      socket.off("error", fail);
      if (error === null) return resolve(socket);
      socket.destroy();
      reject(error);
    };
    const giveUp = () => settle(canceled());
    const fail = (error: Error) => settle(connectFailure(place, errorCode(error), error));
    const timer = setTimeout(() => settle(timedOut(place, timeoutMs)), timeoutMs);
    signal.addEventListener("abort", giveUp, { once: true });
    socket.once("error", fail);
    socket.once("connect", () => settle(null));
  });
}

/** The machine was found, and answered. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof Error &&
    error.cause !== undefined &&
    ["ECONNREFUSED", "ECONNRESET"].includes(errorCode(error.cause))
  );
}
