/** Related groups as the blocks that become rows. */
import type { MemberGroup } from "./member-groups.ts";
import { type Block, coverWithBlocks } from "./relation.ts";

/**
 * Finds the blocks that hold a connection which a policy can decide. The others are left out: an address with itself, and
 * two addresses that belong to nobody.
 */
export function createBlockFinder(
  sources: readonly MemberGroup[],
  destinations: readonly MemberGroup[],
): (pairs: readonly (readonly [source: number, destination: number])[]) => readonly Block[] {
  const pick = (places: readonly number[], groups: readonly MemberGroup[]) =>
    places.flatMap((place) => groups[place] ?? []);
  const inBoth = { sources: keysOfBothFamilies(sources), destinations: keysOfBothFamilies(destinations) };
  const nameOf = ({ sources: from, destinations: to }: Block): string =>
    `${keysOf(pick(from, sources), inBoth.sources)}\n${keysOf(pick(to, destinations), inBoth.destinations)}`;
  return (pairs) => {
    const real = coverWithBlocks(pairs).filter((block) =>
      isDecided(pick(block.sources, sources), pick(block.destinations, destinations)),
    );
    return joinFamilies(real, (block) => sources[block.sources[0] ?? -1]?.family ?? 4, nameOf);
  };
}

function isDecided(from: readonly MemberGroup[], to: readonly MemberGroup[]): boolean {
  const sources = from.flatMap(({ members }) => members);
  const destinations = to.flatMap(({ members }) => members);
  const hasOutside = (groups: readonly MemberGroup[]): boolean => groups.some(({ regions }) => regions.length > 0);
  if (sources.length > 0 && hasOutside(to)) return true;
  if (destinations.length > 0 && hasOutside(from)) return true;
  const [first] = sources;
  if (!first || destinations.length === 0) return false;
  return [...sources, ...destinations].some(({ address }) => address !== first.address);
}

/**
 * A block means pairs of one family, so a block of each can be one block without meaning more. That is done where they
 * have one name: the endpoints that have both families are the same on either side.
 */
function joinFamilies(
  blocks: readonly Block[],
  familyOf: (block: Block) => 4 | 6,
  nameOf: (block: Block) => string,
): readonly Block[] {
  const families = new Set(blocks.map(familyOf));
  if (families.size < 2) return blocks;
  const waiting = new Map<string, Block[]>();
  const twins = new Map<Block, Block>();
  for (const block of blocks.filter((one) => familyOf(one) === 4)) {
    const name = nameOf(block);
    waiting.set(name, [...(waiting.get(name) ?? []), block]);
  }
  const left = blocks.filter((block) => {
    if (familyOf(block) === 4) return true;
    const twin = waiting.get(nameOf(block))?.shift();
    if (twin) twins.set(twin, block);
    return twin === undefined;
  });
  return left.map((block) => {
    const twin = twins.get(block);
    if (!twin) return block;
    return {
      sources: [...block.sources, ...twin.sources],
      destinations: [...block.destinations, ...twin.destinations],
    };
  });
}

function keysOfBothFamilies(groups: readonly MemberGroup[]): ReadonlySet<string> {
  const keys = (family: 4 | 6): ReadonlySet<string> =>
    new Set(
      groups
        .filter((group) => group.family === family)
        .flatMap(({ members }) => members.map(({ endpoint }) => endpoint.key)),
    );
  const ofIPv6 = keys(6);
  return new Set([...keys(4)].filter((key) => ofIPv6.has(key)));
}

function keysOf(groups: readonly MemberGroup[], only: ReadonlySet<string>): string {
  const own = groups.flatMap(({ members }) => members);
  const keys = new Set(own.map(({ endpoint }) => endpoint.key).filter((key) => only.has(key)));
  return [...keys].sort().join();
}
