import { cidrOfAddress, parseAddress } from "../address.ts";
import type { Cidr, Endpoint, Entity, Inventory, Peer, Policy, PolicyRule, PolicyWorld, PortMatch } from "../model.ts";
import { domainNameMatches, meshPrefix } from "../named-peers.ts";
import { AddressAtoms } from "./address-atoms.ts";
import { ALL_PORTS, type Box, boxes, portNumber } from "./boxes.ts";
import type { EndpointIndex } from "./endpoint-index.ts";
import { EMPTY, type RangeSet, rangeSet, subtract, union } from "./range-set.ts";

/** Which packets each rule matches, exactly, over the whole space of addresses, protocols and ports. */
export class RuleSpace {
  readonly atoms: AddressAtoms;
  readonly #inventory: Inventory;
  readonly #index: EndpointIndex;
  /** By the list of the index that a selector picks. */
  readonly #picked = new Map<readonly Endpoint[], RangeSet>();
  readonly #entities = new Map<string, RangeSet>();
  readonly #domains = new Map<Peer, RangeSet>();
  readonly #endpoints = new Map<Endpoint, RangeSet>();
  readonly #namedPorts = new Map<readonly Endpoint[], Map<string, readonly Box[]>>();
  readonly #rules = new Map<PolicyRule, readonly Box[]>();
  readonly #rulesByOwner = new Map<PolicyRule, Map<string, readonly Box[]>>();
  #cluster: RangeSet | null = null;

  /** `extra`: prefixes that questions will be about and that no rule has to name. */
  constructor(world: PolicyWorld, index: EndpointIndex, extra: readonly Cidr[] = []) {
    this.#inventory = world.inventory;
    this.#index = index;
    this.atoms = new AddressAtoms([...namedPrefixes(world), ...extra]);
  }

  /**
   * The packets that the rule matches at a subject. A domain name whose addresses are not known adds none: see
   * {@link hasUnknownPeers}.
   */
  boxesOf(rule: PolicyRule, owner: Endpoint): readonly Box[] {
    if (dependsOnOwner(rule)) return this.#ownedBoxesOf(rule, owner);
    let known = this.#rules.get(rule);
    if (!known) {
      known = this.#boxesOf(rule, owner);
      this.#rules.set(rule, known);
    }
    return known;
  }

  #ownedBoxesOf(rule: PolicyRule, owner: Endpoint): readonly Box[] {
    let byOwner = this.#rulesByOwner.get(rule);
    if (!byOwner) {
      byOwner = new Map();
      this.#rulesByOwner.set(rule, byOwner);
    }
    const ports = rule.ports?.flatMap((port) => (port.kind === "named" ? portRanges(port, rule, owner) : [])) ?? [];
    const key = `${dependsOnHost(rule) ? owner.hostName : ""} ${ports.join()}`;
    let known = byOwner.get(key);
    if (!known) {
      known = this.#boxesOf(rule, owner);
      byOwner.set(key, known);
    }
    return known;
  }

  /** How many rules it has answers for. */
  get answerCount(): number {
    return this.#rules.size + this.#rulesByOwner.size;
  }

  /** True when the rule may match more than {@link boxesOf} says, because nobody has looked up a name that it has. */
  hasUnknownPeers(rule: PolicyRule): boolean {
    for (const peer of rule.peers ?? []) {
      if (peer.kind === "domains" && this.#domainAddresses(peer).length === 0) return true;
    }
    return false;
  }

  /** The addresses under which others see an endpoint. */
  endpointAddresses(endpoint: Endpoint): RangeSet {
    let known = this.#endpoints.get(endpoint);
    if (!known) {
      known = this.atoms.ofAddresses(this.#index.addressesOf(endpoint));
      this.#endpoints.set(endpoint, known);
    }
    return known;
  }

  /** The addresses that a peer stands for; `host` is seen from the host of the owner. */
  peerAddresses(peer: Peer, owner: Endpoint | null): RangeSet {
    switch (peer.kind) {
      case "addresses":
        return this.#blockAddresses(peer.cidr, peer.except);
      case "endpoints":
        return this.#pickedAddresses(this.#index.select(peer.selector));
      case "entity":
        return this.#knownEntityAddresses(peer.entity, owner);
      case "domains":
        return this.#domainAddresses(peer);
    }
  }

  #domainAddresses(peer: Peer & { readonly kind: "domains" }): RangeSet {
    let known = this.#domains.get(peer);
    if (!known) {
      known = this.atoms.ofAddresses(
        [...this.#inventory.domainAddresses]
          .filter(([name]) => peer.names.some((pattern) => domainNameMatches(pattern, name)))
          .flatMap(([, addresses]) => addresses),
      );
      this.#domains.set(peer, known);
    }
    return known;
  }

  #blockAddresses(cidr: Cidr, except: readonly Cidr[]): RangeSet {
    const whole = this.atoms.ofPrefix(cidr);
    if (except.length === 0) return whole;
    return subtract(whole, union(...except.map((prefix) => this.atoms.ofPrefix(prefix))));
  }

  #pickedAddresses(picked: readonly Endpoint[]): RangeSet {
    let known = this.#picked.get(picked);
    if (!known) {
      known = this.#addressesOf(picked);
      this.#picked.set(picked, known);
    }
    return known;
  }

  #knownEntityAddresses(entity: Entity, owner: Endpoint | null): RangeSet {
    const hostName = entity === "host" ? (owner?.hostName ?? null) : null;
    const identity = `${entity} ${hostName ?? ""}`;
    let known = this.#entities.get(identity);
    if (!known) {
      known = this.#entityAddresses(entity, hostName);
      this.#entities.set(identity, known);
    }
    return known;
  }

  #entityAddresses(entity: Entity, hostName: string | null): RangeSet {
    switch (entity) {
      case "cluster":
        this.#cluster ??= this.#addressesOf(this.#inventory.endpoints);
        return this.#cluster;
      case "mesh":
        return this.atoms.ofPrefix(meshPrefix());
      case "world":
        return subtract(
          subtract(this.atoms.all, this.#entityAddresses("cluster", null)),
          this.atoms.ofPrefix(meshPrefix()),
        );
      case "host": {
        const host = hostName === null ? null : this.#index.host(hostName);
        return host === null ? EMPTY : this.atoms.ofAddresses(host.addresses);
      }
    }
  }

  #addressesOf(endpoints: readonly Endpoint[]): RangeSet {
    return union(...endpoints.map((endpoint) => this.endpointAddresses(endpoint)));
  }

  #boxesOf(rule: PolicyRule, owner: Endpoint): readonly Box[] {
    const addresses =
      rule.peers === null ? this.atoms.all : union(...rule.peers.map((peer) => this.peerAddresses(peer, owner)));
    if (rule.ports === null) return boxes({ addresses, ports: ALL_PORTS });
    const ports = rangeSet(rule.ports.flatMap((port) => portRanges(port, rule, owner)));
    const named = rule.direction === "egress" ? rule.ports.filter((port) => port.kind === "named") : [];
    return boxes({ addresses, ports }, ...named.flatMap((port) => this.#namedBoxes(rule, port)));
  }

  /** On egress a port name is looked up on each peer: one box for every port that it stands for. */
  #namedBoxes(rule: PolicyRule, port: PortMatch & { readonly kind: "named" }): readonly Box[] {
    const lists =
      rule.peers === null
        ? [this.#inventory.endpoints]
        : rule.peers.flatMap((peer) => (peer.kind === "endpoints" ? [this.#index.select(peer.selector)] : []));
    return lists.flatMap((endpoints) => this.#portBoxes(endpoints, port.protocol, port.name));
  }

  /** The boxes of a port name at these endpoints; of one list they are made once. */
  #portBoxes(endpoints: readonly Endpoint[], protocol: number, name: string): readonly Box[] {
    const byName = this.#namedPorts.get(endpoints) ?? new Map<string, readonly Box[]>();
    this.#namedPorts.set(endpoints, byName);
    const known = byName.get(`${protocol} ${name}`);
    if (known) return known;
    const byPort = new Map<number, Endpoint[]>();
    for (const endpoint of endpoints) {
      for (const named of endpoint.ports) {
        if (named.name !== name || named.protocol !== protocol) continue;
        const holders = byPort.get(named.port);
        if (holders) holders.push(endpoint);
        else byPort.set(named.port, [endpoint]);
      }
    }
    const found = [...byPort].flatMap(([number, holders]) => {
      const start = portNumber(protocol, number);
      return boxes({ addresses: this.#addressesOf(holders), ports: [start, start + 1] });
    });
    byName.set(`${protocol} ${name}`, found);
    return found;
  }
}

function portRanges(port: PortMatch, rule: PolicyRule, owner: Endpoint): readonly (readonly [number, number])[] {
  if (port.kind === "range") {
    return [[portNumber(port.protocol, port.low), portNumber(port.protocol, port.high) + 1]];
  }
  if (rule.direction === "egress") return [];
  return owner.ports
    .filter((named) => named.name === port.name && named.protocol === port.protocol)
    .map((named) => [portNumber(named.protocol, named.port), portNumber(named.protocol, named.port) + 1]);
}

/** Whether a rule matches other packets at one subject than at another. */
export function dependsOnOwner(rule: PolicyRule): boolean {
  return dependsOnHost(rule) || dependsOnPorts(rule);
}

export function dependsOnHost({ peers }: PolicyRule): boolean {
  for (const peer of peers ?? []) if (peer.kind === "entity" && peer.entity === "host") return true;
  return false;
}

export function dependsOnPorts({ direction, ports }: PolicyRule): boolean {
  if (direction !== "ingress") return false;
  for (const port of ports ?? []) if (port.kind === "named") return true;
  return false;
}

function* namedPrefixes({ policies, inventory }: PolicyWorld): Iterable<Cidr> {
  yield meshPrefix();
  const texts = [...inventory.domainAddresses.values(), ...inventory.endpoints.map(({ addresses }) => addresses)];
  for (const text of texts.flat()) {
    const address = parseAddress(text);
    if (address.ok) yield cidrOfAddress(address);
  }
  for (const policy of policies) yield* prefixesOf(policy);
}

/** The prefixes that the rules of a policy name. */
export function* prefixesOf(policy: Policy): Iterable<Cidr> {
  for (const rule of policy.rules) {
    for (const peer of rule.peers ?? []) {
      if (peer.kind !== "addresses") continue;
      yield peer.cidr;
      yield* peer.except;
    }
  }
}
