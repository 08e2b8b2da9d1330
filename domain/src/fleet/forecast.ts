/** How many packets a host would deny under a program, from the connections that were recorded on it. */
import { canonicalAddress } from "../policy/address.ts";
import { lookup } from "../policy/lookup.ts";
import { type Direction, PROTOCOL } from "../policy/model.ts";
import type { Decision, HostProgram } from "../policy/program.ts";

/** What a host recorded between one of its subjects and one remote address and port. */
export interface RecordedAttempts {
  readonly subjectKey: string;
  readonly direction: Direction;
  readonly remoteAddress: string;
  /** IP protocol number. */
  readonly protocol: number;
  /** Destination port; `type << 8 | code` for ICMP. */
  readonly port: number;
  /** Connections that were allowed. */
  readonly started: number;
  /** Packets that were denied. */
  readonly deniedPackets: number;
}

/** A TCP client without an answer sends its first packet at 0, 1, 3, 7, 15 and 31 s (RFC 6298, initial timeout 1 s). */
const TCP_ATTEMPTS_IN_A_MINUTE = 6;

/**
 * Denied packets a minute. A connection from outside that is denied now counts with the repetitions of its first packet;
 * one from inside counts once, as it is refused at connect(). What is reported and not enforced does not count.
 *
 * @param minutes how long was recorded; above 0
 */
export function forecastDenials(
  program: HostProgram,
  recorded: Iterable<RecordedAttempts>,
  minutes: number,
): { readonly perMinute: number } {
  const setOf = new Map(program.sets.map(({ id, endpointKey }) => [endpointKey, id]));
  let packets = 0;
  for (const attempts of recorded) {
    if (canonicalAddress(attempts.remoteAddress) === null) continue;
    const { direction, remoteAddress: remote, protocol, port } = attempts;
    const set = setOf.get(attempts.subjectKey) ?? 0;
    if (!isDenied(lookup(program, { set, direction, remote, protocol, port }))) continue;
    const isRepeated = direction === "ingress" && protocol === PROTOCOL.tcp;
    packets += attempts.deniedPackets + attempts.started * (isRepeated ? TCP_ATTEMPTS_IN_A_MINUTE : 1);
  }
  return { perMinute: packets / minutes };
}

/** Stable ids of the decisions of policies that drop packets. What the datapath drops before any policy is not among them. */
export function denyingDecisionIds(program: HostProgram): ReadonlySet<string> {
  return new Set(program.decisions.filter((each) => isDenied(each)).map(({ id }) => id));
}

function isDenied({ verdict, observeOnly, reason }: Decision): boolean {
  return verdict === "deny" && !observeOnly && reason !== "builtin";
}
