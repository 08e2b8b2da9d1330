/** A picture as a graph in the DOT language of Graphviz. */
import { formatPortSet } from "../access/index.ts";
import type { PictureEdge, PictureNode } from "./model.ts";
import type { PolicyPicture } from "./picture.ts";

const MAX_PORTS = 60;

/**
 * What the draft lets through, one line for each node and edge, always in the same order. Lines are solid for every
 * member, dashed for some and dotted where a policy that only observes would deny; what is denied is left out. No name is
 * markup: quotes and backslashes are escaped, control characters become spaces.
 */
export function pictureDot({ nodes, edges }: PolicyPicture): string {
  const drawn = edges.filter(({ draft }) => draft.allowedPairs > 0);
  return `digraph policy {
  rankdir=LR;
  node [fontname="sans-serif", style=rounded, shape=box];
  edge [fontname="sans-serif", fontsize=10];
${[...nodes.map(nodeLine), ...drawn.map(edgeLine)].join("\n")}
}
`;
}

function nodeLine({ id, name, namespace, members, ingressMembers, egressMembers }: PictureNode): string {
  const label = namespace === "" || namespace === "default" || namespace === name ? name : `${namespace}: ${name}`;
  const count = members.length > 1 ? ` (${members.length})` : "";
  const isOutside = members.length === 0;
  // A group that no policy speaks of is open, as its outline says.
  const isOpen = !isOutside && ingressMembers === 0 && egressMembers === 0;
  const shape = isOutside ? ", shape=ellipse" : isOpen ? ', style="rounded,dashed"' : "";
  return `  ${quoted(id)} [label=${quoted(`${label}${count}`)}${shape}];`;
}

function edgeLine({ sourceId, destinationId, draft }: PictureEdge): string {
  const ports = draft.access === "all" ? "every port" : formatPortSet(draft.ports);
  const label = ports.length > MAX_PORTS ? `${ports.slice(0, MAX_PORTS)}…` : ports;
  const style = draft.isObserved ? ", style=dotted" : draft.access === "some-members" ? ", style=dashed" : "";
  return `  ${quoted(sourceId)} -> ${quoted(destinationId)} [label=${quoted(label)}${style}];`;
}

const quoted = (text: string): string => `"${text.replace(/\p{C}/gu, " ").replace(/["\\]/g, "\\$&")}"`;
