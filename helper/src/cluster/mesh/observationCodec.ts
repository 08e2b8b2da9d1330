/**
 * What one member sees, as it lies in the store: one byte of version, then the message, deflated. Routes and the tree stay with
 * the host: no decision on healing needs them, and they are the longest. What does not fit is left out and said.
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { clone, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type MeshObservation,
  MeshObservationSchema,
  type MeshPeer,
  MeshProvider,
  type MeshProviderReport,
} from "@wardline/api/wardline/v1/mesh";
import { judgeObservation } from "./judging.ts";

/** Of one key. */
export const MAX_BYTES = 64 * 1024;
/** Of the message: what becomes more was not written by a member of ours. */
const MAX_INFLATED_BYTES = 1024 * 1024;
const VERSION = 1;

/** Never more than {@link MAX_BYTES}. */
export function encodeObservation(observation: MeshObservation): Uint8Array {
  const whole = withoutRoutes(observation);
  judgeObservation(whole, observation.host);
  for (let share = 1; ; share /= 2) {
    const value = pack(share === 1 ? whole : shortened(whole, share));
    if (value.length <= MAX_BYTES) return value;
  }
}

/** `host` is the member under whose name it lies, whatever it says itself. `null` = it counts for nothing. */
export function decodeObservation(value: Uint8Array, host: string): MeshObservation | null {
  if (value.length > MAX_BYTES || value[0] !== VERSION) return null;
  try {
    const bytes = inflateRawSync(value.subarray(1), { maxOutputLength: MAX_INFLATED_BYTES });
    const observation = fromBinary(MeshObservationSchema, bytes, { readUnknownFields: false });
    judgeObservation(observation, host);
    return observation;
  } catch {
    return null;
  }
}

function pack(observation: MeshObservation): Uint8Array {
  return Buffer.concat([Buffer.of(VERSION), deflateRawSync(toBinary(MeshObservationSchema, observation))]);
}

function withoutRoutes(observation: MeshObservation): MeshObservation {
  const providers = observation.providers.map((report) => ({ ...report, routes: [], tree: [] }));
  return clone(MeshObservationSchema, { ...observation, providers });
}

/** That share of each list: configured neighbours first, then those that are up. */
function shortened(whole: MeshObservation, share: number): MeshObservation {
  const short = clone(MeshObservationSchema, whole);
  const said: string[] = [];
  for (const report of short.providers) {
    const kept = Math.ceil(report.peers.length * share);
    if (kept < report.peers.length) said.push(leftOut(report, report.peers.length - kept));
    report.peers = [...report.peers].sort((one, other) => rank(other) - rank(one)).slice(0, kept);
    report.gateways = report.gateways.slice(0, Math.ceil(report.gateways.length * share));
    report.truncated = true;
  }
  const kept = Math.ceil(short.probes.length * share);
  if (kept < short.probes.length)
    said.push(`${short.probes.length - kept} probes are left out: they are too many to tell.`);
  short.probes = short.probes.slice(0, kept);
  short.problems = [...said, ...short.problems.slice(0, Math.ceil(short.problems.length * share))];
  return short;
}

function rank({ configured, up }: MeshPeer): number {
  return (configured ? 2 : 0) + (up ? 1 : 0);
}

function leftOut({ provider }: MeshProviderReport, count: number): string {
  return `${count} neighbours in ${MeshProvider[provider].toLowerCase()} are left out: they are too many to tell.`;
}
