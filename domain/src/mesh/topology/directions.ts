/** A link from what its two ends say of it. */
import { LinkClass } from "@wardline/api/wardline/console/v1/mesh";
import { MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import type { GraphDirection } from "./graph.ts";
import { MESH_LIVENESS } from "./limits.ts";
import { type Figures, NO_FIGURES, overlayKey } from "./reading.ts";
import type { HostRecord, NeighbourRecord, NodeRecord, ProviderRecord } from "./records.ts";
import { classOf, scoreOf } from "./score.ts";

/** How long an end may not know of a link that the other tells of, before its silence says that there is none. */
export const CONFIRM_WITHIN_MS = 15_000;

const UNOBSERVED: GraphDirection = {
  isObserved: false,
  isUp: false,
  ...NO_FIGURES,
  score: null,
  linkClass: LinkClass.UNMEASURED,
  isInbound: false,
  uri: "",
  measuredAtMs: null,
};

/** One end of a link. */
export interface LinkEnd {
  readonly host: HostRecord | null;
  readonly provider: ProviderRecord | undefined;
  /** What it says of the other end. */
  readonly told: NeighbourRecord | undefined;
}

/** `otherKey`: of the other end; `undefined` = it has none that is its own. */
export function linkEnd(node: NodeRecord, provider: MeshProvider, otherKey: string | undefined): LinkEnd {
  const record = node.host?.providers.get(provider);
  return {
    host: node.host,
    provider: record,
    told: otherKey === undefined ? undefined : record?.neighbours.get(otherKey),
  };
}

/** Whether the daemon's answer counts: of a host whose word does. */
export function isProviderFresh(host: HostRecord, record: ProviderRecord, nowMs: number): boolean {
  const { reading } = record;
  if (!host.isFresh || host.receivedAtMs === null || reading === null) return false;
  switch (reading.state) {
    case MeshProviderState.UP:
      return reading.answerAgeMs + (nowMs - host.receivedAtMs) < MESH_LIVENESS.daemonMs;
    case MeshProviderState.DOWN:
    case MeshProviderState.ABSENT:
      return true;
    default:
      // It does not answer, or in no known shape: what its neighbours are to it is not known.
      return false;
  }
}

export interface DirectionContext {
  readonly provider: MeshProvider;
  /** The end it begins at, and the other. */
  readonly from: LinkEnd;
  readonly to: LinkEnd;
  readonly before: GraphDirection | undefined;
}

export function directionOf({ provider, from, to, before }: DirectionContext): GraphDirection {
  const { host, provider: record, told } = from;
  const neighbour = told?.neighbour;
  const shown = { isInbound: neighbour?.isInbound ?? false, uri: neighbour?.uri ?? "" };
  if (host === null || host.receivedAtMs === null || record === undefined || record.reading === null) {
    return before === undefined ? UNOBSERVED : unobserved({ ...before, ...(neighbour ? shown : {}) });
  }
  const measuredAtMs = Math.round(host.receivedAtMs - record.reading.answerAgeMs);
  const isCutOff = record.reading.isTruncated && told !== undefined && told.toldAtMs < host.receivedAtMs;
  if (!record.isFresh || isCutOff) {
    return unobserved({ ...UNOBSERVED, ...shown, measuredAtMs: before?.measuredAtMs ?? measuredAtMs });
  }
  if (told === undefined) {
    return isDenied(provider, record, to, measuredAtMs)
      ? { ...UNOBSERVED, isObserved: true, measuredAtMs }
      : UNOBSERVED;
  }
  const isUp = record.reading.state === MeshProviderState.UP && told.lostAtMs === null && told.neighbour.isUp;
  if (!isUp) return { ...UNOBSERVED, ...shown, isObserved: true, measuredAtMs };
  const figures = withOverlayProbe(
    told.neighbour.figures,
    to.host && host.overlayProbes.get(overlayKey(provider, to.host.name)),
  );
  const score = scoreOf(figures, provider);
  const linkClass = classOf(score, before?.linkClass);
  return { isObserved: true, isUp, ...figures, score, linkClass, ...shown, measuredAtMs };
}

function unobserved({ isInbound, uri, measuredAtMs }: GraphDirection): GraphDirection {
  return { ...UNOBSERVED, isInbound, uri, measuredAtMs };
}

/** A host that does not list a neighbour does not see it, once it had the time to. A list that was cut says nothing. */
function isDenied(provider: MeshProvider, record: ProviderRecord, to: LinkEnd, measuredAtMs: number): boolean {
  if (provider === MeshProvider.IP || record.reading === null || to.told === undefined) return false;
  const { state, isTruncated } = record.reading;
  return state === MeshProviderState.UP && !isTruncated && measuredAtMs - to.told.firstToldMs >= CONFIRM_WITHIN_MS;
}

/** End to end over the mesh to a direct neighbour: loss and path MTU are of this link, and a round trip where the mesh has none. */
function withOverlayProbe(figures: Figures, probe: Figures | null | undefined): Figures {
  if (!probe) return figures;
  return {
    ...figures,
    latencyMs: figures.latencyMs ?? probe.latencyMs,
    loss: figures.loss ?? probe.loss,
    pathMtuBytes: figures.pathMtuBytes ?? probe.pathMtuBytes,
  };
}

/**
 * A session of a mesh needs both of its ends: whoever may speak has to see it up. An echo that came back proves both ways,
 * so of a plain link one end is enough.
 */
export function isLinkUp(provider: MeshProvider, aToB: GraphDirection, bToA: GraphDirection): boolean {
  if (provider === MeshProvider.IP) return aToB.isUp || bToA.isUp;
  const ends = [aToB, bToA].filter(({ isObserved }) => isObserved);
  return ends.length > 0 && ends.every(({ isUp }) => isUp);
}

export function sameDirection(one: GraphDirection, other: GraphDirection): boolean {
  return (
    one.isObserved === other.isObserved &&
    one.isUp === other.isUp &&
    one.latencyMs === other.latencyMs &&
    one.loss === other.loss &&
    one.quality === other.quality &&
    one.throughputBitsPerSecond === other.throughputBitsPerSecond &&
    one.cost === other.cost &&
    one.pathMtuBytes === other.pathMtuBytes &&
    one.score === other.score &&
    one.linkClass === other.linkClass &&
    one.isInbound === other.isInbound &&
    one.uri === other.uri &&
    one.measuredAtMs === other.measuredAtMs
  );
}
