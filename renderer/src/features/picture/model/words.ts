import {
  PictureAccess,
  PictureClass,
  type PictureEdge,
  type PictureFlows,
  PictureGrouping,
  type PictureNode,
  PictureNodeKind,
  type PictureSide,
} from "@wardline/api/wardline/console/v1/picture";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { formatAge, formatCount, formatQuantity, type VerdictShape, visibleText } from "../../../ui/index.ts";

import type { ShownPicture } from "./shown.ts";

export interface Said {
  readonly shape: VerdictShape;
  readonly words: string;
}

export const idOfEdge = ({ sourceId, destinationId }: Pick<PictureEdge, "sourceId" | "destinationId">): string =>
  `${sourceId}\n${destinationId}`;

export const CLASS_WORDS: Record<PictureClass, string> = {
  [PictureClass.UNSPECIFIED]: "nothing",
  [PictureClass.WOULD_CLOSE]: "would close",
  [PictureClass.WOULD_OPEN]: "would open",
  [PictureClass.TRIED]: "denied and tried",
  [PictureClass.USED]: "used",
  [PictureClass.UNUSED]: "allowed, never used",
  [PictureClass.UNKNOWN]: "enforcement unknown",
};

export const CLASSES: readonly PictureClass[] = [
  PictureClass.WOULD_CLOSE,
  PictureClass.WOULD_OPEN,
  PictureClass.TRIED,
  PictureClass.USED,
  PictureClass.UNUSED,
  PictureClass.UNKNOWN,
];

export const GROUPING_WORDS: Record<PictureGrouping, string> = {
  [PictureGrouping.UNSPECIFIED]: "labels of policies",
  [PictureGrouping.LABELS]: "labels",
  [PictureGrouping.NAMESPACE]: "namespace",
  [PictureGrouping.HOST]: "host",
  [PictureGrouping.ENDPOINT]: "single endpoints",
};

export function nodeName(node: Pick<PictureNode, "name" | "namespace"> | undefined): string {
  if (!node) return "?";
  const isPlain = node.namespace === "" || node.namespace === "default" || node.name === node.namespace;
  return visibleText(isPlain ? node.name : `${node.namespace}: ${node.name}`);
}

/** What one side lets through, with its ports. */
export function sideSaid(side: PictureSide | undefined): Said {
  const ports = visibleText(side?.ports?.text ?? "");
  switch (side?.access) {
    case PictureAccess.ALL:
      return { shape: side.observed ? "observed" : "allow", words: "every port" };
    case PictureAccess.SOME_PORTS:
      return { shape: side.observed ? "observed" : "allow", words: ports };
    case PictureAccess.SOME_MEMBERS:
      return {
        shape: side.observed ? "observed" : "allow",
        words: `${ports} for ${formatCount(side.allowedPairs)} of ${formatCount(side.pairs)} pairs`,
      };
    case PictureAccess.NONE:
      return { shape: "deny", words: "nothing" };
    default:
      return { shape: "unknown", words: "not known" };
  }
}

/** `last heard 12 min ago` */
export const heardSaid = (sinceMs: number, nowMs: number): string =>
  `last heard ${formatAge(Math.max(0, nowMs - sinceMs))} ago`;

/** What is enforced as far as it is known: of hosts that are away it is their last word, and said to be. */
export function enforcedSaid(edge: PictureEdge, shown: ShownPicture): Said {
  const said = sideSaid(edge.enforced);
  const sinceMs = awaySinceMs([shown.byId.get(edge.sourceId), shown.byId.get(edge.destinationId)]);
  if (sinceMs === null || edge.enforced?.access === PictureAccess.UNKNOWN) return said;
  const nowMs = optionalMs(shown.picture.madeAt) ?? sinceMs;
  return { ...said, words: `${said.words}, ${heardSaid(sinceMs, nowMs)}` };
}

/** Of the member longest unheard; `null` = nobody is away. */
export function awaySinceMs(nodes: readonly (PictureNode | undefined)[]): number | null {
  const times = nodes.flatMap((node) => (node && node.awayMembers > 0 ? (optionalMs(node.awaySince) ?? []) : []));
  return times.length === 0 ? null : Math.min(...times);
}

/** What flows reported in the window. */
export function flowsSaid(flows: PictureFlows | undefined): Said {
  const connections = flows?.connections ?? 0n;
  const denied = flows?.deniedPackets ?? 0n;
  const observed = flows?.observedConnections ?? 0n;
  const parts = [
    connections > 0n ? formatQuantity(connections, "connection") : "",
    observed > 0n ? `${formatCount(observed)} of them observed only` : "",
    denied > 0n ? `${formatQuantity(denied, "packet")} denied` : "",
  ].filter(Boolean);
  if (parts.length === 0) return { shape: "unknown", words: "nothing seen" };
  const shape = connections === 0n ? "deny" : observed > 0n || denied > 0n ? "observed" : "allow";
  return { shape, words: parts.join(", ") };
}

export function classesSaid(edge: PictureEdge): string {
  return edge.classes.map((each) => CLASS_WORDS[each]).join(", ") || "as before";
}

/** Whether its members are spoken of by policies. */
export function protectionSaid(node: PictureNode): Said {
  const { kind, members, ingressMembers, egressMembers } = node;
  if (kind !== PictureNodeKind.GROUP && kind !== PictureNodeKind.ENDPOINT)
    return { shape: "unknown", words: "outside" };
  if (ingressMembers === 0 && egressMembers === 0) return { shape: "deny", words: "no policy" };
  if (ingressMembers === members && egressMembers === members) return { shape: "allow", words: "both directions" };
  const part = (count: number, name: string) =>
    count === members ? name : count === 0 ? "" : `${name} of ${formatCount(count)} of ${formatCount(members)}`;
  const parts = [part(ingressMembers, "ingress"), part(egressMembers, "egress")].filter(Boolean);
  return { shape: "observed", words: `${parts.join(" and ")} only` };
}
