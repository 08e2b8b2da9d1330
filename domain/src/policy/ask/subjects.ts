/** From the words of a group to whom they mean: exactly one group, several to choose from, or nobody. */
import { type AccessEnd, parseAccessEnd } from "../access/index.ts";
import { canonicalAddress, formatCidr, parseCidr } from "../address.ts";
import { effectiveAddresses } from "../endpoints.ts";
import { endpointMatches, formatSelector } from "../labels.ts";
import type { Endpoint, EndpointSelector, Entity, Inventory, NamespaceMatch, TestEnd } from "../model.ts";
import type { Token } from "./lexer.ts";
import { MAX_CHOICES } from "./limits.ts";
import type { AskSubject } from "./question.ts";
import { type AskService, type AskVocabulary, endpointText, fold } from "./vocabulary.ts";

export interface SubjectChoice {
  readonly subject: AskSubject;
  /** For people: `3 endpoints with the label app=web`. */
  readonly meaning: string;
}

export type ReadSubject =
  | { readonly kind: "subject"; readonly subject: AskSubject }
  | { readonly kind: "ambiguous"; readonly choices: readonly SubjectChoice[]; readonly leftOut: number }
  | { readonly kind: "unknown"; readonly message: string; readonly word: string };

const ANYONE = new Set([
  "anyone",
  "anybody",
  "anything",
  "everyone",
  "everybody",
  "everything",
  "any",
  "all",
  "someone",
  "somebody",
]);
const ENTITY_WORDS: ReadonlyMap<string, Entity> = new Map([
  ["world", "world"],
  ["internet", "world"],
  ["outside", "world"],
  ["cluster", "cluster"],
  ["fleet", "cluster"],
  ["inside", "cluster"],
  ["mesh", "mesh"],
  ["overlay", "mesh"],
]);
const KIND_WORDS: ReadonlyMap<string, Endpoint["kind"]> = new Map([
  ["host", "host"],
  ["hosts", "host"],
  ["machine", "host"],
  ["machines", "host"],
  ["node", "host"],
  ["nodes", "host"],
  ["workload", "workload"],
  ["workloads", "workload"],
  ["pod", "workload"],
  ["pods", "workload"],
]);

/** Never throws. */
export function readSubject(tokens: readonly Token[], vocabulary: AskVocabulary): ReadSubject {
  const words = tokens
    .map(({ text }) => text)
    .filter((word, index) => !(index === 0 && tokens.length > 1 && /^(the|a|an)$/i.test(word)));
  const [first = "", ...rest] = words;
  const lower = fold(first);
  if (rest.length === 0) return readWord(first, vocabulary);
  if (rest.length === 1 && lower === "host" && /^[=!@]/.test(rest[0] ?? "")) return readSelector(words.join(""));
  const kind = KIND_WORDS.get(lower);
  if (kind && rest.length === 1) return readEndpoint(rest[0] ?? "", kind, vocabulary);
  if (/^(all|any|every)$/.test(lower) && rest.length === 1) {
    const all = KIND_WORDS.get(fold(rest[0] ?? ""));
    if (all) return known(kindSubject(all));
  }
  if (lower === "namespace" && rest.length === 1) return readNamespace(rest[0] ?? "", vocabulary);
  if (lower === "service" && rest.length === 1) return readService(rest[0] ?? "", vocabulary);
  if (lower === "label" && rest.length === 1 && first !== "") return readSelector(rest[0] ?? "");
  return readPhrase(words, vocabulary);
}

/** `web in prod`, `everything in namespace prod`, `zone in (a,b)`, `app = web`. */
function readPhrase(words: readonly string[], vocabulary: AskVocabulary): ReadSubject {
  const text = words.join(" ");
  const place = words.findIndex((word) => /^(in|of|from)$/i.test(word));
  if (place > 0 && !(words[place + 1] ?? "").startsWith("(")) {
    const behind = words.slice(place + 1).filter((word) => !/^(namespace|the)$/i.test(word));
    const before = words.slice(0, place);
    const namespace = vocabulary.find(behind[0] ?? "").namespace;
    if (behind.length !== 1 || namespace === null) {
      const word = behind.join(" ");
      return { kind: "unknown", word, message: `There is no namespace "${word}".` };
    }
    if (before.length === 1 && ANYONE.has(fold(before[0] ?? ""))) return known(selectorSubject(`@${namespace}`));
    return within(readSubject(before.map(asToken), vocabulary), namespace, vocabulary);
  }
  if (/[=!(]/.test(text)) return readSelector(text.replace(/\s*(!=|==|=)\s*/g, "$1").replace(/\s*,\s*/g, ","));
  if (words.length === 2 && fold(words[1] ?? "") === "namespace") return readNamespace(words[0] ?? "", vocabulary);
  if (words.length === 2 && fold(words[1] ?? "") === "service") return readService(words[0] ?? "", vocabulary);
  return { kind: "unknown", word: text, message: `Nobody is called "${text}".` };
}

const asToken = (text: string): Token => ({ text, lower: fold(text), start: 0, end: text.length });

/** What was found, as far as it is in the namespace. */
function within(read: ReadSubject, namespace: string, vocabulary: AskVocabulary): ReadSubject {
  if (read.kind === "unknown") return read;
  const choices = read.kind === "subject" ? [{ subject: read.subject, meaning: "" }] : read.choices;
  const inside = choices.flatMap(({ subject }): readonly SubjectChoice[] => {
    const [end] = subject.ends;
    if (end?.kind === "keys") {
      const isInside = vocabulary.inventory.endpoints.some(
        (one) => end.keys.includes(one.key) && one.namespace === namespace,
      );
      return isInside ? [{ subject, meaning: subject.text }] : [];
    }
    if (end?.kind !== "endpoints" || end.selector.namespaces.kind !== "any") return [];
    const narrowed = selectorSubject(`${subject.text}@${namespace}`);
    return memberKeys(narrowed, vocabulary).length > 0
      ? [{ subject: narrowed, meaning: describe(narrowed, vocabulary) }]
      : [];
  });
  const text = choices[0]?.subject.text ?? "";
  return (
    oneOf(inside, vocabulary) ?? {
      kind: "unknown",
      word: text,
      message: `Nobody in the namespace ${namespace} is called "${text}".`,
    }
  );
}

function readWord(word: string, vocabulary: AskVocabulary): ReadSubject {
  const lower = fold(word);
  if (ANYONE.has(lower)) return known(anyone());
  const entity = ENTITY_WORDS.get(lower);
  // A host or label of that name is not passed over in silence.
  if (entity && isUnnamed(word, vocabulary)) return known(entitySubject(entity));
  const kind = KIND_WORDS.get(lower);
  if (kind && lower.endsWith("s")) return known(kindSubject(kind));
  const address = readAddress(word);
  if (address) return address;
  const inNamespace = /^([^=!@,/]+)@([^@]+)$/.exec(word);
  if (inNamespace && !isUnnamed(inNamespace[1] ?? "", vocabulary)) {
    return readPhrase([inNamespace[1] ?? "", "in", inNamespace[2] ?? ""], vocabulary);
  }
  if (/[=!@]/.test(word) && !/^label[/:]/i.test(word)) return readSelector(word);
  const path = /^(host|workload|service|namespace|label)[/:](.+)$/i.exec(word);
  if (path) return readPath(fold(path[1] ?? ""), path[2] ?? "", vocabulary);
  return readName(
    word,
    vocabulary,
    entity ? [{ subject: entitySubject(entity), meaning: ENTITY_MEANINGS[entity] }] : [],
  );
}

const ENTITY_MEANINGS: Record<Entity, string> = {
  world: "every address outside the inventory",
  cluster: "every host and workload",
  mesh: "the overlay's addresses",
  host: "the own host",
};

function isUnnamed(word: string, vocabulary: AskVocabulary): boolean {
  const { endpoints, labels, services, namespace } = vocabulary.find(word);
  return endpoints.length + labels.length + services.length === 0 && namespace === null;
}

function readPath(kind: string, rest: string, vocabulary: AskVocabulary): ReadSubject {
  if (kind === "namespace") return readNamespace(rest, vocabulary);
  if (kind === "service") return readService(rest, vocabulary);
  if (kind === "label") return readSelector(rest);
  return readEndpoint(rest, kind === "host" ? "host" : "workload", vocabulary);
}

function readName(word: string, vocabulary: AskVocabulary, others: readonly SubjectChoice[]): ReadSubject {
  const { endpoints, labels, services, namespace } = vocabulary.find(word);
  const choices: SubjectChoice[] = [
    ...endpoints.map((endpoint) => endpointChoice(endpoint)),
    ...labels.map(({ key, value }) => {
      const subject = selectorSubject(`${key}=${value}`);
      return { subject, meaning: describe(subject, vocabulary) };
    }),
    ...services.map(serviceChoice),
    ...(namespace === null ? [] : [selectorSubject(`@${namespace}`)]).map((subject) => ({
      subject,
      meaning: describe(subject, vocabulary),
    })),
    ...others,
  ];
  return (
    oneOf(choices, vocabulary) ?? {
      kind: "unknown",
      word,
      message: `Nobody is called "${word}": no host, workload, label, service or namespace.`,
    }
  );
}

/** One choice when all of them mean the same members; `null` when there is none. */
function oneOf(choices: readonly SubjectChoice[], vocabulary: AskVocabulary): ReadSubject | null {
  const byMembers = new Map<string, SubjectChoice>();
  for (const choice of choices) {
    const key = membersText(choice.subject, vocabulary);
    if (!byMembers.has(key)) byMembers.set(key, choice);
  }
  const different = [...byMembers.values()];
  const [only] = different;
  if (!only) return null;
  if (different.length === 1) return known(only.subject);
  return {
    kind: "ambiguous",
    choices: different.slice(0, MAX_CHOICES),
    leftOut: Math.max(0, different.length - MAX_CHOICES),
  };
}

function membersText(subject: AskSubject, vocabulary: AskVocabulary): string {
  const isNamed = subject.ends.every(({ kind }) => kind === "keys" || kind === "endpoints");
  return isNamed ? memberKeys(subject, vocabulary).join() : `= ${subject.text}`;
}

/** Keys of the endpoints that a named group means, in order. */
export function memberKeys(subject: AskSubject, { inventory }: AskVocabulary): readonly string[] {
  const keys = subject.ends.flatMap((end) => {
    if (end.kind === "keys") return end.keys;
    if (end.kind !== "endpoints") return [];
    return inventory.endpoints
      .filter((one) => endpointMatches(end.selector, one, inventory.namespaces))
      .map(({ key }) => key);
  });
  return [...new Set(keys)].sort();
}

function describe(subject: AskSubject, vocabulary: AskVocabulary): string {
  const count = memberKeys(subject, vocabulary).length;
  const what = count === 1 ? "1 host or workload" : `${count} hosts and workloads`;
  return subject.text.startsWith("@")
    ? `${what} in the namespace ${subject.text.slice(1)}`
    : `${what} with ${subject.text}`;
}

function readEndpoint(text: string, kind: Endpoint["kind"], vocabulary: AskVocabulary): ReadSubject {
  const found = vocabulary.find(text).endpoints.filter((endpoint) => endpoint.kind === kind);
  if (found.length > 0) return oneOf(found.map(endpointChoice), vocabulary) as ReadSubject;
  return { kind: "unknown", word: text, message: `No ${kind} is called "${text}".` };
}

function endpointChoice(endpoint: Endpoint): SubjectChoice {
  const where = endpoint.kind === "workload" && endpoint.hostName !== null ? ` on ${endpoint.hostName}` : "";
  return { subject: endpointSubject(endpoint), meaning: `the ${endpoint.kind} ${endpoint.name}${where}` };
}

function readNamespace(text: string, vocabulary: AskVocabulary): ReadSubject {
  const { namespace } = vocabulary.find(text);
  if (namespace !== null) return known(selectorSubject(`@${namespace}`));
  return { kind: "unknown", word: text, message: `There is no namespace "${text}".` };
}

function readService(text: string, vocabulary: AskVocabulary): ReadSubject {
  const { services } = vocabulary.find(text);
  if (services.length === 0) return { kind: "unknown", word: text, message: `There is no service "${text}".` };
  const [only] = services;
  const domains = only?.peers.filter(({ kind }) => kind === "domains") ?? [];
  if (services.length === 1 && only && domains.length === only.peers.length) {
    return {
      kind: "unknown",
      word: text,
      message: `${only.key} stands for domain names alone, whose addresses change: ask about an address.`,
    };
  }
  return oneOf(services.map(serviceChoice), vocabulary) as ReadSubject;
}

function serviceChoice(service: AskService): SubjectChoice {
  return { subject: serviceSubject(service), meaning: `the service ${service.namespace}/${service.name}` };
}

function readAddress(word: string): ReadSubject | null {
  if (!/^[\da-f.:]+(\/\d+)?$/i.test(word) || !/[.:]/.test(word)) return null;
  const address = canonicalAddress(word);
  if (address !== null) return known(addressSubject(address));
  const prefix = parseCidr(word);
  if (prefix.ok) return known(addressSubject(formatCidr(prefix.cidr)));
  return /[/:]|^\d+\.\d+\.\d+/.test(word) ? { kind: "unknown", word, message: `"${word}" ${prefix.message}.` } : null;
}

function readSelector(text: string): ReadSubject {
  try {
    return known(selectorSubject(text));
  } catch (error) {
    return {
      kind: "unknown",
      word: text,
      message: error instanceof Error ? error.message : `"${text}" is no label selector.`,
    };
  }
}

function known(subject: AskSubject): ReadSubject {
  return { kind: "subject", subject };
}

function anyone(): AskSubject {
  return { text: "anyone", ends: [{ kind: "any" }], testEnds: [{ kind: "any" }], serviceKey: null };
}

function entitySubject(entity: Entity): AskSubject {
  const end = { kind: "entity", entity } as const;
  return { text: entity, ends: [end], testEnds: [end], serviceKey: null };
}

function kindSubject(kind: Endpoint["kind"]): AskSubject {
  const selector: EndpointSelector = { namespaces: { kind: "any" }, endpoints: { requirements: [] }, kind };
  // Tests know no selector for workloads alone.
  const testEnds = kind === "host" ? [{ kind: "endpoints", selector } as const] : null;
  return { text: `all ${kind}s`, ends: [{ kind: "endpoints", selector }], testEnds, serviceKey: null };
}

/** @throws Failure INVALID_ARGUMENT for text that is no selector */
export function selectorSubject(text: string): AskSubject {
  // A key alone would be read as a name; behind a namespace it is one label that must exist.
  const isMarked = /[=!@(]/.test(text);
  const end = parseAccessEnd(NOBODY, isMarked ? text : `${text}@any`);
  if (end.kind !== "endpoints") throw new Error(`"${text}" is no label selector.`);
  const namespaces: NamespaceMatch = isMarked ? end.selector.namespaces : { kind: "any" };
  const meant = { kind: "endpoints", selector: { ...end.selector, namespaces } } as const;
  return { text: formatEndpoints(meant.selector), ends: [meant], testEnds: [meant], serviceKey: null };
}

const NOBODY: Inventory = { endpoints: [], namespaces: new Map(), domainAddresses: new Map() };

/** As it is read: no spaces but in lists of values. */
function formatEndpoints({ namespaces, endpoints }: EndpointSelector): string {
  const labels = endpoints.requirements
    .map((requirement) =>
      formatSelector({ requirements: [requirement] })
        .replace(" not in (", " notin (")
        .replace(/, /g, ","),
    )
    .join(",");
  // A key alone would be read as a name.
  const marked = labels === "" || /[=!(]/.test(labels) ? labels : `label/${labels}`;
  return namespaces.kind === "name" ? `${marked}@${namespaces.name}` : marked;
}

export function endpointSubject(endpoint: Endpoint): AskSubject {
  return {
    text: endpointText(endpoint),
    ends: [{ kind: "keys", keys: [endpoint.key] }],
    testEnds: null,
    serviceKey: null,
  };
}

function addressSubject(text: string): AskSubject {
  const parsed = parseCidr(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`);
  if (!parsed.ok) throw new Error(`${text} was an address`);
  const end = { kind: "addresses", cidr: parsed.cidr, except: [] } as const;
  return { text, ends: [end], testEnds: [end], serviceKey: null };
}

function serviceSubject({ key, namespace, name, peers }: AskService): AskSubject {
  const ends = peers.flatMap((peer): TestEnd[] => {
    if (peer.kind === "domains") return [];
    const { source: _, ...end } = peer;
    return [end];
  });
  const accessEnds: readonly AccessEnd[] = ends;
  return { text: `service/${namespace}/${name}`, ends: accessEnds, testEnds: ends, serviceKey: key };
}

/** Addresses of the members of a named group, canonical; for tests and flow queries. */
export function memberAddresses(subject: AskSubject, vocabulary: AskVocabulary): readonly string[] {
  const { inventory } = vocabulary;
  const keys = new Set(memberKeys(subject, vocabulary));
  const own = inventory.endpoints
    .filter(({ key }) => keys.has(key))
    .flatMap((one) => effectiveAddresses(inventory, one));
  return [...new Set(own.flatMap((text) => canonicalAddress(text) ?? []))];
}
