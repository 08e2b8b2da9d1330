import { uptime } from "node:os";
import { create } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { bootTimeNs } from "../linux/bootClock.ts";

/** Time as the agent sees it. Deadlines use boot time only; wall time is for people and may jump. */
export interface Clock {
  /** Nanoseconds since boot, suspend included (CLOCK_BOOTTIME). */
  bootNs(): bigint;
  wallMs(): number;
  /** Runs once after about `delayMs` of running time. Returns the canceller. */
  schedule(delayMs: number, run: () => void): () => void;
}

export function bootMs(clock: Clock): number {
  return Number(clock.bootNs() / 1_000_000n);
}

/** Wall time of a moment on the boot clock, in milliseconds since 1970. */
export function bootNsToWallMs(clock: Clock, bootNs: bigint): number {
  return clock.wallMs() - Number(clock.bootNs() - bootNs) / 1e6;
}

/** Keeps the fraction of a millisecond, which the library's own conversion turns into nanoseconds it cannot encode. */
export function toTimestamp(wallMs: number): Timestamp {
  const seconds = Math.floor(wallMs / 1000);
  const nanos = Math.floor((wallMs - seconds * 1000) * 1e6);
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos });
}

export const systemClock: Clock = {
  bootNs: ["linux", "darwin"].includes(process.platform) ? bootTimeNs : () => BigInt(Math.round(uptime() * 1e9)),
  wallMs: Date.now,
  schedule(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
