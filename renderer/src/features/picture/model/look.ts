/** How nodes and edges are drawn under each overlay: every meaning has a colour and also a pattern or a shape. */
import {
  PictureAccess,
  PictureClass,
  type PictureEdge,
  type PictureNode,
  PictureNodeKind,
} from "@wardline/api/wardline/console/v1/picture";
import { DASH, type Dash, type LookTone, type NodeShape, SHAPE } from "../../../graph/looks.ts";
import type { Overlay } from "./picture-store.ts";
import { protectionSaid } from "./words.ts";

export interface EdgeLook {
  readonly tone: LookTone;
  readonly dash: Dash;
  /** Pixels. */
  readonly width: number;
  readonly words: string;
}

const QUIET: EdgeLook = { tone: "unknown", dash: DASH.dots, width: 1.2, words: "nothing to say" };
const LOOKS = {
  allowed: { tone: "allow", dash: DASH.solid, width: 2.4, words: "allowed" },
  allAllowed: { tone: "allow", dash: DASH.solid, width: 3.4, words: "every port" },
  somePorts: { tone: "allow", dash: DASH.solid, width: 2, words: "some ports" },
  someMembers: { tone: "allow", dash: DASH.long, width: 2, words: "some members only" },
  denied: { tone: "deny", dash: DASH.short, width: 2, words: "denied" },
  observed: { tone: "observed", dash: DASH.dashDot, width: 2.2, words: "a policy that only observes would deny it" },
  mixed: { tone: "observed", dash: DASH.long, width: 2.2, words: "some let through, some denied" },
  silent: { ...QUIET, words: "nothing seen" },
  closes: { tone: "deny", dash: DASH.gaps, width: 3, words: "would close" },
  opens: { tone: "allow", dash: DASH.long, width: 3, words: "would open" },
  both: { tone: "observed", dash: DASH.dashDot, width: 3, words: "would open and close" },
  unknown: { tone: "unknown", dash: DASH.short, width: 1.8, words: "not known what is enforced" },
  same: { ...QUIET, words: "stays as it is" },
} as const satisfies Record<string, EdgeLook>;

export const LEGENDS: Readonly<Record<Overlay, readonly EdgeLook[]>> = {
  reported: [LOOKS.allowed, LOOKS.mixed, LOOKS.observed, LOOKS.denied, LOOKS.silent],
  draft: [LOOKS.allAllowed, LOOKS.somePorts, LOOKS.someMembers, LOOKS.observed, LOOKS.denied],
  difference: [LOOKS.closes, LOOKS.opens, LOOKS.both, LOOKS.unknown, LOOKS.same],
};

export function edgeLook(edge: PictureEdge, overlay: Overlay): EdgeLook {
  switch (overlay) {
    case "reported":
      return reportedLook(edge);
    case "draft":
      return draftLook(edge);
    case "difference":
      return differenceLook(edge);
  }
}

function reportedLook({ flows }: PictureEdge): EdgeLook {
  const [connections, denied, observed] = [
    flows?.connections ?? 0n,
    flows?.deniedPackets ?? 0n,
    flows?.observedConnections ?? 0n,
  ];
  if (connections === 0n) return denied > 0n ? LOOKS.denied : LOOKS.silent;
  if (denied > 0n) return LOOKS.mixed;
  return observed > 0n ? LOOKS.observed : LOOKS.allowed;
}

function draftLook({ draft }: PictureEdge): EdgeLook {
  if (draft?.access === PictureAccess.NONE) return LOOKS.denied;
  if (draft?.observed) return LOOKS.observed;
  if (draft?.access === PictureAccess.ALL) return LOOKS.allAllowed;
  return draft?.access === PictureAccess.SOME_PORTS ? LOOKS.somePorts : LOOKS.someMembers;
}

function differenceLook({ classes }: PictureEdge): EdgeLook {
  const [closes, opens] = [classes.includes(PictureClass.WOULD_CLOSE), classes.includes(PictureClass.WOULD_OPEN)];
  if (closes && opens) return LOOKS.both;
  if (closes) return LOOKS.closes;
  if (opens) return LOOKS.opens;
  return classes.includes(PictureClass.UNKNOWN) ? LOOKS.unknown : LOOKS.same;
}

export interface NodeLook {
  readonly tone: LookTone;
  readonly shape: NodeShape;
  readonly words: string;
}

export const NODE_LOOKS: readonly NodeLook[] = [
  { tone: "allow", shape: SHAPE.disc, words: "policies for both directions" },
  { tone: "observed", shape: SHAPE.triangle, words: "policies for a part" },
  { tone: "deny", shape: SHAPE.ring, words: "no policy at all" },
  { tone: "unknown", shape: SHAPE.square, words: "outside of the inventory" },
];

export function nodeLook(node: PictureNode): NodeLook {
  const isInside = node.kind === PictureNodeKind.GROUP || node.kind === PictureNodeKind.ENDPOINT;
  const { shape } = protectionSaid(node);
  const index = !isInside ? 3 : shape === "allow" ? 0 : shape === "observed" ? 1 : 2;
  return NODE_LOOKS[index] ?? { tone: "unknown", shape: SHAPE.square, words: "" };
}

/** Pixels; larger groups are larger, within bounds. */
export function nodeRadius({ members }: PictureNode, nodeCount: number): number {
  const room = nodeCount > 300 ? 0.5 : nodeCount > 80 ? 0.7 : 1;
  return Math.min(18, 7 + Math.log2(1 + members) * 1.6) * room;
}
