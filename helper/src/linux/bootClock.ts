import { readClockNs } from "./ffi/libc.ts";

const CLOCK_MONOTONIC = 1;
/** The clock that goes on while the system sleeps. macOS calls it CLOCK_MONOTONIC. */
const CLOCK_BOOTTIME = process.platform === "darwin" ? 6 : 7;

/** Nanoseconds since boot, suspend included: the clock of the datapath's deadline and of its events. */
export function bootTimeNs(): bigint {
  return readClockNs(CLOCK_BOOTTIME);
}

/** Nanoseconds since boot without suspend: the clock of what the datapath stamps on every packet, which reads it cheaply. */
export function monotonicTimeNs(): bigint {
  return readClockNs(CLOCK_MONOTONIC);
}
