/**
 * Which sources the tables deny altogether: whatever the protocol, port, direction and workload, enforced and not only
 * observed. Packets from there may be dropped before anything is looked up. No input or output.
 */
import type { AddressEntry, HostProgram } from "@wardline/domain/policy";

/** One prefix of the early drop's trie, IPv4 as `::ffff:a.b.c.d`. */
export interface EarlySource {
  /** 16 bytes. */
  readonly address: Uint8Array;
  readonly bits: number;
  /** False = a part of a denied prefix that is not denied itself. */
  readonly drop: boolean;
}

/** Classes whose every decision denies and is enforced. */
function deniedClasses(program: HostProgram): ReadonlySet<number> {
  const denied = new Set<number>();
  const others = new Set<number>();
  for (const { classId, protocol, decision } of program.ports) {
    const { verdict, observeOnly } = program.decisions[decision] ?? { verdict: "allow", observeOnly: false };
    if (verdict !== "deny" || observeOnly) others.add(classId);
    // Without an answer for every protocol the class says nothing about the rest.
    else if (protocol === null) denied.add(classId);
  }
  return new Set([...denied].filter((classId) => !others.has(classId)));
}

/** Atoms from 1 that every set denies in both directions. Atom 0, everybody else, is never among them. */
function deniedAtoms(program: HostProgram): ReadonlySet<number> {
  const denied = deniedClasses(program);
  const sides = program.sets.flatMap(({ id }) => [`${id} ingress`, `${id} egress`]);
  const openByDefault = new Set(sides);
  for (const { set, direction, atom, classId } of program.classes)
    if (atom === 0 && denied.has(classId)) openByDefault.delete(`${set} ${direction}`);
  const closedSides = new Map<number, number>();
  const openSomewhere = new Set<number>();
  for (const { set, direction, atom, classId } of program.classes) {
    if (!denied.has(classId)) openSomewhere.add(atom);
    else if (openByDefault.has(`${set} ${direction}`)) closedSides.set(atom, (closedSides.get(atom) ?? 0) + 1);
  }
  const atoms = new Set([...program.addresses4, ...program.addresses6].map(({ atom }) => atom));
  const isDenied = (atom: number): boolean =>
    atom !== 0 && !openSomewhere.has(atom) && (closedSides.get(atom) ?? 0) === openByDefault.size;
  return new Set([...atoms].filter(isDenied));
}

const IPV4_BITS = 96;

function mapped(entry: AddressEntry): { address: Uint8Array; bits: number } {
  if (entry.prefix.length === 16) return { address: entry.prefix, bits: entry.prefixLength };
  const address = new Uint8Array(16);
  address.set([0xff, 0xff], 10);
  address.set(entry.prefix, 12);
  return { address, bits: IPV4_BITS + entry.prefixLength };
}

function covers(outer: { address: Uint8Array; bits: number }, inner: { address: Uint8Array; bits: number }): boolean {
  if (outer.bits > inner.bits) return false;
  const whole = outer.bits >> 3;
  const rest = outer.bits & 7;
  if (Buffer.compare(outer.address.subarray(0, whole), inner.address.subarray(0, whole)) !== 0) return false;
  return rest === 0 || ((outer.address[whole] ?? 0) ^ (inner.address[whole] ?? 0)) >> (8 - rest) === 0;
}

/** All of IPv4, so that a denied prefix of IPv6 that is wide enough does not take it along. */
const ALL_IPV4: EarlySource = {
  address: mapped({ prefix: new Uint8Array(4), prefixLength: 0, atom: 0 }).address,
  bits: IPV4_BITS,
  drop: false,
};

/** Denied prefixes, and inside of them the most specific ones that are not. Sorted by address. */
export function earlySources(program: HostProgram): readonly EarlySource[] {
  const denied = deniedAtoms(program);
  if (denied.size === 0) return [];
  const all: EarlySource[] = [...program.addresses4, ...program.addresses6].map((entry) => ({
    ...mapped(entry),
    drop: denied.has(entry.atom),
  }));
  if (!program.addresses4.some(({ prefixLength }) => prefixLength === 0)) all.push(ALL_IPV4);
  all.sort((a, b) => Buffer.compare(a.address, b.address) || a.bits - b.bits);
  const around: EarlySource[] = [];
  return all.filter((source) => {
    while (around.length > 0 && !covers(around[around.length - 1] as EarlySource, source)) around.pop();
    const isNeeded = source.drop || around.some(({ drop }) => drop);
    around.push(source);
    return isNeeded;
  });
}
