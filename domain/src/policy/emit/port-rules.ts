/** What a class decides, by protocol, in the terms of a rule language. */
import { type PortSpace, portSpaces } from "../diff/port-space.ts";
import { PROTOCOL, type ProtocolNumber } from "../model.ts";
import type { Decision, HostProgram } from "../program.ts";

/** Inclusive. For ICMP and ICMPv6 `type << 8 | code`. */
export interface PortRun {
  readonly low: number;
  readonly high: number;
  readonly decision: Decision;
}

export interface ClassRules {
  readonly classId: number;
  /** Every protocol without an entry in the maps below. */
  readonly otherwise: Decision;
  /** Protocols whose whole port range is cut, ascending, without gaps; more than one run each. */
  readonly byPort: ReadonlyMap<ProtocolNumber, readonly PortRun[]>;
  /**
   * Protocols with one decision that is not `otherwise`. One that is in `byPort` stands here for packets that have no
   * port to look at: ICMP inside the other family.
   */
  readonly whole: ReadonlyMap<ProtocolNumber, Decision>;
}

/** Protocols whose packets have something to compare with a port. */
const WITH_PORTS: ReadonlySet<ProtocolNumber> = new Set(Object.values(PROTOCOL));
const ICMP_PROTOCOLS: ReadonlySet<ProtocolNumber> = new Set([PROTOCOL.icmp, PROTOCOL.icmpv6]);

export function classRules(program: HostProgram): ReadonlyMap<number, ClassRules> {
  return new Map([...portSpaces(program)].map(([classId, space]) => [classId, rulesOf(classId, space)]));
}

function rulesOf(classId: number, space: PortSpace): ClassRules {
  const otherwise = known(space.otherwise);
  const byPort = new Map<ProtocolNumber, readonly PortRun[]>();
  const whole = new Map<ProtocolNumber, Decision>();
  for (const protocol of [...space.protocols.keys()].sort((left, right) => left - right)) {
    const runs = joinRuns(space, protocol);
    const first = runs[0]?.decision ?? otherwise;
    const isCut = WITH_PORTS.has(protocol) && runs.length > 1;
    if (isCut) byPort.set(protocol, runs);
    if (first !== otherwise && (!isCut || ICMP_PROTOCOLS.has(protocol))) whole.set(protocol, first);
  }
  return { classId, otherwise, byPort, whole };
}

function joinRuns(space: PortSpace, protocol: ProtocolNumber): readonly PortRun[] {
  const runs: { low: number; high: number; decision: Decision }[] = [];
  for (const { low, high, decision } of space.protocols.get(protocol) ?? []) {
    const previous = runs.at(-1);
    if (previous && previous.decision === known(decision)) previous.high = high;
    else runs.push({ low, high, decision: known(decision) });
  }
  return runs;
}

function known(decision: Decision | null): Decision {
  if (decision === null) throw new Error("a class of a program decides everything");
  return decision;
}

/** Every decision of a class, once. */
export function decisionsOf(rules: ClassRules): ReadonlySet<Decision> {
  const runs = [...rules.byPort.values()].flat().map(({ decision }) => decision);
  return new Set([rules.otherwise, ...rules.whole.values(), ...runs]);
}
