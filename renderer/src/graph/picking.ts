/** What lies under the pointer. Counted, not read back from the canvas: that would wait for the graphics each time. */
import type { Place } from "./layout.ts";

interface Drawn {
  readonly nodes: readonly { readonly id: string }[];
  readonly links: readonly { readonly id: string; readonly a: string; readonly b: string }[];
}

/** The nearest node within `nodeReach`, else the nearest link within `linkReach`; lengths as those of places. */
export function pick(
  { nodes, links }: Drawn,
  places: ReadonlyMap<string, Place>,
  at: Place,
  nodeReach: number,
  linkReach: number,
): string | null {
  let found: string | null = null;
  let nearest = nodeReach;
  for (const { id } of nodes) {
    const place = places.get(id);
    const away = place ? Math.hypot(place.x - at.x, place.y - at.y) : Number.POSITIVE_INFINITY;
    if (away <= nearest) [nearest, found] = [away, id];
  }
  if (found !== null) return found;
  nearest = linkReach;
  for (const { id, a, b } of links) {
    const start = places.get(a);
    const end = places.get(b);
    if (!start || !end) continue;
    const away = awayFromLine(start, end, at);
    if (away <= nearest) [nearest, found] = [away, id];
  }
  return found;
}

function awayFromLine(start: Place, end: Place, at: Place): number {
  const wayX = end.x - start.x;
  const wayY = end.y - start.y;
  const squared = wayX * wayX + wayY * wayY;
  const share = squared === 0 ? 0 : ((at.x - start.x) * wayX + (at.y - start.y) * wayY) / squared;
  const along = Math.min(1, Math.max(0, share));
  return Math.hypot(at.x - start.x - wayX * along, at.y - start.y - wayY * along);
}

/** Whether a place lies inside a line that is closed from its end to its start. */
export function isInside({ x, y }: Place, line: readonly Place[]): boolean {
  let inside = false;
  for (let index = 0, before = line.length - 1; index < line.length; before = index++) {
    const [one, other] = [line[index], line[before]];
    if (!one || !other || one.y > y === other.y > y) continue;
    if (x < ((other.x - one.x) * (y - one.y)) / (other.y - one.y) + one.x) inside = !inside;
  }
  return inside;
}
