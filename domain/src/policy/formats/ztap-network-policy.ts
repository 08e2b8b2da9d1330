/**
 * `ztap/v1` NetworkPolicy, in its first form (egress only) and its later one (ingress, expressions, `except`, ranges,
 * port names). What differs from Kubernetes: `to` and `from` are one object, ports are mandatory, no namespaces.
 */
import {
  type Direction,
  type EndpointSelector,
  type LabelSelector,
  type Peer,
  type PolicyRule,
  type PortMatch,
  PROTOCOL,
} from "../model.ts";
import { isNull } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { readIpBlock } from "./addresses.ts";
import type { DocumentInput, DocumentReader, ReadObject } from "./document.ts";
import { type Located, ObjectReader, readChoice, readList } from "./object-reader.ts";
import { MAX_PORT, protocolNumber, readPortOrName, readPortRange } from "./ports.ts";
import {
  ZTAP_EGRESS_RULE,
  ZTAP_INGRESS_RULE,
  ZTAP_PEER,
  ZTAP_PORT,
  ZTAP_PROTOCOLS,
  ZTAP_SCHEMA,
  ZTAP_SPEC,
} from "./schema/ztap-network-policy.ts";
import { readSelector } from "./selectors.ts";

export const ztapNetworkPolicy: DocumentReader = {
  apiVersion: "ztap/v1",
  kind: "NetworkPolicy",
  tier: "application",
  metadata: { name: "label", namespaced: false },
  fields: ["spec"],
  schema: ZTAP_SCHEMA,
  key: ({ name }) => `NetworkPolicy/${name}`,
  read,
};

function read({ report, document, metadata, source }: DocumentInput): ReadObject | null {
  const errorsBefore = report.errorCount;
  const specField = document.require("spec");
  const spec = specField && ObjectReader.open(report, specField, ZTAP_SPEC.known);
  if (!spec) return null;
  const subjectField = spec.require("podSelector");
  const selector = subjectField && readNonEmptySelector(report, subjectField);
  const ingress = readRules(report, spec, "ingress");
  const egress = readRules(report, spec, "egress");
  const isolates = { ingress: spec.has("ingress"), egress: spec.has("egress") || !spec.has("ingress") };
  if (report.errorCount === errorsBefore) reportDenyAll(report, spec, isolates);
  if (!selector || !subjectField) return null;
  return {
    kind: "policy",
    subjectSource: report.range(subjectField.node),
    policy: {
      key: ztapNetworkPolicy.key(metadata),
      apiVersion: ztapNetworkPolicy.apiVersion,
      kind: ztapNetworkPolicy.kind,
      name: metadata.name,
      namespace: null,
      tier: "application",
      priority: 0,
      mode: "enforce",
      description: null,
      expiresAtUnixMs: null,
      subject: { namespaces: { kind: "any" }, endpoints: selector },
      isolates,
      rules: [...ingress, ...egress],
      source,
    },
  };
}

function reportDenyAll(
  report: Reporter,
  spec: ObjectReader,
  isolates: { readonly ingress: boolean; readonly egress: boolean },
): void {
  const fields = [spec.getNullable("egress"), spec.getNullable("ingress")].filter((field) => field !== null);
  if (fields.some(({ node }) => !isNull(node) && !(node.kind === "list" && node.items.length === 0))) return;
  const denied =
    isolates.ingress && isolates.egress
      ? "everything, incoming and outgoing"
      : isolates.ingress
        ? "everything incoming; outgoing traffic is not restricted, because there is no egress list"
        : "everything outgoing; incoming traffic is not restricted, because there is no ingress list";
  report.report("WL318", fields[0]?.anchor ?? spec.anchor, `The policy has no rule, so it denies ${denied}.`);
}

/** ztap/v1 knows no "everything": a selector names at least one label. */
function readNonEmptySelector(report: Reporter, value: Located): LabelSelector | null {
  const before = report.errorCount;
  const selector = readSelector(report, value);
  if (selector?.requirements.length === 0 && report.errorCount === before) {
    report.report("WL218", value.anchor, `${value.path} needs at least one label or expression.`);
    return null;
  }
  return selector;
}

function readRules(report: Reporter, spec: ObjectReader, direction: Direction): PolicyRule[] {
  const field = spec.getNullable(direction);
  if (!field || isNull(field.node)) return [];
  const entries = readList(report, field) ?? [];
  return entries.flatMap((entry, index) => readRule(report, entry, direction, index) ?? []);
}

function readRule(report: Reporter, value: Located, direction: Direction, index: number): PolicyRule | null {
  const peerName = direction === "ingress" ? "from" : "to";
  const rule = ObjectReader.open(report, value, (direction === "ingress" ? ZTAP_INGRESS_RULE : ZTAP_EGRESS_RULE).known);
  if (!rule) return null;
  const peerField = rule.require(peerName);
  const portsField = rule.require("ports", "ztap/v1 has no way to say every port.");
  const peer = peerField && readPeer(report, peerField);
  const entries = portsField ? readList(report, portsField) : null;
  if (portsField && entries?.length === 0) {
    report.report("WL218", portsField.anchor, `${portsField.path} needs at least one port.`);
  }
  const ports = (entries ?? []).flatMap((entry) => readPort(report, entry));
  const source = report.range(rule.node);
  return { direction, index, name: null, action: "allow", peers: peer ? [peer] : [], ports, source };
}

function readPeer(report: Reporter, value: Located): Peer | null {
  if (value.node.kind === "list") {
    const message = `${value.path} is one mapping in ztap/v1, not a list. Make each entry a rule of its own.`;
    report.report("WL203", value.anchor, message);
    return null;
  }
  const peer = ObjectReader.open(report, value, ZTAP_PEER.known);
  if (!peer) return null;
  const pods = peer.get("podSelector");
  const namespaces = peer.get("namespaceSelector");
  const block = peer.get("ipBlock");
  if (block && (pods || namespaces)) {
    report.report("WL212", block.anchor, `${value.path}: ipBlock cannot stand together with a selector.`);
    return null;
  }
  if (block) return readIpBlock(report, block);
  if (!pods && !namespaces) {
    if (peer.node.entries.length === 0) {
      const message = `${value.path} is an empty peer. Write podSelector, namespaceSelector or ipBlock.`;
      report.report("WL219", value.anchor, message);
    }
    return null;
  }
  const endpoints = pods ? readNonEmptySelector(report, pods) : { requirements: [] };
  const namespaceSelector = namespaces ? readSelector(report, namespaces) : null;
  if (!endpoints || (namespaces && !namespaceSelector)) return null;
  const selector: EndpointSelector = {
    namespaces: namespaceSelector ? { kind: "selector", selector: namespaceSelector } : { kind: "any" },
    endpoints,
  };
  return { kind: "endpoints", selector, source: report.range(peer.node) };
}

/** ICMP stands for both families, so it gives two matches. */
function readPort(report: Reporter, value: Located): readonly PortMatch[] {
  const entry = ObjectReader.open(report, value, ZTAP_PORT.known);
  if (!entry) return [];
  const protocolField = entry.require("protocol");
  const protocol = protocolField && readChoice(report, protocolField, ZTAP_PROTOCOLS);
  if (protocol === "ICMP") {
    const ignored = entry.getNullable("port") ?? entry.getNullable("endPort");
    if (ignored) {
      const message = `${ignored.path} means nothing for ICMP and is ignored; every ICMP message is allowed by this rule.`;
      report.report("WL311", ignored.anchor, message);
    }
    const source = report.range(entry.node);
    return [PROTOCOL.icmp, PROTOCOL.icmpv6].map((number) => ({
      kind: "range",
      protocol: number,
      low: 0,
      high: MAX_PORT,
      source,
    }));
  }
  const portField = entry.require("port");
  if (!portField) return [];
  const port = readPortOrName(report, portField, { numericText: true });
  const match = readPortRange(report, entry, protocolNumber(protocol ?? "TCP"), port);
  return match && protocol ? [match] : [];
}
