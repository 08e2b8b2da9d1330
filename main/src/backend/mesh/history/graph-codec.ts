/** Pictures and changes of them as bytes, without figures: those are sampled. */
import { promisify } from "node:util";
import { deflateRaw, inflateRaw } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import * as wire from "@wardline/api/wardline/console/v1/mesh";
import type { GraphDirection, GraphIdentity, GraphLink, GraphNode } from "@wardline/domain/mesh";
import { toWireLink, toWireNode } from "../mesh-wire.ts";

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);
const MAX_PART_BYTES = 64 * 1024 * 1024;

export interface GraphPart {
  readonly nodes: readonly GraphNode[];
  readonly links: readonly GraphLink[];
  readonly goneNodeIds: readonly string[];
  readonly goneLinkIds: readonly string[];
}

export async function packPart({ nodes, links, goneNodeIds, goneLinkIds }: GraphPart): Promise<Uint8Array> {
  const part = create(wire.WatchMeshResponseSchema, {
    nodes: nodes.map(toWireNode),
    links: links.map((link) => ({ ...toWireLink(link), aToB: bare(link.aToB), bToA: bare(link.bToA) })),
    goneNodeIds: [...goneNodeIds],
    goneLinkIds: [...goneLinkIds],
  });
  return deflate(toBinary(wire.WatchMeshResponseSchema, part), { level: 3 });
}

/** @throws Error where the bytes are none of these */
export async function unpackPart(packed: Uint8Array): Promise<GraphPart> {
  const bytes = await inflate(packed, { maxOutputLength: MAX_PART_BYTES });
  const { nodes, links, goneNodeIds, goneLinkIds } = fromBinary(wire.WatchMeshResponseSchema, bytes);
  return { nodes: nodes.map(fromWireNode), links: links.map(fromWireLink), goneNodeIds, goneLinkIds };
}

/** Whether only figures differ. */
export function isSameLink(one: GraphLink, other: GraphLink): boolean {
  if (one === other) return true;
  const { isUp, isFlapping, isBridge, sinceMs } = one;
  if (isUp !== other.isUp || isFlapping !== other.isFlapping || isBridge !== other.isBridge) return false;
  return sinceMs === other.sinceMs && isSameWay(one.aToB, other.aToB) && isSameWay(one.bToA, other.bToA);
}

function isSameWay(one: GraphDirection, { isObserved, isUp, isInbound, uri }: GraphDirection): boolean {
  return one.isObserved === isObserved && one.isUp === isUp && one.isInbound === isInbound && one.uri === uri;
}

/** Whether only the time differs at which it was seen. */
export function isSameNode(one: GraphNode, other: GraphNode): boolean {
  if (one === other) return true;
  if (one.state !== other.state || one.stateSinceMs !== other.stateSinceMs || one.label !== other.label) return false;
  const isSame = (a: unknown, b: unknown) => a === b || JSON.stringify(a) === JSON.stringify(b);
  if (one.hostId !== other.hostId || !isSame(one.problems, other.problems)) return false;
  return isSame(one.groups, other.groups) && isSame(one.identities, other.identities);
}

function bare({ isObserved, isUp, isInbound, uri }: GraphDirection) {
  return create(wire.MeshDirectionSchema, {
    ...{ observed: isObserved, up: isUp, inbound: isInbound, uri },
  });
}

function fromWireNode(node: wire.MeshNode): GraphNode {
  const { id, label, hostId, state, groups, problems } = node;
  return {
    ...{ id, label, hostId, state, groups, problems, stateSinceMs: msOf(node.stateSince) ?? 0 },
    ...{ lastSeenMs: msOf(node.lastSeen), identities: node.identities.map(fromWireIdentity) },
  };
}

function fromWireIdentity(each: wire.MeshNodeIdentity): GraphIdentity {
  const { provider, identity, toldBy, generation, version, daemon } = each;
  const { key = "", address = "", subnet = "" } = identity ?? {};
  return { provider, key, address, subnet, toldBy, generation, version, daemon };
}

function fromWireLink(link: wire.MeshLink): GraphLink {
  const { id, provider, a, b, aToB, bToA, up, flapping, bridge, since } = link;
  return {
    ...{ id, provider, a, b, aToB: fromWireDirection(aToB), bToA: fromWireDirection(bToA) },
    ...{ isUp: up, isFlapping: flapping, isBridge: bridge, sinceMs: msOf(since) ?? 0 },
  };
}

function fromWireDirection(direction: wire.MeshDirection | undefined): GraphDirection {
  return {
    ...{ isObserved: direction?.observed ?? false, isUp: direction?.up ?? false },
    ...{ latencyMs: null, loss: null, quality: null, throughputBitsPerSecond: null, cost: null, pathMtuBytes: null },
    ...{ score: null, measuredAtMs: null, isInbound: direction?.inbound ?? false, uri: direction?.uri ?? "" },
    // Without a sample of that time there is no score either.
    linkClass: wire.LinkClass.UNMEASURED,
  };
}

function msOf(time: Timestamp | undefined): number | null {
  return time ? timestampMs(time) : null;
}
