/** First places: parts side by side; within a part the two main axes of the distances to a few far nodes. */
import { type Graph, partsOf } from "./layout-graph.ts";

interface Places {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

const PIVOTS = 12;
const POWER_ROUNDS = 60;
/** Width to height. */
const SHAPE = 1.8;

export function firstPlaces(
  graph: Graph,
  known: ReadonlyMap<string, { readonly x: number; readonly y: number }>,
  linkLength: number,
): Places {
  const places = { x: new Float64Array(graph.ids.length), y: new Float64Array(graph.ids.length) };
  if (known.size > 0) placeBesideKnown(graph, known, places, linkLength);
  else placeParts(graph, places, linkLength);
  return places;
}

/** New nodes begin beside their neighbours that have a place, each in a direction of its own. */
function placeBesideKnown(
  graph: Graph,
  known: ReadonlyMap<string, { readonly x: number; readonly y: number }>,
  { x, y }: Places,
  linkLength: number,
): void {
  let right = Number.NEGATIVE_INFINITY;
  let bottom = Number.NEGATIVE_INFINITY;
  for (const place of known.values()) {
    right = Math.max(right, place.x);
    bottom = Math.max(bottom, place.y);
  }
  const isPlaced = graph.ids.map((id) => known.has(id));
  for (const [index, id] of graph.ids.entries()) {
    const place = known.get(id);
    if (place) [x[index], y[index]] = [place.x, place.y];
  }
  for (const index of graph.ids.keys()) {
    if (isPlaced[index]) continue;
    const beside = (graph.neighbours[index] ?? []).filter((other) => isPlaced[other]);
    const angle = index * 2.399_963;
    if (beside.length === 0) {
      x[index] = right + linkLength * (1 + Math.cos(angle) * 0.5);
      y[index] = bottom + linkLength * (1 + Math.sin(angle) * 0.5);
    } else {
      const mean = (values: Float64Array) =>
        beside.reduce((sum, other) => sum + (values[other] ?? 0), 0) / beside.length;
      x[index] = mean(x) + Math.cos(angle) * linkLength;
      y[index] = mean(y) + Math.sin(angle) * linkLength;
    }
    isPlaced[index] = true;
  }
}

function placeParts(graph: Graph, places: Places, linkLength: number): void {
  let left = 0;
  let rowBottom = 0;
  let rowHeight = 0;
  const parts = partsOf(graph);
  // As wide as a screen for its height, whatever the parts are.
  const area = parts.reduce((sum, { length }) => sum + (extentOf(length, linkLength) + linkLength) ** 2, 0);
  const widest = Math.max(linkLength * 8, extentOf(parts[0]?.length ?? 0, linkLength) * 1.6, Math.sqrt(area * SHAPE));
  for (const part of parts) {
    const size = extentOf(part.length, linkLength);
    if (left > 0 && left + size > widest) {
      left = 0;
      rowBottom += rowHeight + linkLength;
      rowHeight = 0;
    }
    placePart(graph, part, places, { x: left + size / 2, y: rowBottom + size / 2, size });
    left += size + linkLength;
    rowHeight = Math.max(rowHeight, size);
  }
}

const extentOf = (count: number, linkLength: number) => Math.sqrt(count) * linkLength * 0.9;

function placePart(
  graph: Graph,
  part: readonly number[],
  { x, y }: Places,
  centre: { readonly x: number; readonly y: number; readonly size: number },
): void {
  const distances = pivotDistances(graph, part);
  const likenesses = likeness(distances);
  const first = mainAxis(likenesses, null);
  const second = mainAxis(likenesses, first);
  const across = project(distances, first);
  const along = project(distances, second);
  const widest = Math.max(1e-9, ...across.map(Math.abs), ...along.map(Math.abs));
  for (const [position, index] of part.entries()) {
    const angle = position * 2.399_963;
    const jitter = centre.size * 0.02;
    x[index] = centre.x + ((across[position] ?? 0) / widest) * (centre.size / 2) + Math.cos(angle) * jitter;
    y[index] = centre.y + ((along[position] ?? 0) / widest) * (centre.size / 2) + Math.sin(angle) * jitter;
  }
}

/** For each pivot the squared distances to all nodes of the part, less their mean. Each pivot is far from those before it. */
function pivotDistances(graph: Graph, part: readonly number[]): Float64Array[] {
  const positionOf = new Map(part.map((index, position) => [index, position]));
  const nearest = new Float64Array(part.length).fill(Number.POSITIVE_INFINITY);
  const rows: Float64Array[] = [];
  let pivot = 0;
  for (let count = 0; count < Math.min(PIVOTS, part.length); count++) {
    const row = distancesFrom(graph, part, positionOf, pivot);
    let farthest = -1;
    for (let position = 0; position < part.length; position++) {
      const distance = Math.min(nearest[position] ?? 0, row[position] ?? 0);
      nearest[position] = distance;
      if (distance > farthest) [farthest, pivot] = [distance, position];
    }
    const squares = row.map((distance) => distance * distance);
    const mean = squares.reduce((sum, value) => sum + value, 0) / squares.length;
    rows.push(squares.map((value) => value - mean));
  }
  return rows;
}

function distancesFrom(
  graph: Graph,
  part: readonly number[],
  positionOf: ReadonlyMap<number, number>,
  start: number,
): Float64Array {
  const distances = new Float64Array(part.length).fill(-1);
  distances[start] = 0;
  const queue = [start];
  for (let at = 0; at < queue.length; at++) {
    const position = queue[at] ?? 0;
    for (const neighbour of graph.neighbours[part[position] ?? 0] ?? []) {
      const next = positionOf.get(neighbour);
      if (next === undefined || distances[next] !== -1) continue;
      distances[next] = (distances[position] ?? 0) + 1;
      queue.push(next);
    }
  }
  return distances;
}

/** How alike the pivots see the nodes: all that the axes are computed from. */
function likeness(rows: readonly Float64Array[]): number[][] {
  return rows.map((one) =>
    rows.map((other) => {
      let sum = 0;
      for (let position = 0; position < one.length; position++) sum += (one[position] ?? 0) * (other[position] ?? 0);
      return sum;
    }),
  );
}

/** Weights of the pivots along the direction in which the nodes differ most; across `without` when it is given. */
function mainAxis(likenesses: readonly (readonly number[])[], without: readonly number[] | null): number[] {
  let axis = likenesses.map((_, index) => 1 + ((index * 7) % 5) - 2.5 + index * 0.1);
  for (let round = 0; round < POWER_ROUNDS; round++) {
    const next = likenesses.map((row) => dot(row, axis));
    const share = without ? dot(next, without) : 0;
    const across = without ? next.map((value, index) => value - share * (without[index] ?? 0)) : next;
    const length = Math.hypot(...across) || 1;
    axis = across.map((value) => value / length);
  }
  return axis;
}

const dot = (one: readonly number[], other: readonly number[]) =>
  one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);

function project(rows: readonly Float64Array[], axis: readonly number[]): number[] {
  const count = rows[0]?.length ?? 0;
  return Array.from({ length: count }, (_, position) =>
    rows.reduce((sum, row, index) => sum + (row[position] ?? 0) * (axis[index] ?? 0), 0),
  );
}
