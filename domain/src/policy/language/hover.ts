/** What the thing under the cursor means, and what it does now. */
import { cidrContainsAddress, parseAddress, parseCidr } from "../address.ts";
import { ruleLabel } from "../decision.ts";
import { endpointMatches } from "../labels.ts";
import type { Endpoint, EndpointSelector, Peer, Policy, PolicyRule } from "../model.ts";
import { describeField } from "./complete.ts";
import { protocolName, protocolNumber, usualService } from "./known-ports.ts";
import { type Place, placeAt, type Step } from "./place.ts";
import { namespaceOf, poolOf, roleOf } from "./role.ts";
import { describeShape, documentFields, meaningsAt } from "./shapes.ts";
import { describeCount, type Vocabulary } from "./vocabulary.ts";

export interface HoverAnswer {
  /** Of the text that it is about. */
  readonly from: number;
  readonly to: number;
  readonly title: string;
  /** What the field takes, and what it means. */
  readonly meaning: readonly string[];
  /** What it does at present, from the inventory and the recorded flows. */
  readonly now: readonly string[];
}

const MAX_NAMES = 8;
const count = (value: number): string => value.toLocaleString("en");

export interface HoverInput {
  readonly file: string;
  readonly text: string;
  readonly offset: number;
}

/** `null` where there is nothing to say. */
export function hover(input: HoverInput, vocabulary: Vocabulary): HoverAnswer | null {
  const place = placeAt(input.text, input.offset, false);
  const path = place.slot === "key" && place.entry ? [...place.path, place.entry.key] : place.path;
  if (path.length === 0 || place.from === place.to) return null;
  const meanings = meaningsAt(documentFields(place.apiVersion, place.kind), path);
  const field = meanings.find((meaning) => meaning.field !== null)?.field ?? null;
  const last = path.findLast((step) => typeof step === "string") ?? "";
  const line = lineOf(input.text, input.offset);
  const now = nowOf(place, path, { ...input, line }, vocabulary);
  if (!field && now.length === 0) return null;
  const word = place.slot === "value" ? ` ${clip(input.text.slice(place.from, place.to))}` : "";
  return {
    from: place.from,
    to: place.to,
    title: `${last}${word === "" ? "" : ":"}${word}`,
    meaning: field ? [describeField(field), `Takes ${describeShape(field.shape)}.`] : [],
    now,
  };
}

const clip = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** From 1. */
export function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < offset; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

interface Spot {
  readonly file: string;
  readonly line: number;
}

function nowOf(place: Place, path: readonly Step[], spot: Spot, vocabulary: Vocabulary): readonly string[] {
  const label = labelAt(place, path);
  if (label) return labelNow(label, path, vocabulary);
  const selector = selectorAt(path, spot, vocabulary);
  if (selector) return selectorNow(selector, vocabulary);
  if (place.slot === "key" && place.entry?.value.kind !== "scalar") return [];
  const text = place.entry?.value.text ?? "";
  const value = place.slot === "value" && place.around.at(-1)?.kind === "list" ? wordAt(place) : text;
  const role = roleOf({ ...place, path }, meaningsAt(documentFields(place.apiVersion, place.kind), path));
  switch (role?.kind) {
    case "cidr":
      return cidrNow(value, vocabulary);
    case "address":
      return cidrNow(`${value}/${value.includes(":") ? 128 : 32}`, vocabulary);
    case "port":
      return portNow(value, role.protocol, vocabulary);
    case "protocol":
      return protocolNow(value, vocabulary);
    case "namespace": {
      const own = vocabulary.namespaces.get(value);
      return [own ? `${describeCount(own)} in it.` : "Nobody is in it, and no document declares it."];
    }
    case "host":
      return vocabulary.hosts.filter(({ name }) => name === value).map((host) => describeEndpoint(host));
    case "policy":
      return policyNow(value, namespaceOf(place), vocabulary);
    default:
      return [];
  }
}

function wordAt({ around, from }: Place): string {
  return around.at(-1)?.items.find((item) => item.from === from)?.text ?? "";
}

function labelAt({ entry, slot }: Place, path: readonly Step[]): { key: string; value: string | null } | null {
  const parent = path.at(-2);
  if (parent !== "matchLabels" && !(parent === "labels" && path[0] === "metadata")) return null;
  const key = String(path.at(-1));
  return { key, value: slot === "value" || entry?.value.kind === "scalar" ? (entry?.value.text ?? null) : null };
}

function labelNow(
  { key, value }: { key: string; value: string | null },
  path: readonly Step[],
  vocabulary: Vocabulary,
): readonly string[] {
  const pool = poolOf(path);
  const words = vocabulary.labels[pool].get(key);
  if (!words) return [`Nobody has a label ${key}.`];
  const of = pool === "namespaces" ? " (in namespaces with it)" : "";
  const lines = [
    `${key}: ${describeCount(words.count)}${of}, ${words.values.size === 1 ? "one value" : `${count(words.values.size)} values`}.`,
  ];
  if (value === null) return lines;
  const own = words.values.get(value);
  const holders =
    pool === "namespaces"
      ? []
      : [...vocabulary.hosts, ...vocabulary.workloads].filter(({ labels }) => labels.get(key) === value);
  return [`${key}=${value}: ${own ? describeCount(own) : "nobody"}${of}${listed(holders)}.`, ...lines];
}

function listed(endpoints: readonly Endpoint[]): string {
  if (endpoints.length === 0) return "";
  const names = endpoints.slice(0, MAX_NAMES).map(({ name }) => name);
  const rest = endpoints.length - names.length;
  return `: ${names.join(", ")}${rest > 0 ? ` and ${count(rest)} more` : ""}`;
}

/** The selector around a place, as the engine read it. */
function selectorAt(path: readonly Step[], { file, line }: Spot, { world }: Vocabulary): EndpointSelector | null {
  const name = path.findLast((step) => typeof step === "string");
  if (typeof name !== "string" || !SELECTOR_KEYS.has(name)) return null;
  const policy = policyAtLine(world.policies, file, line);
  if (!policy) return null;
  if (path[1] === "subject" || path[1] === "podSelector" || path[1] === "endpointSelector" || path[1] === "selector")
    return policy.subject;
  const peers = policy.rules.flatMap((rule) => rule.peers ?? []);
  const peer = innermost(peers.filter((each) => each.source.file === file && holds(each.source, line)));
  return peer?.kind === "endpoints" ? peer.selector : null;
}

const SELECTOR_KEYS = new Set([
  ...["subject", "selector", "podSelector", "namespaceSelector", "hosts", "nodes", "pods", "namespaces", "matchLabels"],
  ...["matchExpressions", "endpointSelector", "nodeSelector", "fromEndpoints", "toEndpoints", "fromNodes", "toNodes"],
]);

function innermost(peers: readonly Peer[]): Peer | null {
  return peers.reduce<Peer | null>((best, peer) => {
    const size = peer.source.endLine - peer.source.line;
    return best === null || size < best.source.endLine - best.source.line ? peer : best;
  }, null);
}

export function holds(
  { line, endLine, endColumn }: { line: number; endLine: number; endColumn: number },
  at: number,
): boolean {
  return at >= line && (at < endLine || (at === endLine && (endColumn > 1 || line === endLine)));
}

export function policyAtLine(policies: readonly Policy[], file: string, line: number): Policy | null {
  return policies.find(({ source }) => source.file === file && holds(source, line)) ?? null;
}

export function ruleAtLine(policy: Policy, line: number): PolicyRule | null {
  return policy.rules.find(({ source }) => holds(source, line)) ?? null;
}

export function selectedBy(selector: EndpointSelector, { world }: Pick<Vocabulary, "world">): readonly Endpoint[] {
  return world.inventory.endpoints.filter((endpoint) =>
    endpointMatches(selector, endpoint, world.inventory.namespaces),
  );
}

function selectorNow(selector: EndpointSelector, vocabulary: Vocabulary): readonly string[] {
  const found = selectedBy(selector, vocabulary);
  const hosts = found.filter(({ kind }) => kind === "host").length;
  return [`Selects ${describeCount({ hosts, workloads: found.length - hosts })}${listed(found)}.`];
}

function describeEndpoint({ name, namespace, labels, addresses }: Endpoint): string {
  const shown = [...labels].slice(0, MAX_NAMES).map(([key, value]) => `${key}=${value}`);
  return `${namespace}/${name}: ${addresses.join(", ") || "no address"}${shown.length > 0 ? `; ${shown.join(", ")}` : ""}.`;
}

function cidrNow(text: string, { hosts, workloads, facts }: Vocabulary): readonly string[] {
  const parsed = parseCidr(text);
  if (!parsed.ok) return [];
  const { cidr } = parsed;
  const bits = (cidr.family === 4 ? 32 : 128) - cidr.prefixLength;
  const size = bits <= 40 ? count(2 ** bits) : `2 to the power of ${bits}`;
  const isIn = (address: string): boolean => {
    const one = parseAddress(address);
    return one.ok && one.family === cidr.family && cidrContainsAddress(cidr, one.bytes);
  };
  const known = [...hosts, ...workloads].filter(({ addresses }) => addresses.some(isIn));
  const seen = facts.addresses.filter(({ address }) => isIn(address));
  const strangers = seen.filter(({ name }) => name === "");
  const flows = seen.reduce((sum, use) => sum + use.flows, 0);
  return [
    bits === 0 ? "One address." : `${size} addresses.`,
    known.length === 0
      ? "Nobody of the inventory is in it."
      : `${known.length === 1 ? "One" : count(known.length)} of the inventory in it${listed(known)}.`,
    ...(seen.length === 0
      ? facts.flows > 0
        ? ["No recorded flow came from or went to it."]
        : []
      : [
          `${count(flows)} recorded flows${sinceWords(facts)} of ${seen.length === 1 ? "one address" : `${count(seen.length)} addresses`} in it${
            strangers.length > 0
              ? `; ${count(strangers.length)} of them nobody knows: ${strangers
                  .slice(0, 4)
                  .map(({ address }) => address)
                  .join(", ")}${strangers.length > 4 ? ", …" : ""}`
              : ""
          }.`,
        ]),
  ];
}

/** How far back they were counted: a window that somebody chose says less than everything that is kept. */
function sinceWords({ sinceUnixMs }: Vocabulary["facts"]): string {
  return sinceUnixMs === null ? "" : ` since ${new Date(sinceUnixMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function portNow(text: string, protocolText: string, { facts, portNames }: Vocabulary): readonly string[] {
  const wanted = protocolText === "" || protocolText === "ANY" ? null : protocolNumber(protocolText);
  const fits = (protocol: number): boolean => wanted === null || protocol === wanted;
  if (!/^\d+$/.test(text)) {
    const named = portNames.filter(({ name, protocol }) => name === text && fits(protocol));
    return named.length === 0
      ? [`Nobody in the inventory calls a port ${text}.`]
      : named.map(
          ({ port, protocol, count: holders }) =>
            `${port}/${protocolName(protocol)} on ${count(holders)} of the inventory.`,
        );
  }
  const port = Number(text);
  const usual = usualService(wanted ?? 6, port);
  const uses = facts.ports.filter((use) => use.port === port && fits(use.protocol));
  const flows = uses.reduce((sum, use) => sum + use.flows, 0);
  const denied = uses.reduce((sum, use) => sum + use.denied, 0);
  const names = portNames.filter((each) => each.port === port && fits(each.protocol));
  return [
    ...(usual === "" ? [] : [`Usually ${usual}.`]),
    ...names.map(
      ({ name, protocol, count: holders }) =>
        `${count(holders)} of the inventory call it ${name} (${protocolName(protocol)}).`,
    ),
    ...(facts.flows === 0
      ? []
      : [
          `${flows === 0 ? "No" : count(flows)} of ${count(facts.flows)} recorded flows${sinceWords(facts)} went to it${denied > 0 ? `, ${count(denied)} of them denied` : ""}.`,
        ]),
  ];
}

function protocolNow(text: string, { facts }: Vocabulary): readonly string[] {
  const number = protocolNumber(text);
  if (number === null || facts.flows === 0) return [];
  const flows = facts.ports.filter(({ protocol }) => protocol === number).reduce((sum, use) => sum + use.flows, 0);
  return [`${count(flows)} of ${count(facts.flows)} recorded flows${sinceWords(facts)}.`];
}

function policyNow(text: string, namespace: string, { world }: Vocabulary): readonly string[] {
  const found = findPolicy(world.policies, text, namespace);
  return [
    found
      ? `${found.key}, ${found.source.file}:${found.source.line}: ${found.rules.map(ruleLabel).join(", ") || "no rules"}.`
      : "There is no such policy.",
  ];
}

/** By its key, `namespace/name`, or its name in the namespace of who asks. */
export function findPolicy(policies: readonly Policy[], text: string, namespace: string): Policy | null {
  return (
    policies.find(
      ({ key, name, namespace: own }) =>
        key === text || `${own}/${name}` === text || (name === text && (own ?? namespace) === namespace),
    ) ?? null
  );
}
