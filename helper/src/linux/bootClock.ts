import { readClockNs } from "./ffi/libc.ts";

const CLOCK_BOOTTIME = 7;

/** Nanoseconds since boot, suspend included: the clock of the datapath's deadline and of its events. */
export function bootTimeNs(): bigint {
  return readClockNs(CLOCK_BOOTTIME);
}
