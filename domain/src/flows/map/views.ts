/** What two hosts saw of the same connections is counted once. */
import type { MapFlow } from "./build.ts";
import type { End, EndFinder } from "./ends.ts";
import { type FlowSums, type MapSums, NO_SUMS, plusSums } from "./model.ts";

/**
 * What was seen from one side of two addresses and a port, by its own end: several workloads share an address. Lists and
 * not sets, because almost all have one entry and there are many of them.
 */
interface View {
  readonly hosts: string[];
  readonly parts: Part[];
}

interface Part {
  readonly own: End;
  allowed: FlowSums;
  denied: FlowSums;
}

interface Pair {
  readonly first: MapSums;
  egress: View | null;
  ingress: View | null;
  policyKeys: readonly string[];
}

/**
 * Denied: what the originator's host denied never reached the other one, so both count. Allowed: the larger view, because
 * a host may have lost records; nothing when the responder's host denied and let nothing through. Each end is named as its
 * own host names it. Behind address translation the two ends see different addresses, and both are counted.
 */
export function countedOnce(sums: readonly MapSums[], finder: EndFinder): MapFlow[] {
  const pairs = new Map<string, Pair>();
  for (const each of sums) {
    const key = `${each.sourceAddress} ${each.destinationAddress} ${each.protocol} ${each.port}`;
    let pair = pairs.get(key);
    if (!pair) {
      pair = { first: each, egress: null, ingress: null, policyKeys: each.policyKeys };
      pairs.set(key, pair);
    } else if (each.policyKeys.some((policy) => !pair?.policyKeys.includes(policy))) {
      pair.policyKeys = [...new Set([...pair.policyKeys, ...each.policyKeys])];
    }
    const view = pair[each.direction] ?? { hosts: [], parts: [] };
    pair[each.direction] = view;
    addTo(view, each, finder.ownEnd(each));
  }
  return [...pairs.values()].flatMap((pair) => flowsOf(pair, finder));
}

function addTo(view: View, { host, verdict, sums }: MapSums, own: End): void {
  if (!view.hosts.includes(host)) view.hosts.push(host);
  let part = view.parts.find((each) => each.own.id === own.id && each.own.member === own.member);
  if (!part) {
    part = { own, allowed: NO_SUMS, denied: NO_SUMS };
    view.parts.push(part);
  }
  if (verdict === "deny") part.denied = plusSums(part.denied, sums);
  else part.allowed = plusSums(part.allowed, sums);
}

const NOTHING: View = { hosts: [], parts: [] };

function flowsOf({ first, egress, ingress, policyKeys }: Pair, finder: EndFinder): MapFlow[] {
  const { sourceAddress, destinationAddress, protocol, port } = first;
  const [sent, received] = [egress ?? NOTHING, ingress ?? NOTHING];
  const source = onlyEnd(sent) ?? finder.remoteEnd(sourceAddress);
  const destination = onlyEnd(received) ?? finder.remoteEnd(destinationAddress);
  const counted = countedView(sent, received);
  const isSeenByBoth = received.hosts.length > 0 && sent.hosts.some((host) => !received.hosts.includes(host));
  const shared = { sourceAddress, destinationAddress, protocol, port, policyKeys, isSeenByBoth };
  const flows: MapFlow[] = [];
  for (const view of [sent, received]) {
    for (const { own, allowed, denied } of view.parts) {
      const isCounted = counted === view && allowed.records > 0;
      if (!isCounted && denied.records === 0) continue;
      const ends = view === sent ? { source: own, destination } : { source, destination: own };
      flows.push({ ...shared, ...ends, allowed: isCounted ? allowed : NO_SUMS, denied });
    }
  }
  return flows;
}

/** Whose allowed connections count; `null` = nobody's. */
function countedView(egress: View, ingress: View): View | null {
  if (ingress.parts.length === 0) return egress;
  if (egress.parts.length === 0) return ingress;
  const sent = allowedOf(egress);
  const received = allowedOf(ingress);
  if (received.records === 0 && ingress.parts.some(({ denied }) => denied.records > 0)) return null;
  const isLarger =
    received.connections - sent.connections ||
    received.originatorBytes + received.responderBytes - sent.originatorBytes - sent.responderBytes ||
    received.records - sent.records;
  return isLarger > 0 ? ingress : egress;
}

function allowedOf({ parts }: View): FlowSums {
  return parts.reduce((sum, { allowed }) => plusSums(sum, allowed), NO_SUMS);
}

/** Whose the end is where all of it is one node; of a group the first member. */
function onlyEnd({ parts }: View): End | null {
  const [first] = parts;
  return first && parts.every(({ own }) => own.id === first.own.id) ? first.own : null;
}
