/** What documents name in other documents: the services in rules and tests, and the policies in tests. */
import { EndpointIndex } from "../check/endpoint-index.ts";
import { type DiagnosticSink, replaceFix } from "../check/sink.ts";
import { ruleLabel } from "../decision.ts";
import type { Inventory, Peer, Policy, PolicyRule, PolicyTest, PolicyTestCase, TestEnd } from "../model.ts";
import type { CaseReferences, PolicyReference, Service, ServiceReference, ServiceUse } from "./document.ts";
import type { ReadDocument } from "./read-document.ts";
import { nearestWord } from "./suggest.ts";

/**
 * The documents with every reference replaced by what it names. A policy or test with a reference that leads nowhere is
 * reported and left out, as one with any other error.
 */
export function resolveReferences(documents: readonly ReadDocument[], sink: DiagnosticSink): readonly ReadDocument[] {
  const referring = documents.some(
    ({ object }) =>
      object?.kind === "service" ||
      object?.kind === "test" ||
      (object?.kind === "policy" && object.serviceUses !== undefined && object.serviceUses.length > 0),
  );
  if (!referring) return documents;
  const resolver = new Resolver(documents, sink);
  return documents.map((document) => resolver.resolve(document));
}

/** The tests among resolved documents; of two with one key the first counts. */
export function testsOf(documents: readonly ReadDocument[]): readonly PolicyTest[] {
  const tests = new Map<string, PolicyTest>();
  for (const { object } of documents) {
    if (object?.kind === "test" && !tests.has(object.test.key)) tests.set(object.test.key, object.test);
  }
  return [...tests.values()];
}

/** The services among documents; of two with one key the first counts. */
export function servicesOf(documents: readonly ReadDocument[]): readonly Service[] {
  const services = new Map<string, Service>();
  for (const { object } of documents) {
    if (object?.kind === "service" && !services.has(object.service.key))
      services.set(object.service.key, object.service);
  }
  return [...services.values()];
}

/** How many peers and test cases services may stand for in all: a short text must not become a long list. */
const MAX_RESOLVED = 200_000;

class Resolver {
  readonly #documents: readonly ReadDocument[];
  readonly #sink: DiagnosticSink;
  readonly #services = new Map<string, Service>();
  readonly #policies = new Map<string, Policy | null>();
  /** Keys by what stands after the kind, and by the name alone. */
  readonly #keysByPath = new Map<string, string[]>();
  #resolvedCount = 0;

  constructor(documents: readonly ReadDocument[], sink: DiagnosticSink) {
    this.#documents = documents;
    this.#sink = sink;
    for (const { info, object } of documents) {
      if (object?.kind === "service" && !this.#services.has(info.key)) this.#services.set(info.key, object.service);
      if (info.tier === null || this.#policies.has(info.key)) continue;
      this.#policies.set(info.key, object?.kind === "policy" ? object.policy : null);
      const path = info.key.slice(info.key.indexOf("/") + 1);
      const keys = this.#keysByPath.get(path);
      if (keys) keys.push(info.key);
      else this.#keysByPath.set(path, [info.key]);
    }
    this.#dropUnknownPortNames();
  }

  resolve(document: ReadDocument): ReadDocument {
    const { object } = document;
    if (object?.kind === "policy" && object.serviceUses && object.serviceUses.length > 0) {
      const rules = this.#resolveRules(object.policy, object.serviceUses);
      if (!rules) return { ...document, object: null };
      return { ...document, object: { ...object, policy: { ...object.policy, rules }, serviceUses: [] } };
    }
    if (object?.kind === "test") {
      const cases = object.references.map((references, position) =>
        this.#resolveCase(object.test, references, position),
      );
      if (cases.some((list) => list === null)) return { ...document, object: null };
      const test = { ...object.test, cases: cases.flatMap((list) => list ?? []) };
      return { ...document, object: { ...object, test, references: [] } };
    }
    return document;
  }

  /** A rule without ports takes those of each service, so it can become several that differ in peers and ports only. */
  #resolveRules(policy: Policy, uses: readonly ServiceUse[]): readonly PolicyRule[] | null {
    const rules = new Map(policy.rules.map((rule) => [ruleIdentity(rule.direction, rule.index), rule]));
    const byRule = new Map<string, UsedService[]>();
    let isWhole = true;
    for (const use of uses) {
      const identity = ruleIdentity(use.direction, use.ruleIndex);
      const service = this.#service(use, whyNoNames(use, rules.get(identity)));
      if (!service || !this.#count(service.peers.length, use)) {
        isWhole = false;
        continue;
      }
      const list = byRule.get(identity) ?? [];
      list.push({ use, service });
      byRule.set(identity, list);
    }
    if (!isWhole) return null;
    return policy.rules.flatMap((rule) =>
      withServices(rule, byRule.get(ruleIdentity(rule.direction, rule.index)) ?? []),
    );
  }

  /** Whether so many more are within the limit; reported where they are named when they are not. */
  #count(more: number, { source }: ServiceReference): boolean {
    this.#resolvedCount += more;
    if (this.#resolvedCount <= MAX_RESOLVED) return true;
    const message = `Services stand for more than ${MAX_RESOLVED} peers in these files; from here on they are not read.`;
    this.#sink.report("WL330", source, message);
    return false;
  }

  /** One case for each pair of what the ends stand for: all of them have to hold. */
  #resolveCase(test: PolicyTest, references: CaseReferences, position: number): readonly PolicyTestCase[] | null {
    const testCase = test.cases[position]!;
    const named = references.from ?? references.to;
    if (named && this.#resolvedCount > MAX_RESOLVED) return null;
    const from = references.from ? this.#ends(references.from) : [testCase.from];
    const to = references.to ? this.#ends(references.to) : [testCase.to];
    const via = references.policy ? this.#decision(references.policy) : testCase.via;
    if (!from || !to || (references.policy && !via)) return null;
    if (named && !this.#count(from.length * to.length, named)) return null;
    return from.flatMap((source) => to.map((target) => ({ ...testCase, from: source, to: target, via })));
  }

  #ends(reference: ServiceReference): readonly TestEnd[] | null {
    const service = this.#service(reference, "no test can be proved for domain names");
    if (!service) return null;
    return service.peers.flatMap((peer): TestEnd[] => (peer.kind === "domains" ? [] : [peer]));
  }

  /** `withoutNames`: why the service may have no domain names here; `null` = it may. */
  #service(reference: ServiceReference, withoutNames: string | null): Service | null {
    const key = `Service/${reference.namespace}/${reference.name}`;
    const service = this.#services.get(key);
    if (!service) {
      this.#reportUnknownService(reference, key);
      return null;
    }
    if (withoutNames !== null && service.peers.some(({ kind }) => kind === "domains")) {
      this.#sink.report("WL328", reference.source, `${key} has domain names, and ${withoutNames}.`);
      return null;
    }
    return service;
  }

  #reportUnknownService({ name, namespace, nameSource, quoted }: ServiceReference, key: string): void {
    const all = [...this.#services.values()];
    const elsewhere = all.filter((service) => service.name === name).map((service) => service.namespace);
    const here = all.filter((service) => service.namespace === namespace).map((service) => service.name);
    const nearest = elsewhere.length > 0 ? null : nearestWord(name, here);
    const hint =
      elsewhere.length > 0
        ? `There is one in namespace ${elsewhere.join(", ")}; write namespace beside the name.`
        : nearest !== null
          ? `Did you mean "${nearest}"?`
          : "Add a Service document for it.";
    const newText = nearest !== null && quoted ? JSON.stringify(nearest) : nearest;
    const fix = newText === null ? null : replaceFix(`Change to ${nearest}`, nameSource, newText);
    this.#sink.report("WL326", nameSource, `There is no ${key}. ${hint}`, fix);
  }

  #decision(reference: PolicyReference): PolicyTestCase["via"] {
    const policyKey = this.#policyKey(reference);
    if (policyKey === null) return null;
    if (!reference.rule) return { kind: "decision", policyKey, rule: null };
    const { text, source } = reference.rule;
    const policy = this.#policies.get(policyKey) ?? null;
    // Of a policy with errors nobody knows the rules.
    if (!policy) return null;
    const rule = policy.rules.find((each) => each.name === text || `${each.direction}[${each.index}]` === text);
    if (rule) return { kind: "decision", policyKey, rule: ruleLabel(rule) };
    const nearest = nearestWord(text, policy.rules.map(ruleLabel));
    const hint = nearest === null ? "" : ` Did you mean "${nearest}"?`;
    this.#sink.report("WL329", source, `${policyKey} has no rule "${text}".${hint}`);
    return null;
  }

  #policyKey({ text, namespace, source }: PolicyReference): string | null {
    if (this.#policies.has(text)) return text;
    const isName = !text.includes("/");
    const candidates = [
      ...(this.#keysByPath.get(isName ? `${namespace}/${text}` : text) ?? []),
      ...(isName ? (this.#keysByPath.get(text) ?? []) : []),
    ];
    const [only] = candidates;
    if (candidates.length === 1) return only!;
    if (candidates.length > 1) {
      const message = `"${text}" may be ${candidates.join(" or ")}; write it out.`;
      this.#sink.report("WL329", source, message);
      return null;
    }
    const nearest = nearestWord(text, this.#policyNames(namespace));
    const hint = nearest === null ? "" : ` Did you mean "${nearest}"?`;
    this.#sink.report("WL329", source, `No document has the policy "${text}".${hint}`);
    return null;
  }

  /** What a reference may say, the shortest first. */
  *#policyNames(namespace: string): Iterable<string> {
    const own = `${namespace}/`;
    for (const path of this.#keysByPath.keys()) if (path.startsWith(own)) yield path.slice(own.length);
    yield* this.#keysByPath.keys();
    yield* this.#policies.keys();
  }

  /** A name that nobody has matches nothing, so what is told here needs not be told again for each rule. */
  #dropUnknownPortNames(): void {
    const named = [...this.#services.values()].filter(({ ports }) => ports?.some(({ kind }) => kind === "named"));
    if (named.length === 0) return;
    const index = new EndpointIndex(inventoryOf(this.#documents));
    if (index.inventory.endpoints.length === 0) return;
    for (const service of named) {
      const members = service.peers.flatMap((peer) => (peer.kind === "endpoints" ? index.select(peer.selector) : []));
      const ports = service.ports!.filter((port) => {
        if (port.kind !== "named") return true;
        const declared = members.flatMap((member) => member.ports).filter(({ protocol }) => protocol === port.protocol);
        if (declared.some(({ name }) => name === port.name)) return true;
        const nearest = nearestWord(port.name, new Set(declared.map(({ name }) => name)));
        const hint = nearest === null ? "" : ` Did you mean "${nearest}"?`;
        const message = `Nobody whom ${service.key} picks has a port of this protocol named "${port.name}"; the entry matches nothing.${hint}`;
        this.#sink.report("WL327", port.source, message);
        return false;
      });
      this.#services.set(service.key, { ...service, ports });
    }
  }
}

interface UsedService {
  readonly use: ServiceUse;
  readonly service: Service;
}

function ruleIdentity(direction: string, index: number): string {
  return `${direction} ${index}`;
}

/** The rule with the peers of its services; those that bring ports of their own stand in a rule of their own. */
function withServices(rule: PolicyRule, services: readonly UsedService[]): readonly PolicyRule[] {
  if (services.length === 0) return [rule];
  const takesPorts = rule.direction === "egress" && rule.ports === null;
  const peers = [...(rule.peers ?? [])];
  const parts: PolicyRule[] = [];
  for (const { use, service } of services) {
    if (takesPorts && service.ports !== null)
      parts.push({ ...rule, peers: peersAt(service, use), ports: service.ports });
    else for (const peer of peersAt(service, use)) peers.push(peer);
  }
  return peers.length > 0 ? [{ ...rule, peers }, ...parts] : parts;
}

/** Why a service may have no domain names there; `null` = it may. */
function whyNoNames(use: ServiceUse, rule: PolicyRule | undefined): string | null {
  if (use.direction === "ingress") return "these can only be allowed in egress rules";
  return rule?.action === "allow" ? null : `these can only be allowed, and the action is ${rule?.action}`;
}

/** Problems with who is meant are told where the policy names the service. */
function peersAt(service: Service, use: ServiceUse): readonly Peer[] {
  return service.peers.map((peer) => ({ ...peer, source: use.source }));
}

function inventoryOf(documents: readonly ReadDocument[]): Inventory {
  const endpoints = documents.flatMap(({ object }) => (object?.kind === "endpoint" ? [object.endpoint] : []));
  const namespaces = new Map(
    documents.flatMap(({ object }) =>
      object?.kind === "namespace" ? [[object.namespace.name, object.namespace] as const] : [],
    ),
  );
  return { endpoints, namespaces, domainAddresses: new Map() };
}
