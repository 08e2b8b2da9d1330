/** Related groups as the blocks that become rows. */
import type { MemberGroup } from "./member-groups.ts";
import { type Block, coverWithBlocks } from "./relation.ts";

/**
 * Blocks that hold a connection which a policy can decide. The others are left out: an address with itself, and two
 * addresses that belong to nobody.
 */
export function blocksOf(
  pairs: readonly (readonly [source: number, destination: number])[],
  sources: readonly MemberGroup[],
  destinations: readonly MemberGroup[],
): readonly Block[] {
  const pick = (places: readonly number[], groups: readonly MemberGroup[]) =>
    places.flatMap((place) => groups[place] ?? []);
  const real = coverWithBlocks(pairs).filter((block) =>
    isDecided(pick(block.sources, sources), pick(block.destinations, destinations)),
  );
  return joinFamilies(real, sources, destinations);
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
 * A block means pairs of one family, so a block of each can be one block without meaning more. That is done where the
 * endpoints that have both families are the same on either side.
 */
function joinFamilies(
  blocks: readonly Block[],
  sources: readonly MemberGroup[],
  destinations: readonly MemberGroup[],
): readonly Block[] {
  const inBoth = { sources: keysOfBothFamilies(sources), destinations: keysOfBothFamilies(destinations) };
  const waiting = new Map<string, Block>();
  const done: Block[] = [];
  for (const block of blocks) {
    const family = sources[block.sources[0] ?? -1]?.family;
    if (!family) continue;
    const who = [
      keysOf(block.sources, sources, inBoth.sources),
      keysOf(block.destinations, destinations, inBoth.destinations),
    ].join("\n");
    const twin = waiting.get(`${10 - family} ${who}`);
    if (!twin) {
      waiting.set(`${family} ${who}`, block);
      done.push(block);
      continue;
    }
    waiting.delete(`${10 - family} ${who}`);
    done[done.indexOf(twin)] = {
      sources: [...twin.sources, ...block.sources],
      destinations: [...twin.destinations, ...block.destinations],
    };
  }
  return done;
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

function keysOf(places: readonly number[], groups: readonly MemberGroup[], only: ReadonlySet<string>): string {
  const own = places.flatMap((place) => groups[place]?.members ?? []);
  const keys = new Set(own.map(({ endpoint }) => endpoint.key).filter((key) => only.has(key)));
  return [...keys].sort().join();
}
