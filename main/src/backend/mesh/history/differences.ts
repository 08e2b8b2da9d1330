/** What happened while nobody looked, as far as it shows: in the words in which changes are told. */
import { MeshChangeKind, MeshNodeState } from "@wardline/api/wardline/console/v1/mesh";
import type { GraphChange, GraphNode, MeshGraph } from "@wardline/domain/mesh";

const STATES: Record<MeshNodeState, string> = {
  [MeshNodeState.UNSPECIFIED]: "in no known state",
  [MeshNodeState.INITIALIZING]: "starting",
  [MeshNodeState.ONLINE]: "online",
  [MeshNodeState.DEGRADED]: "degraded",
  [MeshNodeState.OFFLINE]: "offline",
  [MeshNodeState.UNKNOWN]: "unknown",
};
const SINCE = "while no console looked";

export function changesBetween(before: MeshGraph, now: MeshGraph, atMs: number): GraphChange[] {
  const changes: GraphChange[] = [];
  const say = (kind: MeshChangeKind, id: string, sentence: string) => changes.push({ atMs, kind, id, sentence });
  const label = (id: string) => (now.nodes.get(id) ?? before.nodes.get(id))?.label || id;
  for (const node of now.nodes.values()) {
    const known = before.nodes.get(node.id);
    if (!known) say(MeshChangeKind.NODE_NEW, node.id, `${node.label} came ${SINCE}`);
    else if (known.state !== node.state) say(MeshChangeKind.NODE_STATE, node.id, stateSentence(node));
  }
  for (const node of before.nodes.values()) {
    if (!now.nodes.has(node.id)) say(MeshChangeKind.NODE_GONE, node.id, `${node.label} went ${SINCE}`);
  }
  for (const link of now.links.values()) {
    const known = before.links.get(link.id);
    const name = `${label(link.a)} – ${label(link.b)}`;
    if (!known) say(MeshChangeKind.LINK_NEW, link.id, `${name} came ${SINCE}`);
    else if (known.isUp && !link.isUp) say(MeshChangeKind.LINK_DOWN, link.id, `${name} went down ${SINCE}`);
    else if (!known.isUp && link.isUp) say(MeshChangeKind.LINK_UP, link.id, `${name} came up ${SINCE}`);
  }
  for (const link of before.links.values()) {
    if (now.links.has(link.id)) continue;
    say(MeshChangeKind.LINK_GONE, link.id, `${label(link.a)} – ${label(link.b)} went ${SINCE}`);
  }
  return changes;
}

function stateSentence({ label, state }: GraphNode): string {
  return `${label} became ${STATES[state]} ${SINCE}`;
}
