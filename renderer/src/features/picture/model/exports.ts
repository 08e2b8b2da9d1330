/** The picture for other programs: SVG and PNG as it lies on the screen, CSV as the table has it. */

import { optionalMs } from "../../../data/hosts-snapshot.ts";
import type { Place } from "../../../graph/layout.ts";
import { DASH, SHAPE } from "../../../graph/looks.ts";
import type { Palette } from "../../../graph/palette.ts";
import { formatUtc } from "../../../ui/index.ts";
import { edgeLook, nodeLook, nodeRadius } from "./look.ts";
import type { Overlay } from "./picture-store.ts";
import type { ShownPicture } from "./shown.ts";
import { classesSaid, enforcedSaid, nodeName, sideSaid } from "./words.ts";

export interface Export {
  readonly shown: ShownPicture;
  readonly overlay: Overlay;
  readonly places: () => ReadonlyMap<string, Place>;
  readonly palette: Palette;
}

const ROOM = 60;
const DASHES: Readonly<Record<number, string>> = {
  [DASH.long]: "11 5",
  [DASH.short]: "5 4",
  [DASH.dots]: "2 4",
  [DASH.gaps]: "4 14",
  [DASH.dashDot]: "9 4 3 4",
};

/** Text of XML: nothing in a name is markup. */
const escaped = (text: string) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

export function pictureSvg({ shown, overlay, places: placesOf, palette }: Export): string {
  const places = placesOf();
  const known = shown.nodes.flatMap((node) => {
    const place = places.get(node.id);
    return place ? [{ node, x: place.x, y: -place.y }] : [];
  });
  const left = Math.min(0, ...known.map(({ x }) => x)) - ROOM;
  const top = Math.min(0, ...known.map(({ y }) => y)) - ROOM;
  const width = Math.max(200, ...known.map(({ x }) => x)) + ROOM * 3 - left;
  const height = Math.max(100, ...known.map(({ y }) => y)) + ROOM - top;
  const at = new Map(known.map((each) => [each.node.id, each]));
  const lines = shown.edges.flatMap((edge) => {
    const [from, to] = [at.get(edge.sourceId), at.get(edge.destinationId)];
    if (!from || !to || from === to) return [];
    const look = edgeLook(edge, overlay);
    const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
    const [dx, dy] = [(to.x - from.x) / length, (to.y - from.y) / length];
    const inset = nodeRadius(to.node, shown.picture.nodes.length) + 3;
    const [endX, endY] = [to.x - dx * inset - dy * 4, to.y - dy * inset + dx * 4];
    const color = palette.tones[look.tone];
    const dash = DASHES[look.dash];
    const head = `${endX},${endY} ${endX - dx * 9 - dy * 4},${endY - dy * 9 + dx * 4} ${endX - dx * 9 + dy * 4},${endY - dy * 9 - dx * 4}`;
    return [
      `<line x1="${from.x - dy * 4}" y1="${from.y + dx * 4}" x2="${endX}" y2="${endY}" stroke="${color}" stroke-width="${look.width}"${dash ? ` stroke-dasharray="${dash}"` : ""}/>`,
      `<polygon points="${head}" fill="${color}"/>`,
    ];
  });
  const marks = known.map(({ node, x, y }) => {
    const { tone, shape } = nodeLook(node);
    const radius = nodeRadius(node, shown.picture.nodes.length);
    return `${shapeSvg(shape, x, y, radius, palette.tones[tone], palette.surface)}<text x="${x + radius + 5}" y="${y + 4}" fill="${palette.text}">${escaped(nodeName(node))}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${left} ${top} ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12"><rect x="${left}" y="${top}" width="${width}" height="${height}" fill="${palette.surface}"/>${lines.join("")}${marks.join("")}</svg>`;
}

function shapeSvg(shape: number, x: number, y: number, radius: number, color: string, ground: string): string {
  if (shape === SHAPE.square)
    return `<rect x="${x - radius * 0.85}" y="${y - radius * 0.85}" width="${radius * 1.7}" height="${radius * 1.7}" fill="${color}"/>`;
  if (shape === SHAPE.triangle)
    return `<polygon points="${x},${y - radius} ${x + radius},${y + radius * 0.8} ${x - radius},${y + radius * 0.8}" fill="${color}"/>`;
  if (shape === SHAPE.ring)
    return `<circle cx="${x}" cy="${y}" r="${radius * 0.8}" fill="${ground}" stroke="${color}" stroke-width="3"/>`;
  return `<circle cx="${x}" cy="${y}" r="${radius}" fill="${color}"/>`;
}

/** RFC 4180; a cell that a spreadsheet would compute is shown as text. */
export function pictureCsv(shown: ShownPicture): string {
  const { edges, byId } = shown;
  const head = [
    "from",
    "to",
    "draft",
    "enforced",
    "connections",
    "denied_packets",
    "observed_connections",
    "would_deny",
    "last_seen",
    "difference",
  ];
  const rows = edges.map((edge) => {
    const { flows } = edge;
    const lastMs = optionalMs(flows?.lastSeen);
    return [
      nodeName(byId.get(edge.sourceId)),
      nodeName(byId.get(edge.destinationId)),
      sideSaid(edge.draft).words,
      enforcedSaid(edge, shown).words,
      ...[flows?.connections, flows?.deniedPackets, flows?.observedConnections, flows?.wouldDeny].map((count) =>
        String(count ?? 0n),
      ),
      lastMs === null ? "" : formatUtc(lastMs),
      classesSaid(edge),
    ];
  });
  return [head, ...rows]
    .map((row) => row.map(cell).join(","))
    .join("\r\n")
    .concat("\r\n");
}

function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The same as the SVG, as pixels. @throws when the window cannot draw it */
export async function picturePng(what: Export): Promise<Blob> {
  const source = new DOMParser().parseFromString(pictureSvg(what), "image/svg+xml").documentElement;
  const number = (element: Element, name: string) => Number(element.getAttribute(name) ?? 0);
  const [left = 0, top = 0, width = 1, height = 1] = (source.getAttribute("viewBox") ?? "").split(" ").map(Number);
  const scale = Math.min(2, 8_000 / Math.max(width, height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.ceil(width * scale), Math.ceil(height * scale)];
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This window cannot draw on a canvas.");
  context.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
  context.font = "12px sans-serif";
  for (const element of source.children) {
    context.beginPath();
    context.setLineDash((element.getAttribute("stroke-dasharray") ?? "").split(" ").map(Number).filter(Boolean));
    const fill = element.getAttribute("fill");
    if (element.localName === "text") {
      context.fillStyle = fill ?? "";
      context.fillText(element.textContent ?? "", number(element, "x"), number(element, "y"));
      continue;
    }
    if (element.localName === "line") {
      context.moveTo(number(element, "x1"), number(element, "y1"));
      context.lineTo(number(element, "x2"), number(element, "y2"));
    } else if (element.localName === "circle") {
      context.arc(number(element, "cx"), number(element, "cy"), number(element, "r"), 0, Math.PI * 2);
    } else if (element.localName === "rect") {
      context.rect(number(element, "x"), number(element, "y"), number(element, "width"), number(element, "height"));
    } else {
      for (const point of (element.getAttribute("points") ?? "").split(" "))
        context.lineTo(...(point.split(",").map(Number) as [number, number]));
      context.closePath();
    }
    if (fill) {
      context.fillStyle = fill;
      context.fill();
    }
    const stroke = element.getAttribute("stroke");
    if (stroke) {
      context.strokeStyle = stroke;
      context.lineWidth = number(element, "stroke-width");
      context.stroke();
    }
  }
  return new Promise((resolve, reject) =>
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error("The picture is too large to draw."))),
      "image/png",
    ),
  );
}

export function saveAs(fileName: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1_000);
}
