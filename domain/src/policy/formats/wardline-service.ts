/** `wardline.io/v1` Service: a name for peers and the ports they listen on. */
import type { Peer, PortMatch } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { readCidrOrAddress } from "./addresses.ts";
import type { DocumentInput, DocumentReader, ReadObject } from "./document.ts";
import { readDomainNames } from "./domain-names.ts";
import { readName } from "./names.ts";
import { type Located, ObjectReader, readBoundedList, readChoice } from "./object-reader.ts";
import { protocolNumber, readPortOrName, readPortRange, TRANSPORT_PROTOCOLS } from "./ports.ts";
import { WARDLINE_API_VERSION } from "./schema/wardline-common.ts";
import { SERVICE_PORT, SERVICE_SCHEMA, SERVICE_SPEC } from "./schema/wardline-service.ts";
import { readSelectorPair } from "./wardline-peers.ts";
import { readDescription } from "./wardline-policy.ts";

export const wardlineService: DocumentReader = {
  apiVersion: WARDLINE_API_VERSION,
  kind: "Service",
  tier: null,
  metadata: { name: "subdomain", namespaced: true },
  fields: ["spec", "status"],
  schema: SERVICE_SCHEMA,
  key: ({ namespace, name }) => `Service/${namespace}/${name}`,
  read,
};

function read({ report, document, metadata }: DocumentInput): ReadObject | null {
  const errorsBefore = report.errorCount;
  const specField = document.require("spec");
  const spec = specField && ObjectReader.open(report, specField, SERVICE_SPEC.known);
  if (!spec) return null;
  const namespace = metadata.namespace ?? "default";
  readDescription(report, spec);
  const given = SERVICE_SPEC.atLeastOneOf.filter((name) => spec.has(name));
  if (given.length === 0 && report.errorCount === errorsBefore) {
    report.report("WL202", spec.anchor, `${spec.path} needs one of ${SERVICE_SPEC.atLeastOneOf.join(", ")}.`);
  }
  const peers = readPeers(report, spec, namespace);
  const portsField = spec.get("ports");
  const hint = "To mean every port and protocol, leave it out.";
  const entries = portsField ? (readBoundedList(report, portsField, { minItems: 1, hint }) ?? []) : null;
  const ports = entries?.flatMap((entry) => readPort(report, entry) ?? []) ?? null;
  return {
    kind: "service",
    service: { key: wardlineService.key(metadata), name: metadata.name, namespace, peers, ports },
  };
}

function readPeers(report: Reporter, spec: ObjectReader, namespace: string): readonly Peer[] {
  const peers: Peer[] = [];
  if (spec.has("selector") || spec.has("namespaceSelector")) {
    const selector = readSelectorPair(report, spec, namespace);
    const field = spec.getNullable("selector") ?? spec.getNullable("namespaceSelector")!;
    if (selector) peers.push({ kind: "endpoints", selector, source: report.range(field.node) });
  }
  const addressesField = spec.get("addresses");
  for (const entry of addressesField ? (readBoundedList(report, addressesField, { minItems: 1 }) ?? []) : []) {
    const cidr = readCidrOrAddress(report, entry);
    if (cidr) peers.push({ kind: "addresses", cidr, except: [], source: report.range(entry.node) });
  }
  const namesField = spec.get("domainNames");
  const names = namesField ? readDomainNames(report, namesField, { minItems: 1, services: true }) : [];
  if (namesField && names.length > 0) peers.push({ kind: "domains", names, source: report.range(namesField.node) });
  return peers;
}

function readPort(report: Reporter, value: Located): PortMatch | null {
  const entry = ObjectReader.open(report, value, SERVICE_PORT.known);
  if (!entry) return null;
  const nameField = entry.get("name");
  if (nameField) readName(report, nameField, "port");
  const protocolField = entry.get("protocol");
  const protocol = protocolField ? readChoice(report, protocolField, TRANSPORT_PROTOCOLS) : "TCP";
  const portField = entry.require("port", "Leave ports out to mean every port.");
  if (!portField) return null;
  const port = readPortOrName(report, portField, { numericText: false });
  const match = readPortRange(report, entry, protocolNumber(protocol ?? "TCP"), port);
  return protocol === null ? null : match;
}
