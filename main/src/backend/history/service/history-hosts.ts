/** The hosts in the status of the history: those that this process reads, and what is stored of the others. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HistoryHostSchema } from "@wardline/api/wardline/console/v1/history";
import { EVERYTHING } from "@wardline/domain/flows";
import { type HostRegistry, hostNameOf } from "../../hosts/managed-host.ts";
import type { CollectedHosts } from "../collected-hosts.ts";
import type { QueryPorts } from "./records.ts";

export interface HistoryHostsPorts extends QueryPorts {
  readonly collected: CollectedHosts;
  readonly registry: Pick<HostRegistry, "hosts">;
}

const TIMEOUT_MS = 3_000;
const NOT_READ = "not read by this process";

export async function historyHosts(ports: HistoryHostsPorts): Promise<MessageInitShape<typeof HistoryHostSchema>[]> {
  const { collected, registry, history } = ports;
  const read = collected.hosts();
  const others = registry.hosts.filter(({ id }) => !read.some(({ hostId }) => hostId === id));
  const hosts = [
    ...read,
    ...others.map((host) => ({ hostId: host.id, host: hostNameOf(host), lastSequence: 0n, problem: NOT_READ })),
  ];
  // Of a host that was not reached since this process began, only the store knows what was recorded of it.
  const known = hosts.map(async (host) => {
    if ("lastRecordAt" in host || host.lastSequence > 0n) return host;
    const positions = await history.positions(host.hostId);
    return { ...host, lastSequence: positions.reduce((most, { sequence }) => (sequence > most ? sequence : most), 0n) };
  });
  const counted = await Promise.all(known);
  const isMissing = (host: (typeof counted)[number]) => !("lastRecordAt" in host) && host.lastSequence > 0n;
  if (!counted.some(isMissing)) return counted;
  const lastSeen = await lastSeenByHost(ports);
  return counted.map((host) => {
    const lastMs = isMissing(host) ? lastSeen.get(host.host) : undefined;
    return lastMs === undefined ? host : { ...host, lastRecordAt: timestampFromMs(lastMs) };
  });
}

async function lastSeenByHost({ history, book }: HistoryHostsPorts): Promise<ReadonlyMap<string, number>> {
  const seen = new Map<string, number>();
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const options = { by: ["host" as const], order: "records" as const, limit: 1_000, labels: book.known().labels };
  try {
    for await (const { groups } of history.group(EVERYTHING, options, signal)) {
      for (const { values, sums } of groups) seen.set(values[0] ?? "", sums.lastSeenMs);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return seen;
}
