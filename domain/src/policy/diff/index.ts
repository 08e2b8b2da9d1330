/**
 * Access diff by meaning: what one host's tables allow before and after, compared over the whole space of addresses,
 * protocols and ports. Text, order and names of the policies do not count.
 */
import type { Direction, PolicyWorld, ProtocolNumber, Verdict } from "../model.ts";
import type { Decision, HostProgram } from "../program.ts";
import { type AddressRegion, cutAddresses, joinParts, type SpacePart } from "./address-space.ts";
import { createPeerDescriber, type PeerDescriber } from "./peer-text.ts";
import { diffPortSpaces, NOTHING_ENFORCED, type PortChange, type PortSpace, portSpaces } from "./port-space.ts";

export type { AddressRegion } from "./address-space.ts";

/** One access that somebody gains or loses. Verdicts are what happens to packets: an observed denial allows. */
export interface AccessChange {
  /** Key of the endpoint on the host. */
  readonly subjectKey: string;
  readonly direction: Direction;
  /** The other end as text, for people. */
  readonly peer: string;
  /** Endpoints behind single addresses of the regions; at most 50. */
  readonly peerNames: readonly string[];
  /** The other end exactly. */
  readonly regions: readonly AddressRegion[];
  /** `null` = every protocol but `exceptProtocols`. */
  readonly protocol: ProtocolNumber | null;
  readonly exceptProtocols: readonly ProtocolNumber[];
  /** Inclusive; 0 to 65535 when ports do not matter. `type << 8 | code` for ICMP. */
  readonly portLow: number;
  readonly portHigh: number;
  readonly oldVerdict: Verdict;
  readonly newVerdict: Verdict;
  /** What decides afterwards. */
  readonly decision: Decision;
}

export interface ProgramDiff {
  /** By subject, direction, lost before gained, protocol and port. */
  readonly changes: readonly AccessChange[];
  /** How many more there are. */
  readonly leftOut: number;
}

export interface DiffOptions {
  /** Most changes to return; default 500. */
  readonly limit?: number;
}

const DEFAULT_LIMIT = 500;
const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];

/**
 * What changes for one host when `next` replaces `old` (`null` = nothing was enforced, everything allowed). The changes do
 * not overlap and leave nothing out, but for the limit. The world's inventory names the peers.
 *
 * A workload that only one of the programs has a set for is compared with the host's set in the other one, which its
 * processes belong to there.
 */
export function diffPrograms(
  old: HostProgram | null,
  next: HostProgram,
  world: Pick<PolicyWorld, "inventory">,
  options: DiffOptions = {},
): ProgramDiff {
  const limit = options.limit ?? DEFAULT_LIMIT;
  const parts = cutAddresses(old, next);
  const describePeer = createPeerDescriber(world.inventory);
  const before = old === null ? null : createReader(old);
  const after = createReader(next);
  const diffClasses = rememberPairs(before, after);

  const changes: AccessChange[] = [];
  let leftOut = 0;
  for (const subjectKey of subjectKeys(old, next)) {
    for (const direction of DIRECTIONS) {
      const oldClassOf = before?.classesOf(subjectKey, direction) ?? (() => null);
      const newClassOf = after.classesOf(subjectKey, direction);
      const marked = markParts(parts, (part) => diffClasses(oldClassOf(part.oldAtom), newClassOf(part.newAtom)));
      const found = [...marked].sort(([left], [right]) => compareChanges(left, right));
      const room = Math.max(0, limit - changes.length);
      leftOut += Math.max(0, found.length - room);
      for (const [change, indexes] of found.slice(0, room)) {
        changes.push(accessChange(subjectKey, direction, change, joinParts(parts, indexes), describePeer));
      }
    }
  }
  return { changes, leftOut };
}

function subjectKeys(old: HostProgram | null, next: HostProgram): ReadonlySet<string> {
  return new Set([...next.sets, ...(old?.sets ?? [])].map((set) => set.endpointKey));
}

interface ProgramReader {
  readonly spaces: ReadonlyMap<number, PortSpace>;
  /** Class id by atom, for a subject in a direction. */
  classesOf(subjectKey: string, direction: Direction): (atom: number) => number;
}

function createReader(program: HostProgram): ProgramReader {
  const sets = new Map(program.sets.map((set) => [set.endpointKey, set.id]));
  const classes = new Map<string, Map<number, number>>();
  for (const { set, direction, atom, classId } of program.classes) {
    const key = `${set} ${direction}`;
    classes.set(key, (classes.get(key) ?? new Map<number, number>()).set(atom, classId));
  }
  return {
    spaces: portSpaces(program),
    classesOf(subjectKey, direction) {
      const byAtom = classes.get(`${sets.get(subjectKey) ?? 0} ${direction}`);
      return (atom) => {
        const classId = byAtom?.get(atom) ?? byAtom?.get(0);
        if (classId === undefined) throw new Error("every set has a class for atom 0");
        return classId;
      };
    },
  };
}

type ClassDiff = (oldClass: number | null, newClass: number) => readonly PortChange[];

/** Equal changes are one object over all pairs, so that parts of the address space can be joined by it. */
function rememberPairs(before: ProgramReader | null, after: ProgramReader): ClassDiff {
  const pairs = new Map<string, readonly PortChange[]>();
  const shared = new Map<string, PortChange>();
  const share = (change: PortChange): PortChange => {
    const { protocol, exceptProtocols, portLow, portHigh, newVerdict, decision } = change;
    const key = [protocol, exceptProtocols.join("/"), portLow, portHigh, newVerdict, decision?.index].join();
    const known = shared.get(key) ?? change;
    shared.set(key, known);
    return known;
  };
  return (oldClass, newClass) => {
    const key = `${oldClass} ${newClass}`;
    const known = pairs.get(key);
    if (known) return known;
    const old = (oldClass === null ? null : before?.spaces.get(oldClass)) ?? NOTHING_ENFORCED;
    const next = after.spaces.get(newClass) ?? NOTHING_ENFORCED;
    const changes = diffPortSpaces(old, next).map(share);
    pairs.set(key, changes);
    return changes;
  };
}

function markParts(
  parts: readonly SpacePart[],
  changesOf: (part: SpacePart) => readonly PortChange[],
): ReadonlyMap<PortChange, ReadonlySet<number>> {
  const marked = new Map<PortChange, Set<number>>();
  for (const [index, part] of parts.entries()) {
    if (part.empty) continue;
    for (const change of changesOf(part)) {
      const indexes = marked.get(change);
      if (indexes) indexes.add(index);
      else marked.set(change, new Set([index]));
    }
  }
  return marked;
}

/** Lost access first: it is what breaks things. */
function compareChanges(left: PortChange, right: PortChange): number {
  if (left.newVerdict !== right.newVerdict) return left.newVerdict === "deny" ? -1 : 1;
  const protocol = (change: PortChange): number => change.protocol ?? Number.POSITIVE_INFINITY;
  if (left.protocol !== right.protocol) return protocol(left) - protocol(right);
  if (left.portLow !== right.portLow) return left.portLow - right.portLow;
  if (left.portHigh !== right.portHigh) return left.portHigh - right.portHigh;
  return (left.decision?.index ?? 0) - (right.decision?.index ?? 0);
}

function accessChange(
  subjectKey: string,
  direction: Direction,
  change: PortChange,
  regions: readonly AddressRegion[],
  describePeer: PeerDescriber,
): AccessChange {
  const { decision, ...rest } = change;
  if (decision === null) throw new Error("the next program decides every packet");
  return { subjectKey, direction, ...describePeer(regions), regions, ...rest, decision };
}
