/** Records of hosts by the groups that they connect, bounded. */

import type { AccessModel } from "../access/model.ts";
import { parseAddress } from "../address.ts";
import { builtinDecision } from "../builtin.ts";
import type { GroupedPlaces } from "./groups.ts";
import {
  type ExampleEnd,
  joinParts,
  type RecordFate,
  type ReportedCell,
  type ReportedPart,
  type ReportedRecord,
  type ShownVerdict,
  type Talker,
  type VerdictTableOptions,
} from "./model.ts";

/** What hosts decided between two groups on a port that is kept apart, see `VerdictTableOptions`. */
const MOST_PARTS = 400_000;
const MAX_TALKERS = 20;
const SHOWN_TALKERS = 5;
const MAX_REMEMBERED_ADDRESSES = 100_000;

interface FoundEnd extends ExampleEnd {
  readonly group: number;
  readonly hostName: string | null;
}

interface Part {
  readonly record: ReportedRecord;
  readonly from: ExampleEnd;
  readonly to: ExampleEnd;
  count: number;
  firstSeenMs: number;
  lastSeenMs: number;
  /** By both addresses. */
  readonly talkers: Map<string, number>;
}

export interface ReportedPort {
  readonly protocol: number;
  readonly port: number;
  readonly parts: Map<string, Part>;
  count: number;
}

export class ReportBook {
  readonly #models: readonly AccessModel[];
  readonly #places: GroupedPlaces;
  readonly #isLookedAt: (hostName: string | null) => boolean;
  /** By numbers of source and destination, then by protocol and port. */
  readonly #byPair = new Map<number, Map<number, Map<number, ReportedPort>>>();
  readonly #outside = new Map<string, number | null>();
  readonly #mostParts: number;
  #parts = 0;

  constructor(
    models: readonly AccessModel[],
    places: GroupedPlaces,
    { isLookedAt = () => true, mostParts = MOST_PARTS }: Pick<VerdictTableOptions, "isLookedAt" | "mostParts">,
  ) {
    this.#models = models;
    this.#places = places;
    this.#isLookedAt = isLookedAt;
    this.#mostParts = mostParts;
  }

  add(record: ReportedRecord): RecordFate {
    const { direction, sourceAddress, destinationAddress, protocol, port, subjectKey } = record;
    const isBuiltin =
      builtinDecision({ remote: destinationAddress, local: sourceAddress, protocol, port }) !== null ||
      builtinDecision({ remote: sourceAddress, local: destinationAddress, protocol, port }) !== null;
    if (isBuiltin) return "builtin";
    const from = this.#find(sourceAddress, direction === "egress" ? subjectKey : "");
    const to = this.#find(destinationAddress, direction === "ingress" ? subjectKey : "");
    const isOneFamily = sourceAddress.includes(":") === destinationAddress.includes(":");
    if (!from || !to || !isOneFamily || (from.key === null && to.key === null)) return "unowned";
    const isMeant = [from, to].some(({ key, hostName }) => key !== null && this.#isLookedAt(hostName));
    if (!isMeant) return "elsewhere";
    const place = protocol * 65_536 + port;
    const key = partKey(record);
    const known = this.of(from.group, to.group)?.get(place);
    if (!known?.parts.has(key)) {
      // Who decides what is named by hosts: without an end, one of them could fill the memory.
      if (this.#parts >= this.#mostParts) return "too-many";
      this.#parts += 1;
    }
    const reported = known ?? { protocol, port, parts: new Map(), count: 0 };
    if (!known) this.#portsOf(from.group, to.group).set(place, reported);
    addTo(reported, key, record, from, to);
    return "counted";
  }

  /** What was recorded between two groups, by `protocol * 65536 + port`. */
  of(from: number, to: number): ReadonlyMap<number, ReportedPort> | null {
    return this.#byPair.get(from)?.get(to) ?? null;
  }

  /** Groups to which anything was recorded. */
  destinationsOf(from: number): Iterable<number> {
    return this.#byPair.get(from)?.keys() ?? [];
  }

  #portsOf(from: number, to: number): Map<number, ReportedPort> {
    const destinations = this.#byPair.get(from) ?? new Map<number, Map<number, ReportedPort>>();
    this.#byPair.set(from, destinations);
    const ports = destinations.get(to) ?? new Map<number, ReportedPort>();
    destinations.set(to, ports);
    return ports;
  }

  /** Of several endpoints at one address the one that recorded it, else the host. */
  #find(address: string, subjectKey: string): FoundEnd | null {
    const owners = this.#places.byAddress.get(address);
    if (owners) {
      const own = owners.get(subjectKey) ?? [...owners.values()].toSorted(hostsFirst)[0];
      if (!own) return null;
      return { group: own.group, key: own.endpoint.key, address, hostName: own.endpoint.hostName };
    }
    let group = this.#outside.get(address);
    if (group === undefined) {
      if (this.#outside.size >= MAX_REMEMBERED_ADDRESSES) this.#outside.clear();
      group = this.#findOutside(address);
      this.#outside.set(address, group);
    }
    return group === null ? null : { group, key: null, address, hostName: null };
  }

  #findOutside(text: string): number | null {
    const address = parseAddress(text);
    if (!address.ok) return null;
    const classes = this.#models.map((model) => model.space.classOfAddress(address.bytes));
    return this.#places.outside.get(classes.join()) ?? null;
  }
}

function hostsFirst(
  left: { readonly endpoint: { readonly kind: string; readonly key: string } },
  right: { readonly endpoint: { readonly kind: string; readonly key: string } },
): number {
  const [one, other] = [left.endpoint, right.endpoint];
  if (one.kind !== other.kind) return one.kind === "host" ? -1 : 1;
  return one.key < other.key ? -1 : 1;
}

function partKey({ hostId, direction, verdict, decision, generation }: ReportedRecord): string {
  return `${hostId} ${direction} ${verdict} ${generation} ${decision}`;
}

function addTo(reported: ReportedPort, key: string, record: ReportedRecord, from: FoundEnd, to: FoundEnd): void {
  const { count, firstSeenMs, lastSeenMs } = record;
  let part = reported.parts.get(key);
  if (!part) {
    const ends = { from: { key: from.key, address: from.address }, to: { key: to.key, address: to.address } };
    part = { record, ...ends, count: 0, firstSeenMs, lastSeenMs, talkers: new Map() };
    reported.parts.set(key, part);
  }
  part.count += count;
  reported.count += count;
  part.firstSeenMs = Math.min(part.firstSeenMs, firstSeenMs);
  part.lastSeenMs = Math.max(part.lastSeenMs, lastSeenMs);
  const talker = `${from.address} ${to.address}`;
  const known = part.talkers.get(talker);
  if (known !== undefined) part.talkers.set(talker, known + count);
  else if (part.talkers.size < MAX_TALKERS) part.talkers.set(talker, count);
}

/** What the hosts say of some ports together. */
export function reportedCell(ports: readonly ReportedPort[]): ReportedCell {
  const joined = new Map<string, Part>();
  for (const { parts } of ports) {
    for (const [key, part] of parts) {
      const known = joined.get(key);
      if (!known) joined.set(key, { ...part, talkers: new Map(part.talkers) });
      else joinPart(known, part);
    }
  }
  const parts = [...joined.values()].map(shownPart).sort((left, right) => right.count - left.count);
  return { verdict: joinParts(reportedVerdicts(parts)), parts };
}

function joinPart(into: Part, part: Part): void {
  into.count += part.count;
  into.firstSeenMs = Math.min(into.firstSeenMs, part.firstSeenMs);
  into.lastSeenMs = Math.max(into.lastSeenMs, part.lastSeenMs);
  for (const [talker, count] of part.talkers) into.talkers.set(talker, (into.talkers.get(talker) ?? 0) + count);
}

function shownPart({ record, from, to, count, firstSeenMs, lastSeenMs, talkers }: Part): ReportedPart {
  const { hostId, direction, verdict, decision, policyKeys, generation } = record;
  const busiest = [...talkers].sort(([, left], [, right]) => right - left).slice(0, SHOWN_TALKERS);
  return {
    ...{ hostId, direction, verdict, decision, policyKeys, generation, from, to, count, firstSeenMs, lastSeenMs },
    talkers: busiest.map(([key, times]): Talker => {
      const [source = "", destination = ""] = key.split(" ");
      return { from: source, to: destination, count: times };
    }),
  };
}

/**
 * What became of the packets. The destination has the last word: what a source let out is no verdict about a connection of
 * which the destination recorded anything.
 */
export function reportedVerdicts(
  parts: Iterable<Pick<ReportedRecord, "direction" | "verdict">>,
): ReadonlySet<ShownVerdict> {
  const verdicts = new Set<ShownVerdict>();
  const ofSources = new Set<ShownVerdict>();
  for (const { direction, verdict } of parts) (direction === "ingress" ? verdicts : ofSources).add(verdict);
  const hasLastWord = verdicts.size > 0;
  for (const verdict of ofSources) if (!hasLastWord || verdict !== "allow") verdicts.add(verdict);
  return verdicts;
}
