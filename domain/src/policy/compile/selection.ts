/** Picks endpoints by selector without asking every endpoint: labels and namespaces are indexed. */
import { parseAddress } from "../address.ts";
import { sharesHostNetwork } from "../endpoints.ts";
import { endpointMatches } from "../labels.ts";
import type { Endpoint, EndpointSelector, Inventory, LabelRequirement, LabelSelector } from "../model.ts";

export interface PlainAddress {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

export interface SelectableEndpoint {
  readonly endpoint: Endpoint;
  readonly addresses: readonly PlainAddress[];
}

export interface EndpointIndex {
  readonly all: readonly SelectableEndpoint[];
  /** The endpoints that a selector picks; asked once per distinct selector. `key`: its {@link selectorKey}. */
  select(selector: EndpointSelector, key?: string): readonly SelectableEndpoint[];
}

export function indexEndpoints(inventory: Inventory): EndpointIndex {
  const hosts = new Map(inventory.endpoints.filter(({ kind }) => kind === "host").map((host) => [host.key, host]));
  const all = inventory.endpoints.map((endpoint): SelectableEndpoint => {
    const owner = sharesHostNetwork(endpoint) ? hosts.get(`Host/${endpoint.hostName}`) : endpoint;
    const addresses = (owner?.addresses ?? []).map(parseAddress).filter((address) => address.ok);
    return { endpoint, addresses };
  });
  const byNamespace = new Map<string, SelectableEndpoint[]>();
  const byLabel = new Map<string, SelectableEndpoint[]>();
  for (const item of all) {
    append(byNamespace, item.endpoint.namespace, item);
    for (const [key, value] of item.endpoint.labels) append(byLabel, `${key}=${value}`, item);
  }

  /** The smallest group in which all that the selector picks are, by namespace or by one label, and what is left to ask. */
  const narrow = (selector: EndpointSelector) => {
    const { namespaces, endpoints } = selector;
    let groups = namespaces.kind === "name" ? [byNamespace.get(namespaces.name) ?? []] : [all];
    let smallest = groups[0]?.length ?? 0;
    let answered: LabelRequirement | null = null;
    for (const requirement of endpoints.requirements) {
      const { key, operator, values } = requirement;
      if (operator !== "In") continue;
      // An endpoint has one value of a label, so the groups do not overlap.
      const having = [...new Set(values)].map((value) => byLabel.get(`${key}=${value}`) ?? []);
      const count = having.reduce((sum, { length }) => sum + length, 0);
      if (count > smallest) continue;
      [groups, smallest, answered] = [having, count, requirement];
    }
    const requirements = endpoints.requirements.filter((requirement) => requirement !== answered);
    return { candidates: groups.flat(), rest: { ...selector, endpoints: { requirements } } };
  };

  const answers = new Map<string, readonly SelectableEndpoint[]>();
  const find = (selector: EndpointSelector, key: string): readonly SelectableEndpoint[] => {
    const { candidates, rest } = narrow(selector);
    const answer = candidates.filter(({ endpoint }) => endpointMatches(rest, endpoint, inventory.namespaces));
    answers.set(key, answer);
    return answer;
  };
  return {
    all,
    select(selector, key = selectorKey(selector)) {
      return answers.get(key) ?? find(selector, key);
    },
  };
}

/**
 * Equal texts = selectors that pick the same. Much cheaper than `selectorMeaning`, which also gives one text to different
 * orders of the same requirements.
 */
export function selectorKey({ namespaces, endpoints, kind }: EndpointSelector): string {
  const scope =
    namespaces.kind === "name"
      ? `=${withLength(namespaces.name)}`
      : namespaces.kind === "any"
        ? "*"
        : `?${requirementsKey(namespaces.selector)}`;
  return `${kind ?? ""}${scope}/${requirementsKey(endpoints)}`;
}

/** Every text with its length, so that no two lists of them run into each other. */
function requirementsKey({ requirements }: LabelSelector): string {
  let key = "";
  for (const requirement of requirements) {
    key += `${requirement.operator} ${withLength(requirement.key)}`;
    for (const value of requirement.values) key += withLength(value);
    key += ";";
  }
  return key;
}

function withLength(text: string): string {
  return `${text.length}:${text}`;
}

function append<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
