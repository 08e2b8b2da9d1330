/** Recorded flows by the row of a diff that they belong to. */
import { parseAddress } from "../address.ts";
import { builtinDecision } from "../builtin.ts";
import type { Direction } from "../model.ts";
import type { ChangeFact, DiffParts } from "./diff.ts";
import type { JointGroup } from "./joint-space.ts";
import type { AccessModel } from "./model.ts";
import type { PortRangePart } from "./port-set.ts";

/** A flow as far as it counts here. */
export interface CountedFlow {
  /** Canonical; the end that opened the connection. */
  readonly sourceAddress: string;
  /** Canonical. */
  readonly destinationAddress: string;
  readonly protocol: number;
  /** Destination port; `type << 8 | code` for ICMP. */
  readonly port: number;
  /** Which end recorded it; `null` when unknown. */
  readonly direction: Direction | null;
  /** The endpoint at that end; empty when unknown. */
  readonly subjectKey: string;
}

/** Where a flow may come from or go to: more than one place when several endpoints are behind the address. */
interface EndPlaces {
  readonly places: readonly number[];
  readonly isOutside: boolean;
}

const MAX_REMEMBERED_ADDRESSES = 100_000;
const UNCLEAR = -2;
const NO_ROW = -1;

interface RowPart {
  readonly row: number;
  readonly ports: readonly PortRangePart[];
}

export class FlowCounter {
  /** How many flows each row changes. */
  readonly rows: number[];
  /** Flows that pass as before, or are denied as before. */
  unchanged = 0;
  /** Flows of several endpoints behind one address, of which some change and others do not. */
  unclear = 0;
  /** Flows between addresses of which neither belongs to an endpoint, or that are not of one family. */
  notOurs = 0;
  readonly #sources: PlaceFinder;
  readonly #destinations: PlaceFinder;
  readonly #bySource = new Map<
    number,
    { readonly row: number; readonly fact: ChangeFact; readonly to: Set<number> }[]
  >();
  readonly #byPair = new Map<string, readonly RowPart[]>();

  constructor(old: AccessModel, next: AccessModel, { sources, destinations, blocks }: DiffParts) {
    this.rows = blocks.map(() => 0);
    this.#sources = new PlaceFinder(old, next, sources);
    this.#destinations = new PlaceFinder(old, next, destinations);
    for (const [row, { fact, block }] of blocks.entries()) {
      const to = new Set(block.destinations);
      for (const place of block.sources) {
        const known = this.#bySource.get(place);
        if (known) known.push({ row, fact, to });
        else this.#bySource.set(place, [{ row, fact, to }]);
      }
    }
  }

  add(flow: CountedFlow): void {
    const { sourceAddress, destinationAddress, protocol, port, direction, subjectKey } = flow;
    const from = this.#sources.find(sourceAddress, direction === "egress" ? subjectKey : "");
    const to = this.#destinations.find(destinationAddress, direction === "ingress" ? subjectKey : "");
    const isOneFamily = sourceAddress.includes(":") === destinationAddress.includes(":");
    if (from === null || to === null || !isOneFamily || (from.isOutside && to.isOutside)) {
      this.notOurs += 1;
      return;
    }
    const isBuiltin =
      builtinDecision({ remote: destinationAddress, local: sourceAddress, protocol, port }) !== null ||
      builtinDecision({ remote: sourceAddress, local: destinationAddress, protocol, port }) !== null;
    const row = isBuiltin ? NO_ROW : this.#rowOf(from, to, protocol, port);
    if (row === UNCLEAR) this.unclear += 1;
    else if (row === NO_ROW) this.unchanged += 1;
    else this.rows[row] = (this.rows[row] ?? 0) + 1;
  }

  #rowOf(from: EndPlaces, to: EndPlaces, protocol: number, port: number): number {
    let found: number | null = null;
    for (const source of from.places) {
      for (const destination of to.places) {
        const part = this.#partsOf(source, destination).find(({ ports }) => holds(ports, protocol, port));
        const row = part?.row ?? NO_ROW;
        if (found !== null && found !== row) return UNCLEAR;
        found = row;
      }
    }
    return found ?? NO_ROW;
  }

  #partsOf(source: number, destination: number): readonly RowPart[] {
    const key = `${source} ${destination}`;
    let parts = this.#byPair.get(key);
    if (!parts) {
      const own = (this.#bySource.get(source) ?? []).filter(({ to }) => to.has(destination));
      parts = own.map(({ row, fact }) => ({ row, ports: fact.ports }));
      this.#byPair.set(key, parts);
    }
    return parts;
  }
}

function holds(parts: readonly PortRangePart[], protocol: number, port: number): boolean {
  return parts.some(
    (part) =>
      port >= part.low &&
      port <= part.high &&
      (part.protocol === null ? !part.exceptProtocols.includes(protocol) : part.protocol === protocol),
  );
}

/** Finds the groups of an address. */
class PlaceFinder {
  readonly #old: AccessModel;
  readonly #next: AccessModel;
  readonly #members = new Map<string, { readonly key: string; readonly place: number }[]>();
  readonly #outside = new Map<string, number>();
  readonly #found = new Map<string, EndPlaces | null>();

  constructor(old: AccessModel, next: AccessModel, groups: readonly JointGroup[]) {
    this.#old = old;
    this.#next = next;
    for (const [place, group] of groups.entries()) {
      for (const { address, endpoint } of group.members) {
        const known = this.#members.get(address);
        if (known) known.push({ key: endpoint.key, place });
        else this.#members.set(address, [{ key: endpoint.key, place }]);
      }
      if (group.regions.length === 0) continue;
      this.#outside.set(`${group.old.addressClass.number} ${group.next.addressClass.number}`, place);
    }
  }

  /** `null` = not an address. */
  find(address: string, subjectKey: string): EndPlaces | null {
    const members = this.#members.get(address);
    if (members) {
      const recorded = members.filter(({ key }) => key === subjectKey);
      return { places: (recorded.length > 0 ? recorded : members).map(({ place }) => place), isOutside: false };
    }
    let found = this.#found.get(address);
    if (found === undefined) {
      if (this.#found.size >= MAX_REMEMBERED_ADDRESSES) this.#found.clear();
      found = this.#findOutside(address);
      this.#found.set(address, found);
    }
    return found;
  }

  #findOutside(text: string): EndPlaces | null {
    const address = parseAddress(text);
    if (!address.ok) return null;
    const [old, next] = [this.#old, this.#next].map((model) => model.space.classOfAddress(address.bytes));
    const place = this.#outside.get(`${old} ${next}`);
    return place === undefined ? null : { places: [place], isOutside: true };
  }
}
