/** Picks endpoints by selector without asking every endpoint: labels and namespaces are indexed. */
import { parseAddress } from "../address.ts";
import { selectorMeaning } from "../decision.ts";
import { sharesHostNetwork } from "../endpoints.ts";
import { endpointMatches } from "../labels.ts";
import type { Endpoint, EndpointSelector, Inventory } from "../model.ts";

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
  /** The endpoints that a selector picks; asked once per distinct selector. */
  select(selector: EndpointSelector): readonly SelectableEndpoint[];
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

  const candidates = (selector: EndpointSelector): readonly SelectableEndpoint[] => {
    let smallest: readonly SelectableEndpoint[] = all;
    if (selector.namespaces.kind === "name") smallest = byNamespace.get(selector.namespaces.name) ?? [];
    for (const { key, operator, values } of selector.endpoints.requirements) {
      const [value] = values;
      if (operator !== "In" || values.length !== 1 || value === undefined) continue;
      const having = byLabel.get(`${key}=${value}`) ?? [];
      if (having.length < smallest.length) smallest = having;
    }
    return smallest;
  };

  const answers = new Map<string, readonly SelectableEndpoint[]>();
  const find = (selector: EndpointSelector, meaning: string): readonly SelectableEndpoint[] => {
    const answer = candidates(selector).filter(({ endpoint }) =>
      endpointMatches(selector, endpoint, inventory.namespaces),
    );
    answers.set(meaning, answer);
    return answer;
  };
  return {
    all,
    select(selector) {
      const meaning = selectorMeaning(selector);
      return answers.get(meaning) ?? find(selector, meaning);
    },
  };
}

function append<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
