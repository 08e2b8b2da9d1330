/** The picture as it goes to windows. */
import { create } from "@bufbuild/protobuf";
import * as wire from "@wardline/api/wardline/console/v1/mesh";
import type {
  FoundPath,
  GraphChange,
  GraphDirection,
  GraphIdentity,
  GraphLink,
  GraphNode,
  GraphPartition,
} from "@wardline/domain/mesh";
import { timestampOf } from "@wardline/domain/wire";

/** Published nodes and links never change: each is put together once. */
const nodes = new WeakMap<GraphNode, wire.MeshNode>();
const links = new WeakMap<GraphLink, wire.MeshLink>();

export function toWireNode(node: GraphNode): wire.MeshNode {
  const known = nodes.get(node);
  if (known) return known;
  const { id, label, hostId, state, stateSinceMs, lastSeenMs, identities, groups, problems } = node;
  const made = create(wire.MeshNodeSchema, {
    ...{ id, label, hostId, state, groups: [...groups], problems: [...problems] },
    ...{ stateSince: timestampOf(stateSinceMs), identities: identities.map(toWireIdentity) },
    ...(lastSeenMs === null ? {} : { lastSeen: timestampOf(lastSeenMs) }),
  });
  nodes.set(node, made);
  return made;
}

function toWireIdentity({ provider, key, address, subnet, toldBy, generation, version, daemon }: GraphIdentity) {
  return create(wire.MeshNodeIdentitySchema, {
    ...{ provider, identity: { key, address, subnet }, toldBy: [...toldBy], generation, version, daemon },
  });
}

export function toWireLink(link: GraphLink): wire.MeshLink {
  const known = links.get(link);
  if (known) return known;
  const { id, provider, a, b, aToB, bToA, isUp, isFlapping, isBridge, sinceMs } = link;
  const made = create(wire.MeshLinkSchema, {
    ...{ id, provider, a, b, aToB: toWireDirection(aToB), bToA: toWireDirection(bToA) },
    ...{ up: isUp, flapping: isFlapping, bridge: isBridge, since: timestampOf(sinceMs) },
  });
  links.set(link, made);
  return made;
}

export function toWireDirection(direction: GraphDirection): wire.MeshDirection {
  const { latencyMs, loss, quality, throughputBitsPerSecond, cost, pathMtuBytes, score, measuredAtMs } = direction;
  return create(wire.MeshDirectionSchema, {
    ...{ observed: direction.isObserved, up: direction.isUp, class: direction.linkClass },
    ...{ inbound: direction.isInbound, uri: direction.uri },
    ...measured({ latencyMs, loss, quality, pathMtuBytes, score }),
    ...(throughputBitsPerSecond === null ? {} : { throughputBitsPerSecond: whole(throughputBitsPerSecond) }),
    ...(cost === null ? {} : { cost: whole(cost) }),
    ...(measuredAtMs === null ? {} : { measuredAt: timestampOf(measuredAtMs) }),
  });
}

/** Absent where it was not measured, never 0. */
function measured<Name extends string>(figures: Readonly<Record<Name, number | null>>): Partial<Record<Name, number>> {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== null)) as Partial<
    Record<Name, number>
  >;
}

function whole(value: number): bigint {
  return BigInt(Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.round(value))));
}

export function toWirePartitions(partitions: readonly GraphPartition[]): wire.MeshPartition[] {
  return partitions.map(({ provider, nodeIds }) =>
    create(wire.MeshPartitionSchema, { provider, nodeIds: [...nodeIds] }),
  );
}

export function toWireChange({ atMs, kind, id, sentence }: GraphChange): wire.MeshChange {
  return create(wire.MeshChangeSchema, { at: timestampOf(atMs), kind, id, sentence });
}

export function toWirePath({ hops, cost, latencyMs, loss, isObserved }: FoundPath): wire.MeshPath {
  return create(wire.MeshPathSchema, {
    hops: hops.map(({ linkId, from, to, direction }) => ({ linkId, from, to, direction: toWireDirection(direction) })),
    ...{ cost, isObserved },
    ...measured({ latencyMs, loss }),
  });
}
