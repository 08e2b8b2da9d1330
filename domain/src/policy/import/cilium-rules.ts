/** Rules of Cilium policies: who, and on which ports (pkg/policy/api/{ingress,egress}.go). */

import { cidrOfAddress, parseAddress } from "../address.ts";
import { readCidr, readIpBlock } from "../formats/addresses.ts";
import { type Located, ObjectReader, readBoundedList, readList, readText } from "../formats/object-reader.ts";
import { DOMAIN_NAME } from "../formats/schema/domain-names.ts";
import type { Action, Direction, NamespaceMatch, Peer, PolicyRule, PortMatch } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { readIcmps, readToPorts } from "./cilium-ports.ts";
import { readCiliumSelector } from "./cilium-selectors.ts";
import { given, refuseFields, refuseValue } from "./refuse.ts";
import { CILIUM_DOMAIN, CILIUM_RULES } from "./shapes.ts";

export interface CiliumScope {
  /** Namespaces that a peer selector means when it names none: the policy's own, or every one. */
  readonly namespaces: NamespaceMatch;
}

interface RuleContext extends CiliumScope {
  readonly direction: Direction;
  readonly action: Action;
}

const ENTITIES: Readonly<Record<string, "all" | "world" | "cluster" | "host">> = {
  all: "all",
  world: "world",
  cluster: "cluster",
  host: "host",
};

/** The lists of one direction that say who; a rule has one of them, or none. */
function peerFields(direction: Direction) {
  const way = direction === "ingress" ? "from" : "to";
  return {
    endpoints: `${way}Endpoints`,
    cidr: `${way}CIDR`,
    cidrSet: `${way}CIDRSet`,
    entities: `${way}Entities`,
    nodes: `${way}Nodes`,
    fqdns: `${way}FQDNs`,
  };
}

function refusedFields(direction: Direction): Readonly<Record<string, string>> {
  const common = { authentication: "who is at the other end is not proved here" };
  return direction === "ingress"
    ? {
        ...common,
        fromRequires: "a condition that every rule has to meet has no equal",
        fromGroups: "groups of a cloud provider are not known here",
      }
    : {
        ...common,
        toRequires: "a condition that every rule has to meet has no equal",
        toServices: "the addresses behind a service of Kubernetes are not known here",
        toGroups: "groups of a cloud provider are not known here",
      };
}

/** Rules of one list, numbered from `firstIndex`. */
export function readCiliumRules(
  report: Reporter,
  list: Located | null,
  context: RuleContext,
  firstIndex: number,
): readonly PolicyRule[] {
  const entries = list ? (readList(report, list) ?? []) : [];
  return entries.flatMap((entry, position) => readRule(report, entry, context, firstIndex + position) ?? []);
}

function readRule(report: Reporter, value: Located, context: RuleContext, index: number): PolicyRule | null {
  const { direction, action } = context;
  const names = peerFields(direction);
  const errorsBefore = report.errorCount;
  const refused = {
    ...refusedFields(direction),
    ...(action === "deny"
      ? { toFQDNs: "a denial by name does not hold, since other names may have the same address" }
      : {}),
  };
  const { fqdns, ...addressed } = names;
  const peerNames = direction === "egress" && action === "allow" ? Object.values(names) : Object.values(addressed);
  const known = CILIUM_RULES[direction][action === "deny" ? "deny" : "allow"].known.fields;
  const fields = [...known, ...Object.keys(refused)];
  const rule = ObjectReader.open(report, value, { fields });
  if (!rule) return null;
  refuseFields(rule, refused);
  const present = rule.node.entries.map(({ key }) => key).filter((key) => peerNames.includes(key));
  const [first, second] = present;
  if (second !== undefined) {
    const message = `${value.path} takes one of ${peerNames.join(", ")}; two alternatives are two rules.`;
    report.report("WL212", rule.getNullable(second)?.anchor ?? rule.anchor, message);
    return null;
  }
  const ports = readPorts(report, rule);
  // A rule without any of them is how Cilium writes "nobody": it only closes the direction.
  const isEmpty = first === undefined && ports === null;
  if (isEmpty && action === "deny") {
    if (report.errorCount === errorsBefore)
      report.report("WL219", rule.anchor, `${value.path} denies nothing: name peers or ports.`);
    return null;
  }
  const field = first === undefined ? null : rule.get(first);
  const peers = first === undefined ? (isEmpty ? [] : null) : field ? readPeers(report, field, names, context) : [];
  return { direction, index, name: null, action, peers, ports, source: report.range(rule.node) };
}

function readPorts(report: Reporter, rule: ObjectReader): readonly PortMatch[] | null {
  const toPorts = given(rule, "toPorts");
  const icmps = given(rule, "icmps");
  if (toPorts && icmps) {
    report.report("WL212", icmps.anchor, `${icmps.path} cannot stand together with toPorts; make them two rules.`);
  }
  if (toPorts) return readToPorts(report, toPorts);
  return icmps ? readIcmps(report, icmps) : null;
}

/** `null` = anybody. */
function readPeers(
  report: Reporter,
  field: Located,
  names: ReturnType<typeof peerFields>,
  context: RuleContext,
): readonly Peer[] | null {
  const entries =
    readBoundedList(report, field, {
      minItems: 1,
      hint: "Cilium reads an empty list as nobody; leave the rule out.",
    }) ?? [];
  const name = field.path.slice(field.path.lastIndexOf(".") + 1);
  if (name === names.entities) return readEntities(report, entries);
  if (name === names.cidr || name === names.cidrSet) {
    const message = `${field.path}: in Cilium these blocks never mean pods or nodes of the cluster; here they mean every address in them.`;
    report.report("WL254", field.anchor, message);
  }
  return entries.flatMap((entry) => readPeer(report, entry, name, names, context) ?? []);
}

function readPeer(
  report: Reporter,
  entry: Located,
  name: string,
  names: ReturnType<typeof peerFields>,
  context: RuleContext,
): Peer | null {
  const source = report.range(entry.node);
  switch (name) {
    case names.cidr:
      return readPrefix(report, entry);
    case names.cidrSet:
      return readCidrSet(report, entry);
    case names.fqdns:
      return readDomain(report, entry);
    default: {
      const isNodes = name === names.nodes;
      const namespaces: NamespaceMatch = isNodes ? { kind: "any" } : context.namespaces;
      const selector = readCiliumSelector(report, entry, { namespaces });
      return selector && { kind: "endpoints", selector: isNodes ? { ...selector, kind: "host" } : selector, source };
    }
  }
}

/** `all` makes every other entity of the list superfluous. */
function readEntities(report: Reporter, entries: readonly Located[]): readonly Peer[] | null {
  const peers: Peer[] = [];
  let all = false;
  for (const entry of entries) {
    const text = readText(report, entry);
    if (text === null) continue;
    const entity = Object.hasOwn(ENTITIES, text) ? ENTITIES[text] : undefined;
    if (entity === undefined) {
      const known = Object.keys(ENTITIES).join(", ");
      refuseValue(report, entry, `the entity "${text.slice(0, 40)}" has no equal here, only ${known} have`);
    } else if (entity === "all") all = true;
    else peers.push({ kind: "entity", entity, source: report.range(entry.node) });
  }
  return all ? null : peers;
}

/** A prefix, or one address. */
function readPrefix(report: Reporter, entry: Located): Peer | null {
  const { node } = entry;
  const address = node.kind === "scalar" && typeof node.value === "string" ? parseAddress(node.value) : null;
  const cidr = address?.ok ? cidrOfAddress(address) : readCidr(report, entry);
  return cidr && { kind: "addresses", cidr, except: [], source: report.range(node) };
}

function readCidrSet(report: Reporter, entry: Located): Peer | null {
  const groups = {
    cidrGroupRef: "groups of address blocks are documents of Cilium",
    cidrGroupSelector: "groups of address blocks are documents of Cilium",
  };
  if (entry.node.kind !== "map") return readIpBlock(report, entry);
  const set = ObjectReader.unchecked(report, entry.node, entry);
  const isGroup = Object.keys(groups).some((name) => given(set, name));
  if (!isGroup) return readIpBlock(report, entry);
  refuseFields(set, groups);
  return null;
}

function readDomain(report: Reporter, entry: Located): Peer | null {
  const domain = ObjectReader.open(report, entry, CILIUM_DOMAIN.known);
  const chosen = domain?.exactlyOne(CILIUM_DOMAIN.exactlyOneOf);
  const text = chosen ? readText(report, chosen.field) : null;
  if (!chosen || text === null) return null;
  const lower = text.toLowerCase().replace(/\.$/, "");
  // `*` is part of one label in Cilium, `**.` before a name is one or more labels, as `*.` is here.
  const name = chosen.name === "matchPattern" && lower.startsWith("**.") ? lower.slice(1) : lower;
  const isPlain = chosen.name === "matchName" || name !== lower || !name.includes("*");
  if (!isPlain) {
    return refuseValue(
      report,
      chosen.field,
      "* stands for a part of one label there, and for whole labels here; only **. before a name means the same",
    );
  }
  if (!DOMAIN_NAME.pattern.test(name) || (chosen.name === "matchName" && name.includes("*"))) {
    report.report("WL227", chosen.field.node, `${chosen.field.path} "${text.slice(0, 60)}" is not a domain name.`);
    return null;
  }
  return { kind: "domains", names: [name], source: report.range(domain?.node ?? entry.node) };
}
