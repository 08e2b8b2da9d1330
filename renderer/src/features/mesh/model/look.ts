/** How nodes and links are drawn: every state has a colour and also a shape, a width or a pattern of its own. */
import {
  LinkClass,
  type MeshDirection,
  type MeshLink,
  type MeshNode,
  MeshNodeState,
} from "@wardline/api/wardline/console/v1/mesh";
import { DASH, type Dash, type LookTone, type NodeShape, SHAPE } from "../../../graph/looks.ts";

export interface DirectionLook {
  readonly tone: LookTone;
  readonly dash: Dash;
  /** Pixels. */
  readonly width: number;
}

export const WIDEST_LINE = 5;

export const CLASS_LOOKS: Record<LinkClass, DirectionLook> = {
  [LinkClass.UNSPECIFIED]: { tone: "unknown", dash: DASH.dots, width: 1.6 },
  [LinkClass.EXCELLENT]: { tone: "allow", dash: DASH.solid, width: WIDEST_LINE },
  [LinkClass.GOOD]: { tone: "allow", dash: DASH.solid, width: 3 },
  [LinkClass.FAIR]: { tone: "observed", dash: DASH.solid, width: 1.8 },
  [LinkClass.POOR]: { tone: "observed", dash: DASH.long, width: 2.2 },
  [LinkClass.BAD]: { tone: "deny", dash: DASH.short, width: 2.2 },
  [LinkClass.UNMEASURED]: { tone: "unknown", dash: DASH.dots, width: 1.6 },
};
export const LOST_LOOK: DirectionLook = { tone: "deny", dash: DASH.gaps, width: 1.6 };
export const FLAPPING_LOOK: DirectionLook = { tone: "observed", dash: DASH.dashDot, width: 2.6 };
const NOT_TOLD_LOOK = CLASS_LOOKS[LinkClass.UNMEASURED];

/** The half of a link that lies at the node which looks along it. */
export function directionLook(link: MeshLink, direction: MeshDirection | undefined): DirectionLook {
  if (link.flapping) return FLAPPING_LOOK;
  if (!direction?.observed) return link.up ? NOT_TOLD_LOOK : LOST_LOOK;
  return direction.up ? CLASS_LOOKS[direction.class] : LOST_LOOK;
}

export interface NodeLook {
  readonly tone: LookTone;
  readonly shape: NodeShape;
  /** Pixels. */
  readonly radius: number;
}

const NODE_LOOKS: Record<MeshNodeState, Omit<NodeLook, "radius">> = {
  [MeshNodeState.UNSPECIFIED]: { tone: "unknown", shape: SHAPE.ring },
  [MeshNodeState.INITIALIZING]: { tone: "unknown", shape: SHAPE.target },
  [MeshNodeState.ONLINE]: { tone: "allow", shape: SHAPE.disc },
  [MeshNodeState.DEGRADED]: { tone: "observed", shape: SHAPE.triangle },
  [MeshNodeState.OFFLINE]: { tone: "deny", shape: SHAPE.square },
  [MeshNodeState.UNKNOWN]: { tone: "unknown", shape: SHAPE.ring },
};

/** Managed hosts are larger than what is known from others only; a large mesh has smaller marks. */
export function nodeLook(node: MeshNode, nodeCount: number): NodeLook {
  const room = nodeCount > 400 ? 0.33 : nodeCount > 80 ? 0.7 : 1;
  return { ...NODE_LOOKS[node.state], radius: (node.hostId === "" ? 7 : 9.5) * room };
}
