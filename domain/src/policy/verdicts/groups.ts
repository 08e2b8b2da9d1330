/** Places that every world and every column treats alike, and the groups by labels that people know them by. */
import type { AddressClass, Member } from "../access/address-space.ts";
import type { AccessModel } from "../access/model.ts";
import { createPartyDescriber } from "../access/party.ts";
import type { SubjectView } from "../access/view.ts";
import type { AddressRegion } from "../diff/index.ts";
import type { Direction, Endpoint } from "../model.ts";
import { withoutQuarantineLabels } from "../quarantine.ts";
import { labelGroups } from "../simulate/label-groups.ts";
import type { Stance, VerdictTableOptions } from "./model.ts";
import { jointPlaces, modelAt, type Place } from "./places.ts";

/** What the policies of a place follow. Places with equal stances share one. */
export interface Standing {
  readonly number: number;
  /** `null` = nobody enforces there. */
  readonly enforced: Stance | null;
  /** `null` = nothing is staged there. */
  readonly staged: Stance | null;
  /** An address that belongs to nobody. */
  readonly isFree: boolean;
  readonly isLookedAt: boolean;
}

export interface PlaceGroup {
  readonly family: 4 | 6;
  /** By world. */
  readonly views: readonly SubjectView[];
  readonly classes: readonly AddressClass[];
  readonly standing: Standing;
  readonly members: readonly Member[];
  readonly regions: readonly AddressRegion[];
  readonly exact: readonly AddressRegion[];
}

/** A group of endpoints by their labels, or addresses of nobody that are treated alike. */
export interface NamedGroup {
  readonly text: string;
  readonly isOutside: boolean;
  readonly egress: readonly PlaceGroup[];
  readonly ingress: readonly PlaceGroup[];
}

interface Building {
  readonly text: string;
  readonly isOutside: boolean;
  readonly egress: PlaceGroup[];
  readonly ingress: PlaceGroup[];
}

export interface GroupedPlaces {
  readonly groups: readonly NamedGroup[];
  /** Groups of the endpoints at an address: by endpoint key. */
  readonly byAddress: ReadonlyMap<string, ReadonlyMap<string, { readonly group: number; readonly endpoint: Endpoint }>>;
  /** Group of addresses of nobody, by the numbers of their classes in all worlds. */
  readonly outside: ReadonlyMap<string, number>;
}

export function groupPlaces(models: readonly AccessModel[], options: VerdictTableOptions): GroupedPlaces {
  const places = jointPlaces(models);
  const standingOf = createStandings(options);
  const nameOf = createNames(models);
  const members = places.flatMap(({ member }) => member ?? []);
  const describe = createPartyDescriber(members);
  const groups: Building[] = [];
  const numbers = new Map<string, number>();
  const byAddress = new Map<string, Map<string, { group: number; endpoint: Endpoint }>>();
  const outside = new Map<string, number>();
  const pieces = new Map<
    string,
    PlaceGroup & { members: Member[]; regions: AddressRegion[]; exact: AddressRegion[] }
  >();
  const ids = new Map<object, number>();
  const idOf = (value: object): number => {
    const id = ids.get(value) ?? ids.size;
    ids.set(value, id);
    return id;
  };
  for (const place of places) {
    const { member, classes } = place;
    const classKey = classes.map(({ number }) => number).join();
    const key = member === null ? `outside ${classKey}` : `group ${nameOf(member.endpoint)}`;
    let number = numbers.get(key);
    if (number === undefined) {
      const text = member === null ? "" : nameOf(member.endpoint);
      number = groups.push({ text, isOutside: member === null, egress: [], ingress: [] }) - 1;
      numbers.set(key, number);
    }
    if (member === null) outside.set(classKey, number);
    else {
      const own = byAddress.get(member.address) ?? new Map<string, { group: number; endpoint: Endpoint }>();
      byAddress.set(member.address, own);
      own.set(member.endpoint.key, { group: number, endpoint: member.endpoint });
    }
    const group = groups[number];
    const standing = standingOf(member?.endpoint ?? null);
    for (const direction of ["egress", "ingress"] as const) {
      const views = viewsOf(models, place, direction);
      const pieceKey = [number, direction, standing.number, ...views.map(idOf), ...classes.map(idOf)].join();
      let piece = pieces.get(pieceKey);
      if (!piece) {
        const family = classes[0]?.family ?? 4;
        piece = { family, views, classes, standing, members: [], regions: [], exact: [] };
        pieces.set(pieceKey, piece);
        group?.[direction].push(piece);
      }
      if (member) piece.members.push(member);
      if (place.region) piece.regions.push(place.region);
      if (place.exact) piece.exact.push(place.exact);
    }
  }
  const named = groups.map((group) => (group.isOutside ? { ...group, text: describe(group.egress).text } : group));
  return { groups: named, byAddress, outside };
}

function viewsOf(models: readonly AccessModel[], { owners }: Place, direction: Direction): readonly SubjectView[] {
  return owners.map((owner, world) => modelAt(models, world).views(owner)[direction]);
}

function createStandings({ enforcedOf, stagedOf, isLookedAt }: VerdictTableOptions) {
  const known = new Map<string, Standing>();
  const byHost = new Map<string | null, Standing>();
  const make = (standing: Omit<Standing, "number">): Standing => {
    const key = JSON.stringify(standing);
    const same = known.get(key) ?? { ...standing, number: known.size };
    known.set(key, same);
    return same;
  };
  const free = make({ enforced: null, staged: null, isFree: true, isLookedAt: false });
  return (endpoint: Endpoint | null): Standing => {
    if (endpoint === null) return free;
    const { hostName } = endpoint;
    let standing = byHost.get(hostName);
    if (!standing) {
      standing = make({
        enforced: enforcedOf(hostName),
        staged: stagedOf(hostName),
        isFree: false,
        isLookedAt: isLookedAt?.(hostName) ?? true,
      });
      byHost.set(hostName, standing);
    }
    return standing;
  };
}

/** The group of an endpoint as the first world that knows it has it. */
function createNames(models: readonly AccessModel[]): (endpoint: Endpoint) => string {
  const byWorld = models.map(({ world }) => labelGroups(withoutQuarantineLabels(world.inventory)));
  const names = new Map<string, string>();
  return ({ key }) => {
    const known = names.get(key) ?? byWorld.find((groups) => groups.has(key))?.get(key)?.text ?? key;
    names.set(key, known);
    return known;
  };
}
