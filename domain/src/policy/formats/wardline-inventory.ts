/** `wardline.io/v1` Host and Workload: what the labels of policies pick. */
import { meshAddressOwner, yggdrasilAddress } from "../../mesh/yggdrasil-address.ts";
import { cidrContains, cidrOfAddress, parseAddress, parseCidr } from "../address.ts";
import type { Endpoint, SourceRange, WorkloadMatch } from "../model.ts";
import { meshPrefix } from "../named-peers.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { readAddress } from "./addresses.ts";
import type { DocumentInput, DocumentReader, ReadObject } from "./document.ts";
import { readMeshKey } from "./mesh-nodes.ts";
import { readName } from "./names.ts";
import { type Located, ObjectReader, readList, readText } from "./object-reader.ts";
import { readNamedPorts } from "./ports.ts";
import {
  HOST_SCHEMA,
  HOST_SPEC,
  MATCH_FIELDS,
  WORKLOAD_MATCH,
  WORKLOAD_SCHEMA,
  WORKLOAD_SPEC,
} from "./schema/inventory.ts";

const API_VERSION = "wardline.io/v1";

export const wardlineHost: DocumentReader = {
  apiVersion: API_VERSION,
  kind: "Host",
  tier: null,
  metadata: { name: "subdomain", namespaced: true },
  fields: ["spec", "status"],
  schema: HOST_SCHEMA,
  key: ({ name }) => `Host/${name}`,
  read: readHost,
};

export const wardlineWorkload: DocumentReader = {
  apiVersion: API_VERSION,
  kind: "Workload",
  tier: null,
  metadata: { name: "subdomain", namespaced: true },
  fields: ["spec", "status"],
  schema: WORKLOAD_SCHEMA,
  key: ({ namespace, name }) => `Workload/${namespace}/${name}`,
  read: readWorkload,
};

function readHost({ report, document, metadata, source }: DocumentInput): ReadObject | null {
  const field = document.get("spec");
  const spec = field && ObjectReader.open(report, field, HOST_SPEC.known);
  const meshKeyField = spec?.get("meshKey");
  const meshKey = meshKeyField ? readMeshKey(report, meshKeyField) : null;
  const declared = readAddresses(report, spec, meshKey);
  const addressSources = meshKeyField ? withMeshAddress(declared, meshKey, report.range(meshKeyField.node)) : declared;
  const ports = spec?.get("ports");
  const endpoint: Endpoint = {
    key: wardlineHost.key(metadata),
    kind: "host",
    name: metadata.name,
    namespace: metadata.namespace ?? "default",
    labels: metadata.labels,
    addresses: [...addressSources.keys()],
    ports: ports ? readNamedPorts(report, ports) : [],
    hostName: metadata.name,
    match: null,
    ...(meshKey === null ? {} : { meshKey }),
    source,
  };
  return { kind: "endpoint", endpoint, addressSources, hostSource: null };
}

function readWorkload({ report, document, metadata, source }: DocumentInput): ReadObject | null {
  const field = document.require("spec");
  const spec = field && ObjectReader.open(report, field, WORKLOAD_SPEC.known);
  if (!spec) return null;
  const hostField = spec.get("host");
  const matchField = spec.get("match");
  const hostName = hostField && readName(report, hostField, "subdomain");
  const match = matchField && readMatch(report, matchField);
  const addressSources = readAddresses(report, spec, null);
  const ports = spec.get("ports");
  if (matchField && !hostField) {
    const message = "match finds processes on a host, so it needs spec.host to say which.";
    report.report("WL212", matchField.anchor, message);
  }
  reportPeerOnly(spec, { hostField, matchField, hasAddresses: addressSources.size > 0 });
  const endpoint: Endpoint = {
    key: wardlineWorkload.key(metadata),
    kind: "workload",
    name: metadata.name,
    namespace: metadata.namespace ?? "default",
    labels: metadata.labels,
    addresses: [...addressSources.keys()],
    ports: ports ? readNamedPorts(report, ports) : [],
    hostName,
    match: hostField ? match : null,
    source,
  };
  return { kind: "endpoint", endpoint, addressSources, hostSource: hostField ? report.range(hostField.node) : null };
}

function withMeshAddress(
  declared: ReadonlyMap<string, SourceRange>,
  meshKey: string | null,
  source: SourceRange,
): ReadonlyMap<string, SourceRange> {
  const address = meshKey === null ? null : yggdrasilAddress(meshKey);
  if (address === null || declared.has(address)) return declared;
  return new Map([...declared, [address, source]]);
}

function reportPeerOnly(
  spec: ObjectReader,
  given: { readonly hostField: Located | null; readonly matchField: Located | null; readonly hasAddresses: boolean },
): void {
  if (given.hostField && !given.matchField && !spec.has("match")) {
    const message =
      "The workload has a host and no match, so none of the host's processes is found for it: it counts as a peer, and policies that select it restrict nothing.";
    spec.report.report("WL324", given.hostField.anchor, message);
  }
  if (!given.hostField && !spec.has("host") && !given.hasAddresses) {
    const message = "The workload has neither a host nor addresses, so no connection can ever be from or to it.";
    spec.report.report("WL325", spec.anchor, message);
  }
}

/** Canonical addresses with their places; an address listed twice counts once. */
function readAddresses(
  report: Reporter,
  spec: ObjectReader | null,
  meshKey: string | null,
): ReadonlyMap<string, SourceRange> {
  const sources = new Map<string, SourceRange>();
  const field = spec?.get("addresses");
  for (const entry of field ? (readList(report, field) ?? []) : []) {
    const address = readAddress(report, entry);
    if (address === null || sources.has(address)) continue;
    reportUnusable(report, entry, address);
    if (meshKey !== null) reportOtherKey(report, entry, address, meshKey);
    sources.set(address, report.range(entry.node));
  }
  return sources;
}

const UNUSABLE = [
  ["127.0.0.0/8", "loopback, which is decided before any policy"],
  ["::1/128", "loopback, which is decided before any policy"],
  ["0.0.0.0/8", "not the address of anything"],
  ["::/128", "not the address of anything"],
  ["224.0.0.0/4", "multicast, which no single host has"],
  ["255.255.255.255/32", "broadcast, which no single host has"],
  ["ff00::/8", "multicast, which no single host has"],
].flatMap(([text, what]) => {
  const parsed = parseCidr(text!);
  return parsed.ok ? [{ cidr: parsed.cidr, what: what! }] : [];
});

function reportUnusable(report: Reporter, entry: Located, address: string): void {
  const parsed = parseAddress(address);
  if (!parsed.ok) return;
  const found = UNUSABLE.find(({ cidr }) => cidrContains(cidr, cidrOfAddress(parsed)));
  if (found) report.report("WL323", entry.node, `${entry.path} ${address} is ${found.what}.`);
}

/** An address of the overlay belongs to the key that it is made of, whatever a document claims. */
function reportOtherKey(report: Reporter, entry: Located, address: string, meshKey: string): void {
  const parsed = parseAddress(address);
  if (!parsed.ok || !cidrContains(meshPrefix(), cidrOfAddress(parsed))) return;
  if (meshAddressOwner(meshKey, address) !== null) return;
  const message = `${entry.path} ${address} is an address of the overlay and does not belong to this host's meshKey.`;
  report.report("WL234", entry.node, message);
}

const MATCH_RULES = {
  systemdUnit: {
    pattern: /^[A-Za-z0-9:_.\\@-]{1,248}\.(service|scope|slice)$/,
    description: "the full name of a unit, such as nginx.service",
  },
  cgroupPath: {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
    pattern: /^(?!.*(\/\.{1,2}(\/|$)|\/\/))\/[^\u0000-\u001F\u007F]{1,1023}$/,
    description: "a path from the cgroup root, such as /system.slice/nginx.service, without . or .. in it",
  },
  container: { pattern: /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, description: "a container name or id" },
  user: {
    pattern: /^([A-Za-z_][A-Za-z0-9_.-]{0,30}\$?|0|[1-9]\d{0,9})$/,
    description: "a user name or a numeric user id",
  },
} as const;

function readMatch(report: Reporter, value: Located): WorkloadMatch | null {
  const match = ObjectReader.open(report, value, WORKLOAD_MATCH.known);
  if (!match) return null;
  const given = MATCH_FIELDS.filter((name) => match.has(name));
  const [name] = given;
  if (name === undefined) {
    if (match.node.entries.length === 0) {
      report.report("WL202", value.anchor, `${value.path} needs one of ${MATCH_FIELDS.join(", ")}.`);
    }
    return null;
  }
  if (given.length > 1) {
    const second = match.getNullable(given[1]!)!;
    report.report("WL212", second.anchor, `${value.path} takes exactly one of ${MATCH_FIELDS.join(", ")}.`);
    return null;
  }
  const field = match.get(name);
  const text = field && readMatchText(report, field, name);
  if (!field || text === null) return null;
  const rule = MATCH_RULES[name];
  if (!rule.pattern.test(text)) {
    report.report("WL222", field.node, `${field.path} "${text.slice(0, 60)}" is not ${rule.description}.`);
    return null;
  }
  switch (name) {
    case "systemdUnit":
      return { kind: name, unit: text };
    case "cgroupPath":
      return { kind: name, path: text };
    case "container":
      return { kind: name, id: text };
    case "user":
      return { kind: name, user: text };
  }
}

/** A bare user id is a number in YAML and is taken as it is written. */
function readMatchText(report: Reporter, field: Located, name: (typeof MATCH_FIELDS)[number]): string | null {
  const node = field.node;
  const isUserId = name === "user" && node.kind === "scalar" && typeof node.value === "number";
  return isUserId ? node.source : readText(report, field);
}
