/** Every name that a question can use, found by what people type. Made once for an inventory; look-ups cost little. */
import { nearestWord } from "../formats/suggest.ts";
import type { Endpoint, Inventory, Peer, PortMatch } from "../model.ts";
import { MAX_CANDIDATES } from "./limits.ts";
import type { NamedPorts } from "./ports.ts";

/** A Service document, as a question needs it. */
export interface AskService {
  /** `Service/namespace/name`. */
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  readonly peers: readonly Peer[];
  readonly ports: readonly PortMatch[] | null;
}

export interface Label {
  readonly key: string;
  readonly value: string;
}

export interface Known {
  readonly endpoints: readonly Endpoint[];
  readonly labels: readonly Label[];
  readonly services: readonly AskService[];
  /** Name of a namespace that has somebody in it or is declared. */
  readonly namespace: string | null;
}

export class AskVocabulary implements NamedPorts {
  readonly inventory: Inventory;
  readonly services: readonly AskService[];
  readonly namespaces: ReadonlySet<string>;
  readonly #endpoints = new Map<string, Endpoint[]>();
  readonly #labels = new Map<string, Map<string, Label>>();
  readonly #services = new Map<string, AskService[]>();
  readonly #ports = new Map<string, Map<string, { protocol: number; port: number }>>();

  constructor(inventory: Inventory, services: readonly AskService[] = []) {
    this.inventory = inventory;
    this.services = services;
    const namespaces = new Set(inventory.namespaces.keys());
    for (const endpoint of inventory.endpoints) {
      namespaces.add(endpoint.namespace);
      this.#addEndpoint(endpoint);
    }
    this.namespaces = namespaces;
    for (const service of services) {
      for (const name of [service.name, `${service.namespace}/${service.name}`])
        append(this.#services, fold(name), service);
    }
  }

  #addEndpoint(endpoint: Endpoint): void {
    const { name, namespace, key } = endpoint;
    for (const word of new Set([name, `${namespace}/${name}`, key].map(fold))) append(this.#endpoints, word, endpoint);
    for (const [labelKey, value] of endpoint.labels) {
      const labels = this.#labels.get(fold(value)) ?? new Map<string, Label>();
      labels.set(`${labelKey}=${value}`, { key: labelKey, value });
      this.#labels.set(fold(value), labels);
    }
    for (const { name: portName, protocol, port } of endpoint.ports) {
      const ports = this.#ports.get(fold(portName)) ?? new Map<string, { protocol: number; port: number }>();
      ports.set(`${port}/${protocol}`, { protocol, port });
      this.#ports.set(fold(portName), ports);
    }
  }

  /** What the word can mean; case does not count. */
  find(word: string): Known {
    const folded = fold(word);
    return {
      endpoints: this.#endpoints.get(folded) ?? [],
      labels: [...(this.#labels.get(folded)?.values() ?? [])],
      services: this.#services.get(folded) ?? [],
      namespace: [...this.namespaces].find((name) => fold(name) === folded) ?? null,
    };
  }

  ports(name: string): readonly { readonly protocol: number; readonly port: number }[] {
    return [...(this.#ports.get(fold(name))?.values() ?? [])];
  }

  portNames(): Iterable<string> {
    return this.#ports.keys();
  }

  /** The name that was probably meant; `null` = none is near. */
  nearest(word: string): string | null {
    const folded = fold(word);
    const near: string[] = [];
    let looked = 0;
    for (const name of this.names()) {
      looked += 1;
      if (looked > MAX_CANDIDATES || near.length >= 2_000) break;
      // Cheap first: a name of another length or with neither of the first letters is further away than a slip.
      const isNear = Math.abs(name.length - folded.length) <= 3 || name.startsWith(folded);
      if (isNear && (name[0] === folded[0] || name[1] === folded[1] || name[1] === folded[0])) near.push(name);
    }
    return nearestWord(folded, near);
  }

  /** Names, label values, services and namespaces, lower case; those without a slash. */
  *names(): Generator<string> {
    for (const map of [this.#labels, this.#services, this.#endpoints]) {
      for (const name of map.keys()) if (!name.includes("/")) yield name;
    }
    for (const name of this.namespaces) yield fold(name);
  }

  /** Names that begin so, each with what it is; at most `limit`. */
  *beginning(prefix: string, limit: number): Generator<{ readonly text: string; readonly detail: string }> {
    const folded = fold(prefix);
    let given = 0;
    let looked = 0;
    const seen = new Set<string>();
    const offers = (function* (own: AskVocabulary) {
      for (const [, labels] of own.#labels) {
        for (const { key, value } of labels.values())
          yield { words: [value, `${key}=${value}`], text: `${key}=${value}`, detail: "label" };
      }
      for (const { name, namespace } of own.services) {
        yield { words: [name], text: `service/${namespace}/${name}`, detail: "service" };
      }
      for (const namespace of own.namespaces)
        yield { words: [namespace, `@${namespace}`], text: `@${namespace}`, detail: "everybody in the namespace" };
      for (const endpoint of own.inventory.endpoints) {
        yield { words: [endpoint.name, endpointText(endpoint)], text: endpointText(endpoint), detail: endpoint.kind };
      }
    })(this);
    for (const { words, text, detail } of offers) {
      looked += 1;
      if (given >= limit || looked > MAX_CANDIDATES) return;
      if (seen.has(text) || !words.some((word) => fold(word).startsWith(folded))) continue;
      seen.add(text);
      given += 1;
      yield { text, detail };
    }
  }
}

/** Reads back as that endpoint alone. */
export function endpointText({ kind, namespace, name }: Pick<Endpoint, "kind" | "namespace" | "name">): string {
  return kind === "host" ? `host/${name}` : `workload/${namespace}/${name}`;
}

export function fold(text: string): string {
  return text.toLowerCase();
}

function append<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
