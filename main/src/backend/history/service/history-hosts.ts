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

export async function historyHosts(ports: HistoryHostsPorts): Promise<MessageInitShape<typeof HistoryHostSchema>[]> {
  const { collected, registry, history } = ports;
  const followed = collected.hosts();
  // A process that only asks follows hosts as well, and stores nothing of them while another one does: "never" would be wrong.
  const isWriter = followed.some(({ lastSequence, lastRecordAt }) => lastSequence !== 0n || lastRecordAt !== undefined);
  const read = isWriter ? followed : [];
  const others = registry.hosts.filter(({ id }) => !read.some((host) => host.hostId === id));
  if (others.length === 0) return [...read];
  const lastSeen = await lastSeenByHost(ports);
  const stored = await Promise.all(
    others.map(async (host) => {
      const positions = await history.positions(host.id);
      const lastSequence = positions.reduce((most, { sequence }) => (sequence > most ? sequence : most), 0n);
      const lastMs = lastSeen.get(hostNameOf(host));
      return {
        ...{ hostId: host.id, host: hostNameOf(host), lastSequence },
        ...(lastMs === undefined ? {} : { lastRecordAt: timestampFromMs(lastMs) }),
        problem: followed.find(({ hostId }) => hostId === host.id)?.problem || "not read by this process",
      };
    }),
  );
  return [...read, ...stored];
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
