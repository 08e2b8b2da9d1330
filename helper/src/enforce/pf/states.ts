/**
 * States of pf outlive the rules that made them: a packet that belongs to one is not looked at again. After a load the
 * states that the new rules would not make have to be ended, and no other.
 *
 * pfctl of macOS ends states by the hosts of both ends and by nothing finer. Where two hosts have a forbidden and an
 * allowed connection in the same direction, both are ended: leaving the forbidden one would be a leak. The allowed one
 * finds its rule again with the next packet of its opener, because the rules take up connections in the middle.
 */
import { type Direction, PROTOCOL, parseAddress } from "@wardline/domain/policy";
import { type PfAnchor, walkPf } from "@wardline/domain/policy/emit";

export interface PfState {
  readonly interfaceName: string;
  readonly protocol: number;
  /** As this host sees the opening packet. */
  readonly direction: Direction;
  /** As pf prints it. */
  readonly initiator: string;
  readonly responder: string;
  readonly responderPort: number;
}

export interface StateListing {
  readonly states: readonly PfState[];
  /** Lines that have another form. */
  readonly unread: number;
}

/** Names of /etc/protocols that filtering cares about. One that is not here is judged as a protocol no rule names. */
const PROTOCOL_NUMBERS: ReadonlyMap<string, number> = new Map([
  ["icmp", PROTOCOL.icmp],
  ["igmp", 2],
  ["ipencap", 4],
  ["tcp", PROTOCOL.tcp],
  ["udp", PROTOCOL.udp],
  ["ipv6", 41],
  ["gre", 47],
  ["esp", 50],
  ["ah", 51],
  ["ipv6-icmp", PROTOCOL.icmpv6],
  ["icmp6", PROTOCOL.icmpv6],
  ["ospf", 89],
  ["ospfigp", 89],
  ["pim", 103],
  ["carp", 112],
  ["vrrp", 112],
  ["l2tp", 115],
  ["sctp", PROTOCOL.sctp],
]);
/** Reserved for experiments (RFC 3692). */
const UNNAMED_PROTOCOL = 253;
const HOST = /^([0-9.]+)(?::(\d+))?$|^([0-9a-fA-F:.]*:[0-9a-fA-F:.]*)(?:\[(\d+)\])?$/;

/** Reads `pfctl -s states`, with or without the detail lines of `-v`, which start with spaces. */
export function readStates(lines: readonly string[]): StateListing {
  const states: PfState[] = [];
  let unread = 0;
  for (const line of lines) {
    if (/^\s/.test(line)) continue;
    const state = readState(line);
    if (state) states.push(state);
    else unread++;
  }
  return { states, unread };
}

/**
 * `ALL tcp 192.0.2.10:443 <- 198.51.100.7:50000       ESTABLISHED:ESTABLISHED`. The host's own side stands left and the
 * arrow points to who was called; translated connections have a third address between.
 */
function readState(line: string): PfState | null {
  const [interfaceName = "", protocolName = "", ...words] = line.split(/\s+/).filter((word) => !/^\(.*\)$/.test(word));
  const arrow = words[1];
  if (arrow !== "->" && arrow !== "<-") return null;
  let end = 2;
  while (words[end + 1] === arrow) end += 2;
  const own = readHost(words[0] ?? "");
  const other = readHost(words[end] ?? "");
  if (!own || !other) return null;
  const isOutgoing = arrow === "->";
  const number = /^\d+$/.test(protocolName) ? Number(protocolName) : PROTOCOL_NUMBERS.get(protocolName);
  return {
    interfaceName,
    protocol: number ?? UNNAMED_PROTOCOL,
    direction: isOutgoing ? "egress" : "ingress",
    initiator: isOutgoing ? own.address : other.address,
    responder: isOutgoing ? other.address : own.address,
    responderPort: isOutgoing ? other.port : own.port,
  };
}

function readHost(text: string): { readonly address: string; readonly port: number } | null {
  const [, address4, port4, address6, port6] = HOST.exec(text) ?? [];
  const address = address4 ?? address6;
  if (address === undefined || !parseAddress(address).ok) return null;
  return { address, port: Number(port4 ?? port6 ?? 0) };
}

const ECHO_REQUEST: ReadonlyMap<number, number> = new Map([
  [PROTOCOL.icmp, 8 << 8],
  [PROTOCOL.icmpv6, 128 << 8],
]);

/**
 * Whether the rules would not make this state now. Traffic of the host with itself is spared. A state does not say which
 * ICMP query opened it: it is judged as a ping.
 */
export function isForbidden(anchor: PfAnchor, state: PfState): boolean {
  const remote = withoutScope(state.direction === "ingress" ? state.initiator : state.responder);
  if (state.interfaceName === "lo0" || state.initiator === state.responder || isLoopback(remote)) return false;
  const rule = walkPf(anchor, {
    direction: state.direction,
    remote,
    protocol: state.protocol,
    port: ECHO_REQUEST.get(state.protocol) ?? state.responderPort,
    interfaceName: state.interfaceName,
  });
  return rule?.action === "block";
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** macOS keeps the interface of a link-local address in its second group: `fe80:4::1` is `fe80::1` on interface 4. */
function withoutScope(address: string): string {
  return address.replace(/^(fe[89ab][0-9a-f]):[0-9a-f]{1,4}:(?=:|0:)/i, "$1:");
}

export interface Kill {
  readonly source: string;
  readonly destination: string | null;
}

/**
 * Few calls that end every forbidden state: all states of one opener or one target at once where all of them are
 * forbidden, the largest such groups first; what is left, by pairs.
 */
export function killsFor(states: readonly PfState[], forbidden: ReadonlySet<PfState>): readonly Kill[] {
  const wholeGroups = (hostOf: (state: PfState) => string, killOf: (host: string) => Kill) =>
    [...Map.groupBy(states, hostOf)]
      .filter(([, group]) => group.every((state) => forbidden.has(state)))
      .map(([host, group]) => ({ kill: killOf(host), group }));
  const groups = [
    ...wholeGroups(
      ({ initiator }) => initiator,
      (source) => ({ source, destination: null }),
    ),
    ...wholeGroups(
      ({ responder }) => responder,
      (destination) => ({ source: destination.includes(":") ? "::/0" : "0.0.0.0/0", destination }),
    ),
  ].sort((left, right) => right.group.length - left.group.length);
  const left = new Set(forbidden);
  const kills: Kill[] = [];
  for (const { kill, group } of groups) {
    if (!group.some((state) => left.has(state))) continue;
    for (const state of group) left.delete(state);
    kills.push(kill);
  }
  const pairs = Map.groupBy(left, pairOf);
  return [...kills, ...[...pairs.values()].flatMap(([state]) => (state ? [pairKill(state)] : []))];
}

function pairKill({ initiator, responder }: PfState): Kill {
  return { source: initiator, destination: responder };
}

function pairOf({ initiator, responder }: PfState): string {
  return `${initiator} ${responder}`;
}

/** States that are allowed and share both hosts with a forbidden one: pf cannot end one without the other. */
export function alsoEnded(states: readonly PfState[], forbidden: ReadonlySet<PfState>): number {
  const pairs = new Set([...forbidden].map(pairOf));
  return states.filter((state) => !forbidden.has(state) && pairs.has(pairOf(state))).length;
}
