/** What filters and a focus leave of a picture. */
import type {
  GetPictureResponse,
  PictureEdge,
  PictureNode,
  PicturePortRange,
} from "@wardline/api/wardline/console/v1/picture";
import type { PictureLook } from "./picture-store.ts";
import { idOfEdge, nodeName } from "./words.ts";

export interface ShownPicture {
  readonly picture: GetPictureResponse;
  readonly byId: ReadonlyMap<string, PictureNode>;
  readonly edgeById: ReadonlyMap<string, PictureEdge>;
  readonly nodes: readonly PictureNode[];
  readonly edges: readonly PictureEdge[];
  /** Nodes of which a connection leads to themselves. */
  readonly loops: ReadonlySet<string>;
}

type Filters = Pick<PictureLook, "classes" | "port" | "namespace" | "search" | "focusId">;

/** Without `picture`: what times and notes of it say comes and goes without the rest. */
export function shownPicture(
  picture: Pick<GetPictureResponse, "nodes" | "edges">,
  filters: Filters,
): Omit<ShownPicture, "picture"> {
  const { classes, namespace, focusId } = filters;
  const byId = new Map(picture.nodes.map((node) => [node.id, node]));
  const search = filters.search.trim().toLowerCase();
  const port = readPort(filters.port);
  const isFound = (node: PictureNode | undefined): boolean =>
    node !== undefined &&
    (search === "" ||
      [nodeName(node), ...node.memberKeys, ...node.addresses].some((text) => text.toLowerCase().includes(search)));
  const focused = focusId !== null && byId.has(focusId) ? focusId : null;
  const edges = picture.edges.filter((edge) => {
    const { sourceId, destinationId } = edge;
    const [source, destination] = [byId.get(sourceId), byId.get(destinationId)];
    if (focused !== null && sourceId !== focused && destinationId !== focused) return false;
    if (classes.size > 0 && !edge.classes.some((each) => classes.has(each))) return false;
    if (namespace !== "" && source?.namespace !== namespace && destination?.namespace !== namespace) return false;
    if (port !== null && !speaksOfPort(edge, port)) return false;
    return isFound(source) || isFound(destination);
  });
  const isFiltered = classes.size > 0 || namespace !== "" || port !== null || search !== "" || focused !== null;
  const touched = new Set(edges.flatMap(({ sourceId, destinationId }) => [sourceId, destinationId]));
  if (focused !== null) touched.add(focused);
  const isShown = (node: PictureNode) => touched.has(node.id) || (search !== "" && focused === null && isFound(node));
  return {
    ...{ byId, edges },
    edgeById: new Map(picture.edges.map((edge) => [idOfEdge(edge), edge])),
    nodes: isFiltered ? picture.nodes.filter(isShown) : picture.nodes,
    loops: new Set(edges.flatMap(({ sourceId, destinationId }) => (sourceId === destinationId ? [sourceId] : []))),
  };
}

interface WantedPort {
  readonly port: number;
  readonly protocol: number | null;
}

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

/** `443`, `443/tcp`; anything else is no filter. */
export function readPort(text: string): WantedPort | null {
  const found = /^\s*(\d{1,5})\s*(?:\/\s*(tcp|udp|sctp))?\s*$/i.exec(text);
  if (!found) return null;
  return { port: Number(found[1]), protocol: PROTOCOLS[(found[2] ?? "").toLowerCase()] ?? null };
}

const EVERY_PROTOCOL = 256;

function speaksOfPort({ draft, enforced, opens, closes }: PictureEdge, { port, protocol }: WantedPort): boolean {
  const holds = ({ protocol: own, exceptProtocols, low, high }: PicturePortRange) => {
    if (port < low || port > high) return false;
    if (own === EVERY_PROTOCOL) return protocol === null || !exceptProtocols.includes(protocol);
    return protocol === null ? own === 6 || own === 17 || own === 132 : own === protocol;
  };
  return [draft?.ports, enforced?.ports, opens, closes].some((ports) => ports?.ranges.some(holds) ?? false);
}
