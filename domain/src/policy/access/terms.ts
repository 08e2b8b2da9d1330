/** Rules as terms: the units whose addresses they match, and the ports that they match there. */
import { cidrOfAddress, parseAddress } from "../address.ts";
import type { PortRange, PortRanges } from "../compile/cells.ts";
import { ANY_ADDRESS, type UnitTable } from "../compile/units.ts";
import type { Endpoint, NamedPort, Peer, PolicyRule, ProtocolNumber } from "../model.ts";

/** Addresses of the subject's own host, which differ from subject to subject. */
const SUBJECT_HOST = -2;

export interface Term {
  readonly unit: number;
  readonly ports: PortRanges;
}

interface PortName {
  readonly protocol: ProtocolNumber;
  readonly name: string;
}

/** What a rule says, before it is known about whom. */
export interface RuleTerms {
  readonly terms: readonly Term[];
  /** Names to be looked up at the subject (ingress). */
  readonly ownNames: readonly PortName[];
  readonly asksForHost: boolean;
}

export function expandRule(rule: PolicyRule, units: UnitTable): RuleTerms {
  const peers: readonly (Peer | null)[] = rule.peers ?? [null];
  const isIngress = rule.direction === "ingress";
  const ranges = rule.ports === null ? null : rule.ports.filter((port) => port.kind === "range");
  const names = (rule.ports ?? []).filter((port) => port.kind === "named");
  const terms = peers.flatMap((peer) => {
    const unit = unitOf(peer, units);
    const own: Term[] = [];
    // A name may stand for a port of the subject, so the term counts although it has no range yet.
    if (ranges === null || ranges.length > 0 || (isIngress && names.length > 0)) own.push({ unit, ports: ranges });
    if (isIngress || (peer !== null && peer.kind !== "endpoints")) return own;
    for (const { protocol, name } of names) {
      for (const named of units.forNamedPort(peer?.selector ?? null, protocol, name)) {
        own.push({ unit: named.unit, ports: [{ protocol, low: named.port, high: named.port }] });
      }
    }
    return own;
  });
  return {
    terms,
    ownNames: isIngress ? names : [],
    asksForHost: terms.some(({ unit }) => unit === SUBJECT_HOST),
  };
}

function unitOf(peer: Peer | null, units: UnitTable): number {
  if (peer === null) return ANY_ADDRESS;
  return peer.kind === "entity" && peer.entity === "host" ? SUBJECT_HOST : units.forPeer(peer);
}

/** A unit for each address of a host. */
export function unitsOfHost(host: Endpoint, units: UnitTable): readonly number[] {
  return host.addresses.flatMap((text) => {
    const address = parseAddress(text);
    if (!address.ok) return [];
    const { source } = host;
    const place = source ?? { file: "", line: 1, column: 1, endLine: 1, endColumn: 1 };
    return [units.forPeer({ kind: "addresses", cidr: cidrOfAddress(address), except: [], source: place })];
  });
}

/** The terms for one subject: `owners` are those whose port names count, `hostUnits` its host's addresses. */
export function termsFor(rule: RuleTerms, owners: readonly Endpoint[], hostUnits: readonly number[]): readonly Term[] {
  if (rule.ownNames.length === 0 && !rule.asksForHost) return rule.terms;
  const named = portsNamed(owners, rule.ownNames);
  // One list for all terms of a rule, so that an address that several of its peers match is still one case.
  const withNames = new Map<PortRanges, PortRanges>();
  return rule.terms.flatMap(({ unit, ports }) => {
    const all = named.length === 0 || ports === null ? ports : (withNames.get(ports) ?? [...ports, ...named]);
    withNames.set(ports, all);
    if (all !== null && all.length === 0) return [];
    return (unit === SUBJECT_HOST ? hostUnits : [unit]).map((own) => ({ unit: own, ports: all }));
  });
}

export function portsNamed(
  owners: readonly { readonly ports: readonly NamedPort[] }[],
  names: readonly PortName[],
): readonly PortRange[] {
  return owners
    .flatMap((owner) => owner.ports)
    .filter((port) => names.some(({ name, protocol }) => port.name === name && port.protocol === protocol))
    .map(({ protocol, port }) => ({ protocol, low: port, high: port }));
}
