/** Pictures on the wire. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as wire from "@wardline/api/wardline/console/v1/picture";
import { type ConnectionExample, formatPortSet, type PortRangePart } from "@wardline/domain/policy/access";
import type {
  AccessKind,
  EdgeRule,
  PictureClass,
  PictureEdge,
  PictureFlows,
  PictureGrouping,
  PictureNode,
  PictureNodeKind,
  PictureSide,
  PlacedFlow,
} from "@wardline/domain/policy/picture";
import { toWireDecision, toWireDirection } from "@wardline/domain/wire";
import { labelOf } from "../hosts/managed-host.ts";
import { awaySinceMs, type HostEnforced } from "./basis.ts";

const MAX_LISTED_MEMBERS = 100;
const MAX_LISTED_RANGES = 64;
const MAX_LISTED_POLICIES = 50;
const EVERY_PROTOCOL = 256;

const NODE_KINDS: Record<PictureNodeKind, wire.PictureNodeKind> = {
  group: wire.PictureNodeKind.GROUP,
  endpoint: wire.PictureNodeKind.ENDPOINT,
  network: wire.PictureNodeKind.NETWORK,
  mesh: wire.PictureNodeKind.MESH,
  world: wire.PictureNodeKind.WORLD,
};
const ACCESS: Record<AccessKind, wire.PictureAccess> = {
  all: wire.PictureAccess.ALL,
  "some-ports": wire.PictureAccess.SOME_PORTS,
  "some-members": wire.PictureAccess.SOME_MEMBERS,
  none: wire.PictureAccess.NONE,
  unknown: wire.PictureAccess.UNKNOWN,
};
const CLASSES: Record<PictureClass, wire.PictureClass> = {
  "would-close": wire.PictureClass.WOULD_CLOSE,
  "would-open": wire.PictureClass.WOULD_OPEN,
  tried: wire.PictureClass.TRIED,
  used: wire.PictureClass.USED,
  unused: wire.PictureClass.UNUSED,
  unknown: wire.PictureClass.UNKNOWN,
};
const GROUPINGS: Record<PictureGrouping["by"], wire.PictureGrouping> = {
  labels: wire.PictureGrouping.LABELS,
  namespace: wire.PictureGrouping.NAMESPACE,
  host: wire.PictureGrouping.HOST,
  endpoint: wire.PictureGrouping.ENDPOINT,
};

export const toWireGrouping = ({ by }: PictureGrouping) => GROUPINGS[by];

/** What is known of members whose host is away. */
export interface Away {
  readonly members: number;
  /** Of the one longest unheard; 0 = nobody is away. */
  readonly sinceMs: number;
}

export function toWireNode(node: PictureNode, isInFocus: boolean, away: Away): wire.PictureNode {
  const { members, networks } = node;
  const listed = members.slice(0, MAX_LISTED_MEMBERS);
  return create(wire.PictureNodeSchema, {
    id: node.id,
    kind: NODE_KINDS[node.kind],
    name: node.name,
    namespace: node.namespace,
    labels: Object.fromEntries(node.labels),
    members: members.length || networks.length,
    memberKeys: listed.map(({ key }) => key),
    addresses:
      members.length > 0 ? listed.flatMap(({ addresses }) => addresses).slice(0, MAX_LISTED_MEMBERS) : [...networks],
    hostNames: [...new Set(members.flatMap(({ hostName }) => hostName ?? []))].sort().slice(0, MAX_LISTED_MEMBERS),
    ingressMembers: node.ingressMembers,
    egressMembers: node.egressMembers,
    policyKeys: node.policyKeys.slice(0, MAX_LISTED_POLICIES),
    unknownMembers: node.unknownMembers,
    inFocus: isInFocus,
    awayMembers: away.members,
    ...(away.members > 0 ? { awaySince: timestampFromMs(away.sinceMs) } : {}),
  });
}

export function toWireEdge(edge: PictureEdge): wire.PictureEdge {
  return create(wire.PictureEdgeSchema, {
    sourceId: edge.sourceId,
    destinationId: edge.destinationId,
    draft: toWireSide(edge.draft),
    enforced: toWireSide(edge.enforced),
    flows: toWireFlows(edge.flows),
    classes: edge.classes.map((name) => CLASSES[name]),
    opens: toWirePorts(edge.opens),
    closes: toWirePorts(edge.closes),
    unrestricted: edge.isUnrestricted,
  });
}

function toWireSide(side: PictureSide): wire.PictureSide {
  return create(wire.PictureSideSchema, {
    access: ACCESS[side.access],
    ports: toWirePorts(side.ports),
    pairs: BigInt(side.pairs),
    allowedPairs: BigInt(side.allowedPairs),
    unknownPairs: BigInt(side.unknownPairs),
    byRule: side.byRule,
    observed: side.isObserved,
  });
}

function toWirePorts(parts: readonly PortRangePart[]): wire.PicturePorts {
  return create(wire.PicturePortsSchema, {
    text: parts.length === 0 ? "" : formatPortSet(parts),
    ranges: parts.slice(0, MAX_LISTED_RANGES).map(({ protocol, exceptProtocols, low, high }) => ({
      ...{ protocol: protocol ?? EVERY_PROTOCOL, exceptProtocols: [...exceptProtocols], low, high },
    })),
  });
}

export function toWireFlows(flows: PictureFlows): wire.PictureFlows {
  const message = create(wire.PictureFlowsSchema, {
    connections: BigInt(flows.connections),
    deniedPackets: BigInt(flows.deniedPackets),
    observedConnections: BigInt(flows.observed),
    wouldDeny: BigInt(flows.wouldDeny),
    wouldAllow: BigInt(flows.wouldAllow),
  });
  if (flows.firstSeenMs > 0) message.firstSeen = timestampFromMs(flows.firstSeenMs);
  if (flows.lastSeenMs > 0) message.lastSeen = timestampFromMs(flows.lastSeenMs);
  return message;
}

export function toWireRule({ direction, decision, from, to, ports }: EdgeRule): wire.PictureRule {
  return create(wire.PictureRuleSchema, {
    direction: toWireDirection(direction),
    decision: toWireDecision(decision, direction),
    ...{ from, to, ports },
  });
}

export function toWireExample({ from, to, protocol, port, egress, ingress }: ConnectionExample): wire.PictureExample {
  return create(wire.PictureExampleSchema, {
    fromKey: from.endpointKey ?? "",
    fromAddress: from.address,
    toKey: to.endpointKey ?? "",
    toAddress: to.address,
    ...{ protocol, port },
    egress: toWireDecision(egress, "egress"),
    ingress: toWireDecision(ingress, "ingress"),
  });
}

export function toWireFlowGroup({ flow, isAllowed }: PlacedFlow): wire.PictureFlowGroup {
  const sums = {
    ...{ connections: flow.connections, deniedPackets: flow.deniedPackets, observed: flow.observed },
    ...{ wouldDeny: isAllowed ? 0 : flow.connections, wouldAllow: isAllowed ? flow.deniedPackets : 0 },
    ...{ firstSeenMs: flow.firstSeenMs, lastSeenMs: flow.lastSeenMs },
  };
  return create(wire.PictureFlowGroupSchema, {
    sourceAddress: flow.sourceAddress,
    destinationAddress: flow.destinationAddress,
    sourceKey: flow.sourceKey ?? "",
    destinationKey: flow.destinationKey ?? "",
    protocol: flow.protocol,
    port: flow.port,
    flows: toWireFlows(sums),
    draftAllows: isAllowed,
  });
}

export function toWireHost({ host, stateDigest, generation, problem, observes }: HostEnforced): wire.PictureHost {
  const sinceMs = awaySinceMs(host);
  return create(wire.PictureHostSchema, {
    ...{ hostId: host.id, name: labelOf(host), stateDigest, generation, problem, observes },
    ...(sinceMs === null ? {} : { awaySince: timestampFromMs(sinceMs) }),
  });
}
