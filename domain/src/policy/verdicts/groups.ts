/** Places that every world and every column treats alike, and the groups by labels that people know them by. */
import type { AddressClass, Member } from "../access/address-space.ts";
import type { AccessModel } from "../access/model.ts";
import { createPartyDescriber } from "../access/party.ts";
import type { SubjectView } from "../access/view.ts";
import type { AddressRegion } from "../diff/index.ts";
import type { Direction, Endpoint } from "../model.ts";
import { withoutQuarantineLabels } from "../quarantine.ts";
import { labelGroups } from "../simulate/label-groups.ts";
import type { ComputedColumn, Stance, VerdictTableOptions } from "./model.ts";
import { jointPlaces, modelAt, type Place } from "./places.ts";

/** What the policies of a place follow. Places with equal stances share one. */
export interface Standing {
  readonly number: number;
  /** Equal numbers: the stances differ in nothing but their versions, so what is decided there is alike. */
  readonly shape: number;
  /** Of what stands behind each column there; `null` = nothing does. */
  readonly versions: Readonly<Record<ComputedColumn, number | null>>;
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
  /** Equal numbers: equal views, and equal classes. */
  readonly viewsNumber: number;
  readonly classesNumber: number;
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
  const viewsNumberOf = createListNumbers();
  const classesNumberOf = createListNumbers();
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
    const classesNumber = classesNumberOf(classes);
    for (const direction of ["egress", "ingress"] as const) {
      const views = viewsOf(models, place, direction);
      const viewsNumber = viewsNumberOf(views);
      const pieceKey = [number, direction, standing.number, viewsNumber, classesNumber].join();
      let piece = pieces.get(pieceKey);
      if (!piece) {
        const family = classes[0]?.family ?? 4;
        const what = { family, views, classes, viewsNumber, classesNumber, standing } as const;
        piece = { ...what, members: [], regions: [], exact: [] };
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

/** Numbers of lists of the same objects. */
function createListNumbers(): (list: readonly object[]) => number {
  const ids = new Map<object, number>();
  const numbers = new Map<string, number>();
  const idOf = (value: object): number => {
    const id = ids.get(value) ?? ids.size;
    ids.set(value, id);
    return id;
  };
  return (list) => {
    const key = list.map(idOf).join();
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    return number;
  };
}

function createStandings({ draftVersion, enforcedOf, stagedOf, isLookedAt }: VerdictTableOptions) {
  const known = new Map<string, Standing>();
  const shapes = new Map<string, number>();
  const byHost = new Map<string | null, Standing>();
  const make = (stances: Pick<Standing, "enforced" | "staged" | "isFree" | "isLookedAt">): Standing => {
    const key = JSON.stringify(stances);
    const same = known.get(key);
    if (same) return same;
    const { enforced, staged, isFree } = stances;
    const shapeKey = JSON.stringify({ ...stances, enforced: shapeOf(enforced), staged: shapeOf(staged) });
    const shape = shapes.get(shapeKey) ?? shapes.size;
    shapes.set(shapeKey, shape);
    const versions = {
      draft: isFree ? null : draftVersion,
      staged: (staged ?? enforced)?.version ?? null,
      enforced: enforced?.version ?? null,
    };
    const standing = { ...stances, number: known.size, shape, versions };
    known.set(key, standing);
    return standing;
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

function shapeOf(stance: Stance | null): object | null {
  return stance && { ...stance, version: 0 };
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
