/** What the hosts of a stage have to show before they are confirmed. */
import { ErrorCode, Failure } from "../errors/index.ts";

export interface Gates {
  /** Watched for so long after the flip of the last host of a stage. */
  readonly watchMs: number;
  /** Denied packets a minute above the forecast; 0 = any number. */
  readonly denialsAboveForecast: number;
}

export const USUAL_WATCH_MS = 5_000;
export const LONGEST_WATCH_MS = 600_000;
/** Left after the watch for asking every host over a new connection and confirming. */
export const CONFIRM_RESERVE_MS = 4_000;

/** @throws Failure INVALID_ARGUMENT */
export function requireGates(gates: Gates, confirmWithinMs: number): void {
  const { watchMs, denialsAboveForecast } = gates;
  if (!(watchMs >= 0 && watchMs <= LONGEST_WATCH_MS)) {
    throw invalid(`Hosts can be watched for 0 s to 10 min, not for ${watchMs / 1000} s.`, "Choose a time between.");
  }
  if (denialsAboveForecast > 0 && watchMs === 0) {
    throw invalid("Denials were to be watched for no time at all.", "Give the hosts some seconds, or no limit.");
  }
  if (confirmWithinMs >= watchMs + CONFIRM_RESERVE_MS) return;
  throw invalid(
    `Hosts return after ${confirmWithinMs / 1000} s, and are to be watched for ${watchMs / 1000} s: that leaves no time to confirm.`,
    `Give at least ${(watchMs + CONFIRM_RESERVE_MS) / 1000} s to confirm.`,
  );
}

export interface DenialCount {
  readonly deniedPackets: number;
  readonly forecastPerMinute: number;
  /** Since the flip. */
  readonly elapsedMs: number;
}

/**
 * Whether a host denies more than forecast. Judged against what the whole watch allows, so that the first packets after
 * the flip, which say little about a minute, do not close the gate.
 */
export function exceedsForecast(count: DenialCount, gates: Gates): boolean {
  if (gates.denialsAboveForecast === 0) return false;
  return count.deniedPackets > allowedDenials(count, gates);
}

/** One sentence without an end. */
export function describeDenials(hostName: string, count: DenialCount, gates: Gates): string {
  const seconds = (count.elapsedMs / 1000).toFixed(1);
  const allowed = Math.floor(allowedDenials(count, gates));
  const forecast = Number(count.forecastPerMinute.toFixed(1));
  return `${hostName} denied ${count.deniedPackets} packets in ${seconds} s; up to ${allowed} were allowed (${forecast} a minute forecast and ${gates.denialsAboveForecast} more)`;
}

function allowedDenials({ forecastPerMinute, elapsedMs }: DenialCount, gates: Gates): number {
  return ((forecastPerMinute + gates.denialsAboveForecast) * Math.max(elapsedMs, gates.watchMs)) / 60_000;
}

function invalid(message: string, hint: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}
