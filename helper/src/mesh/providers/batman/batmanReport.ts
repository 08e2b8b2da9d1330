/** What `batctl` said, as a report. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type MeshGateway,
  MeshGatewaySchema,
  MeshIdentitySchema,
  type MeshPeer,
  MeshPeerSchema,
  MeshProvider,
  type MeshProviderReport,
  MeshProviderReportSchema,
  MeshProviderState,
  type MeshRoute,
  MeshRouteSchema,
} from "@wardline/api/wardline/v1/mesh";
import type { KnownInterface } from "./meshInterfaces.ts";
import type { GatewayReply, HardInterfaceReply, MeshReply, NeighborReply, OriginatorReply } from "./replies.ts";

const MAX_PEERS = 1_000;
const MAX_ROUTES = 4_000;
const MAX_GATEWAYS = 256;
/**
 * A neighbour is up while it was heard within five intervals of originator messages, three seconds at least. The kernel
 * lists it for 200 s.
 */
const HEARD_INTERVALS = 5;
const SHORTEST_HEARD_MS = 3_000;
const USUAL_INTERVAL_MS = 1_000;

export interface BatmanAnswers {
  readonly mesh: MeshReply;
  readonly originators: readonly OriginatorReply[];
  readonly neighbors: readonly NeighborReply[];
  /** `null` = this release does not tell. */
  readonly hardInterfaces: readonly HardInterfaceReply[] | null;
  readonly gateways: readonly GatewayReply[] | null;
}

export function reportOf(
  answers: BatmanAnswers,
  own: KnownInterface,
  all: readonly KnownInterface[],
): MeshProviderReport {
  const { mesh, originators, neighbors, gateways, hardInterfaces } = answers;
  const nameOf = (at: { readonly interfaceName: string | null; readonly interfaceIndex: number | null }) =>
    at.interfaceName ?? all.find(({ index }) => index === at.interfaceIndex)?.name ?? "";
  const isIdle = hardInterfaces !== null && !hardInterfaces.some(({ active }) => active);
  const best = originators.toSorted((one, other) => Number(other.best) - Number(one.best));
  return create(MeshProviderReportSchema, {
    provider: MeshProvider.BATMAN,
    state: isIdle ? MeshProviderState.DOWN : MeshProviderState.UP,
    detail: isIdle ? `No active interface belongs to ${own.name}: nothing is sent over the mesh.` : others(own, all),
    ...{ version: mesh.version, generation: mesh.algorithm, interfaceName: own.name },
    capabilities: ["peers", "paths", ...(gateways === null ? [] : ["gateways"])],
    // Others know this node by the address that its originator messages carry.
    self: create(MeshIdentitySchema, { key: mesh.originator ?? mesh.meshAddress }),
    ...(own.mtuBytes !== null && { mtuBytes: own.mtuBytes }),
    peers: neighbors.slice(0, MAX_PEERS).map((neighbor) => peerOf(neighbor, answers, nameOf)),
    routes: best.slice(0, MAX_ROUTES).map(routeOf),
    gateways: (gateways ?? []).slice(0, MAX_GATEWAYS).map(gatewayOf),
    truncated:
      neighbors.length > MAX_PEERS || originators.length > MAX_ROUTES || (gateways ?? []).length > MAX_GATEWAYS,
  });
}

function others(own: KnownInterface, all: readonly KnownInterface[]): string {
  const names = all.filter(({ kind, name }) => kind === own.kind && name !== own.name).map(({ name }) => name);
  return names.length === 0
    ? ""
    : `Of several meshes this is ${own.name}; ${names.slice(0, 8).join(", ")} ${names.length === 1 ? "is" : "are"} not shown.`;
}

type NameOf = (at: { readonly interfaceName: string | null; readonly interfaceIndex: number | null }) => string;

function peerOf(neighbor: NeighborReply, { mesh, originators }: BatmanAnswers, nameOf: NameOf): MeshPeer {
  const interfaceName = nameOf(neighbor);
  // The quality of the link itself is that of the way to the neighbour over the neighbour.
  const direct = originators.find(
    (each) =>
      each.originator === neighbor.address && each.nextHop === neighbor.address && nameOf(each) === interfaceName,
  );
  const intervalMs = mesh.originatorIntervalMs ?? USUAL_INTERVAL_MS;
  const throughput = neighbor.throughputBitsPerSecond ?? direct?.throughputBitsPerSecond ?? null;
  const quality = direct?.quality ?? null;
  return create(MeshPeerSchema, {
    key: neighbor.address,
    up: neighbor.lastSeenMs <= Math.max(SHORTEST_HEARD_MS, HEARD_INTERVALS * intervalMs),
    interfaceName,
    lastHeardAge: durationFromMs(neighbor.lastSeenMs),
    ...(quality !== null && { quality }),
    ...(throughput !== null && { throughputBitsPerSecond: throughput }),
  });
}

function routeOf({ originator, nextHop, best, quality, throughputBitsPerSecond }: OriginatorReply): MeshRoute {
  return create(MeshRouteSchema, {
    ...{ destinationKey: originator, nextHopKey: nextHop, best },
    ...(quality !== null && { quality }),
    ...(throughputBitsPerSecond !== null && { throughputBitsPerSecond }),
  });
}

function gatewayOf({
  originator,
  router,
  best,
  quality,
  upBitsPerSecond,
  downBitsPerSecond,
}: GatewayReply): MeshGateway {
  return create(MeshGatewaySchema, {
    ...{ key: originator, routerKey: router, best },
    ...(quality !== null && { quality }),
    ...(upBitsPerSecond !== null && { bandwidthUpBitsPerSecond: upBitsPerSecond }),
    ...(downBitsPerSecond !== null && { bandwidthDownBitsPerSecond: downBitsPerSecond }),
  });
}
