/**
 * pf in memory: main rules, anchors with their tables, enable references, states, and what happens to a packet. Rules of
 * our anchors are read and walked by the strict reader that the differential tests hold against the reference.
 */
import { cidrContainsAddress, type Direction, parseAddress, parseCidr } from "@wardline/domain/policy";
import { type PfAnchor, type PfRule, parsePfAnchor, walkPf } from "@wardline/domain/policy/emit";

export interface FakePacket {
  /** As this host sees it. */
  readonly direction: Direction;
  readonly local: string;
  readonly remote: string;
  readonly protocol: number;
  /** Port of whoever is called; `type << 8 | code` for ICMP. */
  readonly port: number;
  /** Port of whoever calls; 50,000 unless given. */
  readonly openerPort?: number;
  /** `en0` unless given. */
  readonly interfaceName?: string;
}

export interface FakeState extends FakePacket {
  readonly openerPort: number;
}

export interface FakeAnchor {
  readonly text: string;
  readonly parsed: PfAnchor;
  /** As `pfctl -s rules` lists them: lists multiplied out. `source` is the place in `parsed.rules`. */
  readonly lines: readonly { readonly text: string; readonly source: number }[];
  /** Packets by place in `parsed.rules`. */
  readonly packets: number[];
}

export interface MainRules {
  readonly scrub: readonly string[];
  readonly translation: readonly string[];
  readonly filter: readonly string[];
}

/** What `pfctl -s` lists on a Mac as it comes. */
export const APPLE_MAIN: MainRules = {
  scrub: ['scrub-anchor "com.apple/*" all fragment reassemble'],
  translation: ['nat-anchor "com.apple/*" all', 'rdr-anchor "com.apple/*" all'],
  filter: ['anchor "com.apple/*" all'],
};

/** /etc/pf.conf of the same. */
export const APPLE_PF_CONF = `#
# Default PF configuration file.
#
scrub-anchor "com.apple/*"
nat-anchor "com.apple/*"
rdr-anchor "com.apple/*"
dummynet-anchor "com.apple/*"
anchor "com.apple/*"
load anchor "com.apple" from "/etc/pf.anchors/com.apple"
`;

const PACKET_BYTES = 100n;

export class FakePf {
  main: MainRules = APPLE_MAIN;
  readonly anchors = new Map<string, FakeAnchor>();
  /** Rules of others inside `com.apple/…`, by name of the child: the first of them that matches decides when quick. */
  readonly appleRules = new Map<string, readonly string[]>();
  readonly tokens = new Map<string, string>();
  states: FakeState[] = [];
  enabled = false;
  #nextToken = 13_971_906_727_590_307_000n;

  acquireToken(holder: string): string {
    const token = String(++this.#nextToken);
    this.tokens.set(token, holder);
    this.enabled = true;
    return token;
  }

  /** `pfctl -d`: all tokens are void. */
  disable(): void {
    this.enabled = false;
    this.tokens.clear();
  }

  /** Nothing of pf survives; the next `pfctl -f /etc/pf.conf` is the system's. */
  reboot(main: MainRules = APPLE_MAIN): void {
    this.disable();
    this.anchors.clear();
    this.states = [];
    this.main = main;
  }

  /** Throws with the line that is wrong. */
  load(name: string, text: string): void {
    this.anchors.set(name, readAnchor(text));
  }

  flush(name: string): void {
    this.anchors.set(name, readAnchor("\n"));
  }

  /** One packet of a connection, first or later. */
  send(packet: FakePacket): "pass" | "block" {
    if (!this.enabled) return "pass";
    if (this.findState(packet)) return "pass";
    const { action, keepsState } = this.#judge(packet);
    if (action === "pass" && keepsState) this.states.push({ openerPort: 50_000, ...packet });
    return action;
  }

  findState(packet: FakePacket): FakeState | undefined {
    const key = stateKey(packet);
    return this.states.find((state) => stateKey(state) === key);
  }

  #judge(packet: FakePacket): { readonly action: "pass" | "block"; readonly keepsState: boolean } {
    let last: { action: "pass" | "block"; keepsState: boolean } = { action: "pass", keepsState: false };
    for (const line of this.main.filter) {
      const called = /^anchor "([^"]+)" all$/.exec(line)?.[1];
      const rule = called === undefined ? plainRule(line, packet) : this.#askAnchor(called, packet);
      if (!rule) continue;
      last = { action: rule.action, keepsState: rule.keepsState };
      if (rule.quick) return last;
    }
    return last;
  }

  #askAnchor(name: string, packet: FakePacket): JudgedRule | null {
    if (name === "com.apple/*") {
      const children = [...this.appleRules].sort(([left], [right]) => (left < right ? -1 : 1));
      for (const [, lines] of children) for (const line of lines) return plainRule(line, packet);
      return null;
    }
    const anchor = this.anchors.get(name);
    if (!anchor) return null;
    const { interfaceName = "en0", direction, remote, protocol, port } = packet;
    const found = walkPf(anchor.parsed, { direction, remote, protocol, port, interfaceName });
    if (!found) return null;
    const place = anchor.parsed.rules.indexOf(found);
    anchor.packets[place] = (anchor.packets[place] ?? 0) + 1;
    return { action: found.action, keepsState: found.keepsState, quick: true };
  }

  /** Packets and bytes by line of `pfctl -s rules`; pf counts at the rule, here at its first line. */
  counters(anchor: FakeAnchor): readonly (readonly [rule: PfRule, packets: bigint, bytes: bigint])[] {
    const counted = new Set<number>();
    return anchor.lines.flatMap(({ source }) => {
      const rule = anchor.parsed.rules[source];
      if (!rule) return [];
      const packets = counted.has(source) ? 0n : BigInt(anchor.packets[source] ?? 0);
      counted.add(source);
      return [[rule, packets, packets * PACKET_BYTES] as const];
    });
  }

  /** Ends states by opener and target as the kernel does. Returns how many. */
  killStates(source: string, destination: string | null): number {
    const before = this.states.length;
    this.states = this.states.filter((state) => {
      const { opener, target } = endsOf(state);
      return !(covers(source, opener) && (destination === null || covers(destination, target)));
    });
    return before - this.states.length;
  }
}

interface JudgedRule {
  readonly action: "pass" | "block";
  readonly keepsState: boolean;
  readonly quick: boolean;
}

export function endsOf({ direction, local, remote }: FakePacket): { readonly opener: string; readonly target: string } {
  return direction === "ingress" ? { opener: remote, target: local } : { opener: local, target: remote };
}

function stateKey({ direction, local, remote, protocol, port, openerPort = 50_000 }: FakePacket): string {
  return [direction, local, remote, protocol, port, openerPort].join(" ");
}

/** The few forms of rules of others that the tests need. */
function plainRule(line: string, packet: FakePacket): JudgedRule | null {
  const [, action, side, quick, port] =
    /^(pass|block drop)(?: (in|out))?( quick)?(?: proto tcp from any to any port = (\d+)| all)/.exec(line) ?? [];
  if (action === undefined) throw new Error(`the double does not know this rule: ${line}`);
  if (side !== undefined && (side === "in") !== (packet.direction === "ingress")) return null;
  if (port !== undefined && (packet.protocol !== 6 || packet.port !== Number(port))) return null;
  return { action: action === "pass" ? "pass" : "block", keepsState: action === "pass", quick: quick !== undefined };
}

function covers(hostOrPrefix: string, address: string): boolean {
  const parsed = parseAddress(address);
  if (!parsed.ok) throw new Error(address);
  if (!hostOrPrefix.includes("/")) return parseAddress(hostOrPrefix).ok && hostOrPrefix === address;
  const cidr = parseCidr(hostOrPrefix);
  if (!cidr.ok) throw new Error(hostOrPrefix);
  return cidrContainsAddress(cidr.cidr, parsed.bytes);
}

function readAnchor(text: string): FakeAnchor {
  const parsed = parsePfAnchor(text === "" ? "\n" : text.replaceAll(/^\n/gm, "# \n"));
  const ruleLines = text.split("\n").filter((line) => /^(pass|block) /.test(line));
  const lines = ruleLines.flatMap((line, source) => multiplied(line).map((one) => ({ text: asListed(one), source })));
  return { text, parsed, lines, packets: parsed.rules.map(() => 0) };
}

/** pfctl makes one rule of each item of a list. */
function multiplied(line: string): readonly string[] {
  const list = /\{ ([^}]+) \}/.exec(line);
  if (!list) return [line];
  return (list[1] ?? "").split(", ").map((item) => line.replace(list[0], item));
}

function asListed(line: string): string {
  return line.replace(/ port (\d+)(?= |$)/, " port = $1").replace(" from any to any ", " all ");
}
