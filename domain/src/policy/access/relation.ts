/** A relation between sources and destinations as few disjoint products. */

export interface Block {
  readonly sources: readonly number[];
  readonly destinations: readonly number[];
}

/** Each related pair is in exactly one block. `pairs` lists each pair once. */
export function coverWithBlocks(pairs: readonly (readonly [source: number, destination: number])[]): readonly Block[] {
  const bySource = mergeAlike(pairs.map(([source, destination]) => [source, destination]));
  const byDestination = mergeAlike(pairs.map(([source, destination]) => [destination, source]));
  if (bySource.length < byDestination.length) {
    return bySource.map(({ keys, values }) => ({ sources: keys, destinations: values }));
  }
  return byDestination.map(({ keys, values }) => ({ sources: values, destinations: keys }));
}

interface Alike {
  readonly keys: readonly number[];
  readonly values: readonly number[];
}

/** Keys that are related to the same values. */
function mergeAlike(pairs: readonly (readonly [key: number, value: number])[]): readonly Alike[] {
  const valuesOf = new Map<number, number[]>();
  for (const [key, value] of pairs) {
    const values = valuesOf.get(key);
    if (values) values.push(value);
    else valuesOf.set(key, [value]);
  }
  const alike = new Map<string, { keys: number[]; values: readonly number[] }>();
  for (const [key, values] of valuesOf) {
    const text = values.sort((left, right) => left - right).join();
    const known = alike.get(text);
    if (known) known.keys.push(key);
    else alike.set(text, { keys: [key], values });
  }
  return [...alike.values()];
}
