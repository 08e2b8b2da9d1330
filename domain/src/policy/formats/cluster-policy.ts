/**
 * What the cluster-wide Kubernetes policies have in common (network-policy-api v0.2, `apis/v1alpha1` and `apis/v1alpha2`):
 * subject, peers and rules. Their ports differ and stay with each kind.
 */
import type { Action, Direction, EndpointSelector, LabelSelector, Peer, PolicyRule, PortMatch } from "../model.ts";
import { isNull } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { readCidr } from "./addresses.ts";
import { readDomainNames } from "./domain-names.ts";
import { type Located, ObjectReader, readBoundedList, readChoice, readLimitedText } from "./object-reader.ts";
import { NAMED_TARGETS, POD_PEER, SUBJECT } from "./schema/cluster-policy.ts";
import { NAMESPACES_SELECTOR } from "./schema/common.ts";
import type { ListShape, ObjectShape } from "./schema/shape.ts";
import { readSelector } from "./selectors.ts";

/** How one version of the API differs. */
export interface ClusterPolicyDialect {
  readonly rules: Readonly<Record<Direction, ListShape>>;
  readonly rule: Readonly<Record<Direction, ObjectShape>>;
  readonly peers: Readonly<Record<Direction, ListShape>>;
  readonly peer: Readonly<Record<Direction, ObjectShape>>;
  readonly actions: Readonly<Record<string, Action>>;
  /** What other versions call these actions. */
  readonly actionSynonyms: Readonly<Record<string, string>>;
  readonly networks: ListShape;
  readonly domainNames: ListShape;
  readonly portsName: string;
  /** `named` = the port is given by name, which only peers with labels have. */
  readonly ports: ListShape;
  readPort(report: Reporter, entry: Located): readonly PortMatch[];
}

export function readSubject(report: Reporter, value: Located): EndpointSelector | null {
  const subject = ObjectReader.open(report, value, SUBJECT.known);
  const chosen = subject?.exactlyOne(SUBJECT.exactlyOneOf);
  if (!chosen) return null;
  return chosen.name === "namespaces" ? readNamespaces(report, chosen.field) : readPods(report, chosen.field);
}

const EVERYTHING: LabelSelector = { requirements: [] };

function readNamespaces(report: Reporter, value: Located): EndpointSelector | null {
  const selector = readSelector(report, value, NAMESPACES_SELECTOR);
  return selector && { namespaces: { kind: "selector", selector }, endpoints: EVERYTHING };
}

/** Both selectors are required; an empty one is everything. */
function readPods(report: Reporter, value: Located): EndpointSelector | null {
  const pods = ObjectReader.open(report, value, POD_PEER.known);
  if (!pods) return null;
  const namespacesField = pods.require("namespaceSelector", "Write {} for every namespace.");
  const podsField = pods.require("podSelector", "Write {} for everything in these namespaces.");
  const namespaces = namespacesField && readSelector(report, namespacesField);
  const endpoints = podsField && readSelector(report, podsField);
  return namespaces && endpoints && { namespaces: { kind: "selector", selector: namespaces }, endpoints };
}

/** The rules of one direction; none when the list is absent, which leaves the direction untouched. */
export function readClusterRules(
  report: Reporter,
  spec: ObjectReader,
  direction: Direction,
  dialect: ClusterPolicyDialect,
): readonly PolicyRule[] {
  const field = spec.getNullable(direction);
  if (!field || isNull(field.node)) return [];
  const entries = readBoundedList(report, field, dialect.rules[direction]) ?? [];
  return entries.flatMap((entry, index) => readRule(report, entry, { direction, index, dialect }) ?? []);
}

interface RuleContext {
  readonly direction: Direction;
  readonly index: number;
  readonly dialect: ClusterPolicyDialect;
}

function readRule(report: Reporter, value: Located, context: RuleContext): PolicyRule | null {
  const { direction, index, dialect } = context;
  const rule = ObjectReader.open(report, value, dialect.rule[direction].known);
  if (!rule) return null;
  const nameField = rule.get("name");
  const name = nameField && readLimitedText(report, nameField, MAX_RULE_NAME_LENGTH);
  const actionField = rule.require("action");
  const words = Object.keys(dialect.actions);
  const word = actionField && readChoice(report, actionField, words, dialect.actionSynonyms);
  const action = word === null ? null : dialect.actions[word]!;
  const peers = readPeers(report, rule, context);
  const ports = readPorts(report, rule, dialect);
  reportMixedTargets(report, rule, context, ports);
  if (action !== null && action !== "allow") reportDeniedNames(report, rule, context, word!);
  if (action === null) return null;
  return { direction, index, name: name === "" ? null : name, action, peers, ports, source: report.range(rule.node) };
}

const MAX_RULE_NAME_LENGTH = 100;

function peersName(direction: Direction): "from" | "to" {
  return direction === "ingress" ? "from" : "to";
}

function readPeers(report: Reporter, rule: ObjectReader, { direction, dialect }: RuleContext): readonly Peer[] {
  const field = rule.require(
    peersName(direction),
    "Write namespaces: {} for everybody with an address in the inventory.",
  );
  const entries = field ? (readBoundedList(report, field, dialect.peers[direction]) ?? []) : [];
  return entries.flatMap((entry) => readPeer(report, entry, direction, dialect));
}

function readPeer(
  report: Reporter,
  value: Located,
  direction: Direction,
  dialect: ClusterPolicyDialect,
): readonly Peer[] {
  const shape = dialect.peer[direction];
  const peer = ObjectReader.open(report, value, shape.known);
  const chosen = peer?.exactlyOne(shape.exactlyOneOf);
  if (!peer || !chosen) return [];
  const { name, field } = chosen;
  const source = report.range(peer.node);
  const fromSelector = (selector: EndpointSelector | null): readonly Peer[] =>
    selector ? [{ kind: "endpoints", selector, source }] : [];
  switch (name) {
    case "namespaces":
      return fromSelector(readNamespaces(report, field));
    case "pods":
      return fromSelector(readPods(report, field));
    case "nodes": {
      const endpoints = readSelector(report, field);
      return fromSelector(endpoints && { namespaces: { kind: "any" }, endpoints, kind: "host" });
    }
    case "networks":
      return (readBoundedList(report, field, dialect.networks) ?? []).flatMap((entry) => {
        const cidr = readCidr(report, entry);
        return cidr ? [{ kind: "addresses", cidr, except: [], source: report.range(entry.node) } as const] : [];
      });
    default: {
      const names = readDomainNames(report, field, dialect.domainNames);
      return names.length > 0 ? [{ kind: "domains", names, source }] : [];
    }
  }
}

/** Absent = every port and protocol. */
function readPorts(report: Reporter, rule: ObjectReader, dialect: ClusterPolicyDialect): readonly PortMatch[] | null {
  const field = rule.get(dialect.portsName);
  if (!field) return null;
  if (field.node.kind === "map") {
    const message = `${field.path} is a list in this version, without allPorts or list around it. To mean every port, leave ${dialect.portsName} out.`;
    report.report("WL223", field.anchor, message);
    return [];
  }
  const bounds = { ...dialect.ports, hint: "To mean every port and protocol, leave it out." };
  const entries = readBoundedList(report, field, bounds) ?? [];
  return entries.flatMap((entry) => dialect.readPort(report, entry));
}

/** The peers of a rule that hold one of these fields, as they stand in the file. */
function peersWith(rule: ObjectReader, direction: Direction, names: readonly string[]): readonly string[] {
  const list = rule.getNullable(peersName(direction))?.node;
  if (list?.kind !== "list") return [];
  const keys = list.items.flatMap((item) => (item.kind === "map" ? item.entries.map(({ key }) => key) : []));
  return names.filter((name) => keys.includes(name));
}

/** Nodes, networks and domain names have no named ports. */
function reportMixedTargets(
  report: Reporter,
  rule: ObjectReader,
  { direction, dialect }: RuleContext,
  ports: readonly PortMatch[] | null,
): void {
  const [other] = peersWith(rule, direction, NAMED_TARGETS);
  if (other === undefined || !ports?.some(({ kind }) => kind === "named")) return;
  const field = rule.getNullable(dialect.portsName)!;
  const message = `${field.path} names a port, and a peer of this rule is given by ${other}, which has no port names. Write the number, or make it two rules.`;
  report.report("WL212", field.anchor, message);
}

/** A denial by name would be a promise that nobody can keep: other names may have the same address. */
function reportDeniedNames(report: Reporter, rule: ObjectReader, { direction }: RuleContext, word: string): void {
  if (peersWith(rule, direction, ["domainNames"]).length === 0) return;
  const message = `${rule.path}: domainNames can only be allowed, and the action is ${word}. Deny with a rule below, by networks.`;
  report.report("WL228", rule.getNullable("action")!.anchor, message);
}
