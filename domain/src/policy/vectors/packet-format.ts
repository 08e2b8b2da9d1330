/** The format of cases about packets against tiers of rules, read and checked. */
import { cidrContains, parseCidr } from "../address.ts";
import { type Cidr, PROTOCOL } from "../model.ts";
import { readCaseHead } from "./case-head.ts";
import { readAddress } from "./inventory.ts";
import { asInteger, asList, asMap, asObject, asOneOf, asText, type Located, wrong } from "./json.ts";
import type {
  IcmpCondition,
  NamedPortMember,
  PacketCase,
  PacketProbe,
  PacketRule,
  PacketTier,
  SideConditions,
} from "./packet-model.ts";
import { wholeFamily } from "./prefixes.ts";
import { hasPorts, type PortRange } from "./services.ts";
import { VECTOR_LIMITS } from "./vector.ts";

type IpSets = ReadonlyMap<string, readonly (Cidr | NamedPortMember)[]>;

interface Context {
  readonly family: 4 | 6;
  readonly ipSets: IpSets;
}

export function readPacketFormat(at: Located): PacketCase {
  const { fields, name, source } = readCaseHead(at, ["family", "rules", "ipSets", "packets"], []);
  const family = asOneOf(fields.family, ["ipv4", "ipv6"]) === "ipv4" ? 4 : 6;
  const ipSets: IpSets = new Map(
    asMap(fields.ipSets, VECTOR_LIMITS.sets).map(([key, members]) => [
      key,
      asList(members, { max: VECTOR_LIMITS.setMembers }).map((member) => readSetMember(member, family)),
    ]),
  );
  const rules = asObject(fields.rules, ["tiers"], ["profiles"]);
  if (rules.profiles && asList(rules.profiles, { max: VECTOR_LIMITS.tierPolicies }).length > 0) {
    throw wrong(rules.profiles, "must be empty: profiles have no counterpart here");
  }
  const tiers = asList(rules.tiers, { max: VECTOR_LIMITS.tierPolicies });
  if (tiers.length > 2) {
    throw wrong(rules.tiers, `has ${tiers.length} tiers; only two ordered tiers exist here, admin and baseline`);
  }
  const packets = asList(fields.packets, { max: VECTOR_LIMITS.packets });
  return {
    name,
    source,
    family,
    tiers: tiers.map((tier) => readTier(tier, { family, ipSets })),
    packets: packets.map((packet) => readPacket(packet, family)),
  };
}

function readTier(at: Located, context: Context): PacketTier {
  const fields = asObject(at, ["name", "endAction", "policies"], []);
  return {
    name: asText(fields.name, VECTOR_LIMITS.nameLength),
    endAction: asOneOf(fields.endAction, ["deny", "pass"]),
    policies: asList(fields.policies, { max: VECTOR_LIMITS.tierPolicies }).map((policy) => {
      const parts = asObject(policy, ["name", "rules"], []);
      const rules = asList(parts.rules, { max: VECTOR_LIMITS.rules });
      return {
        name: asText(parts.name, VECTOR_LIMITS.nameLength),
        rules: rules.map((rule) => readRule(rule, context)),
      };
    }),
  };
}

const RULE_FIELDS = ["protocol", "notProtocol", "icmpType", "icmpCode", "notIcmpType", "notIcmpCode"] as const;
const SOURCE_FIELDS = [
  "srcNets",
  "notSrcNets",
  "srcPorts",
  "notSrcPorts",
  "srcIpSets",
  "notSrcIpSets",
  "srcNamedPortIpSets",
] as const;
const DESTINATION_FIELDS = [
  "dstNets",
  "notDstNets",
  "dstPorts",
  "notDstPorts",
  "dstIpSets",
  "notDstIpSets",
  "dstNamedPortIpSets",
] as const;

function readRule(at: Located, context: Context): PacketRule {
  const fields = asObject(at, ["action"], [...RULE_FIELDS, ...SOURCE_FIELDS, ...DESTINATION_FIELDS]);
  const byte = (field: Located | undefined): number | null => (field ? asInteger(field, 0, 255) : null);
  const source = {
    nets: fields.srcNets,
    notNets: fields.notSrcNets,
    ports: fields.srcPorts,
    notPorts: fields.notSrcPorts,
    ipSets: fields.srcIpSets,
    notIpSets: fields.notSrcIpSets,
    namedPorts: fields.srcNamedPortIpSets,
  };
  const destination = {
    nets: fields.dstNets,
    notNets: fields.notDstNets,
    ports: fields.dstPorts,
    notPorts: fields.notDstPorts,
    ipSets: fields.dstIpSets,
    notIpSets: fields.notDstIpSets,
    namedPorts: fields.dstNamedPortIpSets,
  };
  return {
    action: asOneOf(fields.action, ["allow", "deny", "pass"]),
    protocol: byte(fields.protocol),
    notProtocol: byte(fields.notProtocol),
    source: readSide(source, context),
    destination: readSide(destination, context),
    icmp: readIcmp(at, byte(fields.icmpType), byte(fields.icmpCode)),
    notIcmp: readIcmp(at, byte(fields.notIcmpType), byte(fields.notIcmpCode)),
  };
}

function readIcmp(at: Located, type: number | null, code: number | null): IcmpCondition | null {
  if (type !== null) return { type, code };
  if (code !== null) throw wrong(at, "has an ICMP code without a type");
  return null;
}

type SideFields = { readonly [Key in keyof SideConditions]: Located | undefined };

/** An empty list of alternatives could mean everything or nothing, so it is refused; an empty set matches nothing. */
function readSide(fields: SideFields, { family, ipSets }: Context): SideConditions {
  const bounds = { min: 1, max: VECTOR_LIMITS.conditions };
  const list = (at: Located | undefined): readonly Located[] | null => (at ? asList(at, bounds) : null);
  const netsOf = (at: Located | undefined) => list(at)?.map((net) => readNet(net, family)) ?? null;
  const rangesOf = (at: Located | undefined) => list(at)?.map(readRange) ?? null;
  const addressSets = (at: Located | undefined) => list(at)?.map((name) => addressSet(name, ipSets)) ?? [];
  return {
    nets: netsOf(fields.nets),
    notNets: netsOf(fields.notNets) ?? [],
    ipSets: addressSets(fields.ipSets),
    notIpSets: addressSets(fields.notIpSets),
    ports: rangesOf(fields.ports),
    namedPorts: list(fields.namedPorts)?.flatMap((name) => namedPortSet(name, ipSets)) ?? null,
    notPorts: rangesOf(fields.notPorts) ?? [],
  };
}

function findSet(at: Located, ipSets: IpSets): readonly (Cidr | NamedPortMember)[] {
  const name = asText(at, VECTOR_LIMITS.nameLength);
  const found = ipSets.get(name);
  if (found === undefined) throw wrong(at, `names the set ${JSON.stringify(name)}, which the case does not have`);
  return found;
}

function addressSet(at: Located, ipSets: IpSets): readonly Cidr[] {
  return findSet(at, ipSets).map((member) => {
    if ("net" in member) throw wrong(at, "names a set of ports where a set of addresses is needed");
    return member;
  });
}

function namedPortSet(at: Located, ipSets: IpSets): readonly NamedPortMember[] {
  return findSet(at, ipSets).map((member) => {
    if (!("net" in member)) throw wrong(at, "names a set of addresses where a set of ports is needed");
    return member;
  });
}

function readSetMember(at: Located, family: 4 | 6): Cidr | NamedPortMember {
  if (typeof at.value === "string") return readNet(at, family);
  const fields = asObject(at, ["net", "protocol", "port"], []);
  return {
    net: readNet(fields.net, family),
    protocol: asInteger(fields.protocol, 0, 255),
    port: asInteger(fields.port, 0, 0xffff),
  };
}

function readNet(at: Located, family: 4 | 6): Cidr {
  const parsed = parseCidr(asText(at, VECTOR_LIMITS.nameLength));
  if (!parsed.ok) throw wrong(at, parsed.message);
  if (!cidrContains(wholeFamily(family), parsed.cidr))
    throw wrong(at, `is not an IPv${family} network, as its case is`);
  return parsed.cidr;
}

function readRange(at: Located): PortRange {
  const [low, high] = asList(at, { min: 2, max: 2 }).map((end) => asInteger(end, 0, 0xffff));
  if (low === undefined || high === undefined || low > high) throw wrong(at, "must be [low, high]");
  return { low, high };
}

/** Numbers that IPv6 reads as one more header (IANA), as bpf/src/packet.h does. */
const EXTENSION_HEADERS = new Set([0, 43, 44, 51, 60, 135, 139, 140]);

function readPacket(at: Located, family: 4 | 6): PacketProbe {
  const fields = asObject(at, ["src", "dst", "protocol", "expect"], ["srcPort", "dstPort", "icmpType", "icmpCode"]);
  const protocol = asInteger(fields.protocol, 0, 255);
  if (family === 6 && EXTENSION_HEADERS.has(protocol)) {
    throw wrong(fields.protocol, "is an IPv6 extension header, which no packet ends with");
  }
  const number = (field: Located | undefined, high: number) => (field ? asInteger(field, 0, high) : null);
  const [sourcePort, destinationPort] = [number(fields.srcPort, 0xffff), number(fields.dstPort, 0xffff)];
  const [type, code] = [number(fields.icmpType, 255), number(fields.icmpCode, 255)];
  const ofFamily = (field: Located): string => {
    const address = readAddress(field);
    if (address.includes(":") !== (family === 6)) throw wrong(field, `is not an IPv${family} address, as its case is`);
    return address;
  };
  for (const port of [sourcePort, destinationPort]) {
    if ((port !== null) !== hasPorts(protocol))
      throw wrong(at, "must have both ports for TCP, UDP and SCTP, else none");
  }
  const isIcmp = protocol === PROTOCOL.icmp || (protocol === PROTOCOL.icmpv6 && family === 6);
  if ((type !== null) !== isIcmp || (code !== null) !== isIcmp) {
    throw wrong(at, "must have type and code for ICMP, else none");
  }
  return {
    source: ofFamily(fields.src),
    destination: ofFamily(fields.dst),
    protocol,
    sourcePort,
    destinationPort,
    icmp: type === null || code === null ? null : { type, code },
    expect: asOneOf(fields.expect, ["allow", "deny"]),
  };
}
