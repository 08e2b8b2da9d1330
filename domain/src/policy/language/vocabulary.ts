/** The words that documents of this workspace may use, with how many hosts and workloads stand behind each. */
import { DEFAULT_NAMESPACE, namespaceLabels } from "../labels.ts";
import type { Endpoint, Inventory, NamedPort, PolicyWorld } from "../model.ts";
import type { ReadResult } from "../read.ts";
import type { FleetFacts } from "./facts.ts";

export interface Count {
  hosts: number;
  workloads: number;
}

export interface LabelWords {
  readonly count: Count;
  readonly values: Map<string, Count>;
}

/** Whose labels: of everybody, of hosts only, or of namespaces. */
export type LabelPool = "endpoints" | "hosts" | "namespaces";

export interface PortName {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
  readonly count: number;
}

export interface Vocabulary {
  readonly labels: Readonly<Record<LabelPool, ReadonlyMap<string, LabelWords>>>;
  readonly namespaces: ReadonlyMap<string, Count>;
  readonly hosts: readonly Endpoint[];
  readonly workloads: readonly Endpoint[];
  /** `namespace/name`. */
  readonly services: readonly string[];
  readonly policies: readonly string[];
  readonly portNames: readonly PortName[];
  readonly facts: FleetFacts;
  readonly world: PolicyWorld;
}

export function collectVocabulary(reading: ReadResult, facts: FleetFacts): Vocabulary {
  const { inventory, policies } = reading.world;
  const labels = {
    endpoints: new Map<string, LabelWords>(),
    hosts: new Map<string, LabelWords>(),
    namespaces: new Map<string, LabelWords>(),
  };
  const namespaces = new Map<string, Count>([[DEFAULT_NAMESPACE, { hosts: 0, workloads: 0 }]]);
  const ports = new Map<string, PortName>();
  for (const endpoint of inventory.endpoints) {
    addLabels(labels.endpoints, endpoint.labels, endpoint.kind);
    if (endpoint.kind === "host") addLabels(labels.hosts, endpoint.labels, "host");
    raise(namespaces, endpoint.namespace, endpoint.kind);
    for (const port of endpoint.ports) addPort(ports, port);
  }
  for (const { kind, labels: found } of facts.discovered) {
    const entries = Object.entries(found);
    addLabels(labels.endpoints, entries, kind === "member" ? "host" : "workload");
    if (kind === "member") addLabels(labels.hosts, entries, "host");
  }
  addNamespaces(labels.namespaces, inventory, namespaces);
  for (const { namespace } of policies) {
    if (namespace !== null && !namespaces.has(namespace)) namespaces.set(namespace, { hosts: 0, workloads: 0 });
  }
  const named = (kind: string): readonly string[] =>
    reading.documents
      .filter((document) => document.kind === kind)
      .map((document) => `${document.namespace ?? DEFAULT_NAMESPACE}/${document.name}`);
  return {
    labels,
    namespaces,
    hosts: inventory.endpoints.filter(({ kind }) => kind === "host"),
    workloads: inventory.endpoints.filter(({ kind }) => kind === "workload"),
    services: named("Service"),
    policies: reading.documents.filter(({ tier }) => tier !== null).map(({ key }) => key),
    portNames: [...ports.values()].sort((left, right) => right.count - left.count),
    facts,
    world: reading.world,
  };
}

function raise(counts: Map<string, Count>, word: string, kind: Endpoint["kind"]): void {
  const count = counts.get(word) ?? { hosts: 0, workloads: 0 };
  counts.set(word, count);
  if (kind === "host") count.hosts += 1;
  else count.workloads += 1;
}

function addLabels(
  words: Map<string, LabelWords>,
  labels: Iterable<readonly [string, string]>,
  kind: Endpoint["kind"],
): void {
  for (const [key, value] of labels) {
    let known = words.get(key);
    if (!known) {
      known = { count: { hosts: 0, workloads: 0 }, values: new Map() };
      words.set(key, known);
    }
    if (kind === "host") known.count.hosts += 1;
    else known.count.workloads += 1;
    raise(known.values, value, kind);
  }
}

function addPort(ports: Map<string, PortName>, { name, protocol, port }: NamedPort): void {
  const key = `${name}/${protocol}/${port}`;
  ports.set(key, { name, protocol, port, count: (ports.get(key)?.count ?? 0) + 1 });
}

/** A label of a namespace counts for everybody in it. */
function addNamespaces(words: Map<string, LabelWords>, inventory: Inventory, counts: ReadonlyMap<string, Count>): void {
  for (const name of new Set([...counts.keys(), ...inventory.namespaces.keys()])) {
    const { hosts, workloads } = counts.get(name) ?? { hosts: 0, workloads: 0 };
    for (const [key, value] of namespaceLabels(name, inventory.namespaces)) {
      const known = words.get(key) ?? { count: { hosts: 0, workloads: 0 }, values: new Map<string, Count>() };
      words.set(key, known);
      known.count.hosts += hosts;
      known.count.workloads += workloads;
      const own = known.values.get(value) ?? { hosts: 0, workloads: 0 };
      known.values.set(value, { hosts: own.hosts + hosts, workloads: own.workloads + workloads });
    }
  }
}

/** `3 hosts, 1 workload`; `nobody`. */
export function describeCount({ hosts, workloads }: Count): string {
  const part = (count: number, word: string): string[] =>
    count === 0 ? [] : [`${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`];
  return [...part(hosts, "host"), ...part(workloads, "workload")].join(", ") || "nobody";
}
