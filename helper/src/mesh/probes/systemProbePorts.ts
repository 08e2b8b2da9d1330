/** The probes' ports to this host. */
import { randomFillSync } from "node:crypto";
import { readClockNs } from "../../linux/ffi/libc.ts";
import { EchoSocket } from "../../linux/icmp/echoSocket.ts";
import { shakeHands } from "./handshake.ts";
import type { ProbePorts } from "./ports.ts";

const CLOCK_REALTIME = 0;

function openEchoes(family: 4 | 6): EchoSocket {
  if (process.platform !== "linux") throw new Error("Echoes are sent on Linux only");
  return new EchoSocket(family);
}

export const systemProbePorts: ProbePorts = {
  openEchoes,
  handshake: shakeHands,
  monotonicNs: () => process.hrtime.bigint(),
  realtimeNs: () => readClockNs(CLOCK_REALTIME),
  random: Math.random,
  // From the pool of Node: no memory outside of the heap for each.
  randomBytes: (count) => randomFillSync(Buffer.allocUnsafe(count)),
  wakeIn: (delayMs, wake) => {
    const timer = setTimeout(wake, delayMs).unref();
    return () => clearTimeout(timer);
  },
};
