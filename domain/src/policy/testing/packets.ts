import fc from "fast-check";
import { formatAddress, parseAddress } from "../address.ts";
import { effectiveAddresses, endpointByKey } from "../endpoints.ts";
import type { PolicyFlow } from "../evaluation.ts";
import type { Cidr, PolicyWorld } from "../model.ts";
import type { HostProgram, ProgramPacket } from "../program.ts";

/** Everything about a packet but the subject. */
export type PacketProbe = Omit<ProgramPacket, "set">;

/** Addresses that no generated rule names, loopback, and both ends of the spaces. */
const OTHER_ADDRESSES = [
  "0.0.0.0",
  "8.8.8.8",
  "127.0.0.1",
  "255.255.255.254",
  "::1",
  "::2",
  "fe80::1",
  "2a00::1",
  "203.0.113.80",
  "2001:db8::80",
  "1ff:ffff::1",
  "200::1",
  "3ff::1",
  "201:5522:b70b:f5f3:9f70:6c05:ad38:9485",
  "301:5522:b70b:f5f4::",
  "400::",
];

const OTHER_PORTS: readonly (readonly [protocol: number, port: number])[] = [
  [6, 0],
  [6, 22],
  [6, 65535],
  [17, 0],
  [17, 65535],
  [132, 80],
  [1, 8 << 8],
  [1, (3 << 8) | 1],
  [1, (3 << 8) | 4],
  [58, 128 << 8],
  [58, 135 << 8],
  [58, 2 << 8],
  [47, 0],
  [0, 0],
  [255, 0],
];

/**
 * Packets that probe the edges of a world's rules: first and last address of every prefix and except with their
 * neighbours, every endpoint, both edges of every port range with their neighbours, named ports; IPv4 also in its
 * IPv6-mapped form; and some that no rule names.
 */
export function arbitraryProbe(world: PolicyWorld): fc.Arbitrary<PacketProbe> {
  const addresses = probeAddresses(world);
  const ports = probePorts(world);
  return fc
    .record({
      direction: fc.constantFrom("ingress" as const, "egress" as const),
      remote: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...addresses) },
        { weight: 1, arbitrary: fc.ipV4() },
        { weight: 2, arbitrary: fc.constantFrom(...addresses.filter(isIpv4)).map((address) => `::ffff:${address}`) },
      ),
      service: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...ports) },
        { weight: 1, arbitrary: fc.tuple(fc.constantFrom(6, 17), fc.nat(0xffff)) },
      ),
    })
    .map(({ service: [protocol, port], ...rest }) => ({ ...rest, protocol, port }));
}

/** A probe of one of the program's sets. */
export function arbitraryPacket(world: PolicyWorld, program: HostProgram): fc.Arbitrary<ProgramPacket> {
  const sets = program.sets.map((set) => set.id);
  return fc.tuple(fc.constantFrom(...sets), arbitraryProbe(world)).map(([set, probe]) => ({ set, ...probe }));
}

/**
 * The flow that a packet stands for, so that the reference can be asked: the subject's direction of the evaluation is the
 * one to compare. The local address is one that no generated rule or endpoint has, so it is never the remote one.
 */
export function packetToFlow(program: HostProgram, packet: ProgramPacket): PolicyFlow {
  const set = program.sets[packet.set];
  if (!set) throw new Error(`the program has no set ${packet.set}`);
  const remote = parseAddress(packet.remote);
  if (!remote.ok) throw new Error(`${packet.remote} is not an address`);
  const subject = {
    endpointKey: set.endpointKey,
    address: remote.family === 4 ? "198.51.100.254" : "2001:db8:ffff::fe",
  };
  const peer = { endpointKey: null, address: packet.remote };
  const { protocol, port } = packet;
  return packet.direction === "egress"
    ? { from: subject, to: peer, protocol, port }
    : { from: peer, to: subject, protocol, port };
}

function isIpv4(address: string): boolean {
  return !address.includes(":");
}

/** See {@link arbitraryProbe}. */
export function probeAddresses(world: PolicyWorld): readonly string[] {
  const found = new Set(OTHER_ADDRESSES);
  const prefixes = world.policies
    .flatMap((policy) => policy.rules)
    .flatMap((rule) => rule.peers ?? [])
    .flatMap((peer) => (peer.kind === "addresses" ? [peer.cidr, ...peer.except] : []));
  for (const prefix of prefixes) for (const address of edgeAddresses(prefix)) found.add(address);
  for (const endpoint of world.inventory.endpoints) {
    const known = endpointByKey(world.inventory, endpoint.key);
    for (const address of effectiveAddresses(world.inventory, known)) found.add(address);
  }
  return [...found];
}

function edgeAddresses({ bytes, prefixLength }: Cidr): readonly string[] {
  const bits = bytes.length * 8;
  const space = 1n << BigInt(bits);
  const first = bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const last = first + (1n << BigInt(bits - prefixLength)) - 1n;
  return [first - 1n, first, last, last + 1n]
    .filter((value) => value >= 0n && value < space)
    .map((value) => {
      const edge = Uint8Array.from(bytes, (_, position) => Number((value >> BigInt(bits - 8 - position * 8)) & 0xffn));
      return formatAddress(edge);
    });
}

/** See {@link arbitraryProbe}. */
export function probePorts(world: PolicyWorld): readonly (readonly [protocol: number, port: number])[] {
  const found = new Map(OTHER_PORTS.map((service) => [service.join(), service]));
  const add = (protocol: number, port: number): void => {
    if (port >= 0 && port <= 0xffff) found.set(`${protocol},${port}`, [protocol, port]);
  };
  for (const rule of world.policies.flatMap((policy) => policy.rules)) {
    for (const match of rule.ports ?? []) {
      if (match.kind !== "range") continue;
      for (const port of [match.low - 1, match.low, match.high, match.high + 1]) add(match.protocol, port);
    }
  }
  for (const endpoint of world.inventory.endpoints) {
    for (const { protocol, port } of endpoint.ports) add(protocol, port);
  }
  return [...found.values()];
}
