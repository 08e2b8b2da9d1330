/** Nodes by number and their links as pairs: what the layout counts with. */
export interface Graph {
  readonly ids: readonly string[];
  readonly indexOf: ReadonlyMap<string, number>;
  /** Two numbers for each linked pair, however many links are between them. */
  readonly pairs: Int32Array;
  readonly neighbours: readonly (readonly number[])[];
  readonly degree: Int32Array;
}

/** Links to nodes that are not there, and of a node to itself, are left out. */
export function graphOf(ids: readonly string[], links: readonly { readonly a: string; readonly b: string }[]): Graph {
  const indexOf = new Map(ids.map((id, index) => [id, index]));
  const neighbours: number[][] = ids.map(() => []);
  const seen = new Set<number>();
  const pairs: number[] = [];
  for (const { a, b } of links) {
    const one = indexOf.get(a);
    const other = indexOf.get(b);
    if (one === undefined || other === undefined || one === other) continue;
    const key = Math.min(one, other) * ids.length + Math.max(one, other);
    if (seen.has(key)) continue;
    seen.add(key);
    pairs.push(one, other);
    neighbours[one]?.push(other);
    neighbours[other]?.push(one);
  }
  return {
    ids,
    indexOf,
    pairs: Int32Array.from(pairs),
    neighbours,
    degree: Int32Array.from(neighbours, ({ length }) => length),
  };
}

/** Connected parts, the largest first. */
export function partsOf({ ids, neighbours }: Graph): number[][] {
  const isSeen = new Uint8Array(ids.length);
  const parts: number[][] = [];
  for (let start = 0; start < ids.length; start++) {
    if (isSeen[start] === 1) continue;
    const part = [start];
    isSeen[start] = 1;
    for (let at = 0; at < part.length; at++) {
      for (const next of neighbours[part[at] ?? 0] ?? []) {
        if (isSeen[next] === 1) continue;
        isSeen[next] = 1;
        part.push(next);
      }
    }
    parts.push(part);
  }
  return parts.sort((a, b) => b.length - a.length || (a[0] ?? 0) - (b[0] ?? 0));
}
