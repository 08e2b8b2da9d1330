/** What hosts recorded in the last hour, read once for all of them and in pieces, so that nothing else has to wait. */
import { Direction } from "@wardline/api/wardline/v1/policy";
import type { RecordedAttempts } from "@wardline/domain/fleet";
import { nextTurn } from "../async/next-turn.ts";
import type { FlowsTable } from "../store/flows-table.ts";

const WINDOW_MS = 3_600_000;
/** Read in one turn. */
const IDS_IN_PIECE = 5_000;
/** The rest of a host that has more is left out; retention bounds the sum over all hosts. */
const MAX_GROUPS_OF_HOST = 50_000;

type Counted = { -readonly [Key in keyof RecordedAttempts]: RecordedAttempts[Key] };

export interface HostsTraffic {
  of(hostId: string): readonly RecordedAttempts[];
  /** How long was recorded, above 0. */
  readonly minutes: number;
}

export async function readHostsTraffic(flows: FlowsTable, nowMs: number): Promise<HostsTraffic> {
  const sinceUs = (nowMs - WINDOW_MS) * 1000;
  const hosts = new Map<string, Map<string, Counted>>();
  const first = flows.firstSince(sinceUs);
  if (first) {
    const untilId = flows.newestId();
    for (let afterId = first.id - 1; afterId < untilId; afterId += IDS_IN_PIECE) {
      for (const row of flows.trafficBetween(sinceUs, afterId, Math.min(untilId, afterId + IDS_IN_PIECE))) {
        const groups = hosts.get(row.hostId) ?? new Map<string, Counted>();
        hosts.set(row.hostId, groups);
        add(groups, row);
      }
      await nextTurn();
    }
  }
  const recordedMs = first ? nowMs - first.timeUs / 1000 : WINDOW_MS;
  return {
    of: (hostId) => [...(hosts.get(hostId)?.values() ?? [])],
    // A console that has looked for seconds only knows nothing about a minute.
    minutes: Math.max(1, recordedMs / 60_000),
  };
}

function add(groups: Map<string, Counted>, row: ReturnType<FlowsTable["trafficBetween"]>[number]): void {
  const { subjectKey, direction, remoteAddress, protocol, port, started, deniedPackets } = row;
  if (direction !== Direction.INGRESS && direction !== Direction.EGRESS) return;
  const key = `${direction} ${protocol} ${port} ${remoteAddress} ${subjectKey}`;
  const known = groups.get(key);
  if (known) {
    known.started += started;
    known.deniedPackets += deniedPackets;
  } else if (groups.size < MAX_GROUPS_OF_HOST) {
    groups.set(key, {
      subjectKey,
      direction: direction === Direction.INGRESS ? "ingress" : "egress",
      remoteAddress,
      protocol,
      port,
      started,
      deniedPackets,
    });
  }
}
