/** Recorded flows in their places of the picture, each judged by the draft. */
import { decideConnection } from "../access/decide.ts";
import type { AccessModel } from "../access/index.ts";
import { parseAddress } from "../address.ts";
import type { FlowEnd } from "../evaluation.ts";
import type { GroupedNodes } from "./grouping.ts";
import type { PictureFlow, PictureFlows, PlacedFlow } from "./model.ts";

export const NO_FLOWS: PictureFlows = {
  ...{ connections: 0, deniedPackets: 0, observed: 0, wouldDeny: 0, wouldAllow: 0, firstSeenMs: 0, lastSeenMs: 0 },
};

export interface PlacedFlows {
  /** By `source * nodes + destination`. */
  readonly ofPair: ReadonlyMap<number, readonly PlacedFlow[]>;
  /** Flows of which neither end belongs to an endpoint, or that cannot be. */
  readonly elsewhere: number;
}

export function* placeFlows(
  draft: AccessModel,
  grouped: GroupedNodes,
  flows: readonly PictureFlow[],
): Generator<void, PlacedFlows> {
  const { nodes } = grouped;
  const ofKey = new Map<string, number>();
  for (const [index, { members }] of nodes.entries()) for (const { key } of members) ofKey.set(key, index);
  const numberOf = new Map(nodes.map((node, index) => [node, index]));
  const ofAddress = new Map<string, number>();
  const nodeOf = ({ endpointKey, address }: FlowEnd): number => {
    if (endpointKey !== null) return ofKey.get(endpointKey) ?? -1;
    let index = ofAddress.get(address);
    if (index === undefined) {
      const parsed = parseAddress(address);
      const prefix = parsed.ok
        ? { family: parsed.family, bytes: parsed.bytes, prefixLength: parsed.bytes.length * 8 }
        : null;
      index = prefix === null ? -1 : (numberOf.get(grouped.nodeOfPrefix(prefix)) ?? -1);
      ofAddress.set(address, index);
    }
    return index;
  };
  const ofPair = new Map<number, PlacedFlow[]>();
  let elsewhere = 0;
  for (const [position, flow] of flows.entries()) {
    if (position % 200 === 0) yield;
    const from = { endpointKey: flow.sourceKey, address: flow.sourceAddress };
    const to = { endpointKey: flow.destinationKey, address: flow.destinationAddress };
    const [source, destination] = [nodeOf(from), nodeOf(to)];
    const isAllowed = source < 0 || destination < 0 ? null : judge(draft, from, to, flow);
    if (isAllowed === null || (flow.sourceKey === null && flow.destinationKey === null)) {
      elsewhere += 1;
      continue;
    }
    const key = source * nodes.length + destination;
    const known = ofPair.get(key);
    if (known) known.push({ flow, isAllowed });
    else ofPair.set(key, [{ flow, isAllowed }]);
  }
  return { ofPair, elsewhere };
}

/** What would happen to the packets; `null` = the ends are not of one family. */
function judge(draft: AccessModel, from: FlowEnd, to: FlowEnd, { protocol, port }: PictureFlow): boolean | null {
  if (from.address.includes(":") !== to.address.includes(":")) return null;
  return decideConnection(draft, { from, to, protocol, port }).enforced === "allow";
}

export function sumFlows(flows: readonly PlacedFlow[]): PictureFlows {
  return flows.reduce((sum, { flow, isAllowed }): PictureFlows => {
    const { connections, deniedPackets, observed, firstSeenMs, lastSeenMs } = flow;
    return {
      connections: sum.connections + connections,
      deniedPackets: sum.deniedPackets + deniedPackets,
      observed: sum.observed + observed,
      wouldDeny: sum.wouldDeny + (isAllowed ? 0 : connections),
      wouldAllow: sum.wouldAllow + (isAllowed ? deniedPackets : 0),
      firstSeenMs: sum.firstSeenMs === 0 ? firstSeenMs : Math.min(sum.firstSeenMs, firstSeenMs || sum.firstSeenMs),
      lastSeenMs: Math.max(sum.lastSeenMs, lastSeenMs),
    };
  }, NO_FLOWS);
}
