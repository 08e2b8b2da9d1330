/** Which pairs of places are connections that anybody means, and an example of each. */
import { lowestAddress } from "../access/address-regions.ts";
import { formatAddress } from "../address.ts";
import type { PlaceGroup } from "./groups.ts";
import type { ExampleEnd } from "./model.ts";

/** Of one family, and not only an address with itself. */
export function isConnection(from: PlaceGroup, to: PlaceGroup): boolean {
  return from.family === to.family && isMeant(from, to) && hasTwoEnds(from, to);
}

/** As {@link examplePair} finds them. */
function hasTwoEnds(from: PlaceGroup, to: PlaceGroup): boolean {
  const [source] = from.members;
  const [destination] = to.members;
  if (!source || !destination) return source !== destination;
  if (source.address !== destination.address) return true;
  return from.members.length + to.members.length > 2 && examplePair(from, to) !== null;
}

function isMeant(from: PlaceGroup, to: PlaceGroup): boolean {
  return from.standing.isLookedAt || to.standing.isLookedAt;
}

/** Two ends of one connection; `null` = the groups have only one address between them. */
export function examplePair(from: PlaceGroup, to: PlaceGroup): readonly [ExampleEnd, ExampleEnd] | null {
  const [source] = from.members;
  const [destination] = to.members;
  if (source && destination) {
    const other = to.members.find(({ address }) => address !== source.address);
    if (other) return [endOf(source), endOf(other)];
    const another = from.members.find(({ address }) => address !== destination.address);
    return another ? [endOf(another), endOf(destination)] : null;
  }
  if (!source && !destination) return null;
  return [source ? endOf(source) : outsideEnd(from), destination ? endOf(destination) : outsideEnd(to)];
}

function endOf({ endpoint, address }: PlaceGroup["members"][number]): ExampleEnd {
  return { key: endpoint.key, address };
}

function outsideEnd({ exact }: PlaceGroup): ExampleEnd {
  const [region] = exact;
  if (!region) throw new Error("a group without members has regions");
  return { key: null, address: formatAddress(lowestAddress(region)) };
}
