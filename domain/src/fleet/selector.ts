/**
 * Which hosts a command is about. The language of `--hosts`:
 *
 *     web-1,db-1                names, aliases or ids: these hosts
 *     group:db,env:production   conditions: hosts for which all of them hold
 *     app=web,tier!=cache       conditions on labels; also `label:app` and `!app`, with the label or without it
 *     group:db+web-1            `+` adds the hosts of another part
 *     all
 *
 * Names and conditions are not mixed in one part, because a comma adds names and narrows conditions. A word that matches
 * nothing is an error and not an empty selection: a slip of the pen must not look like a host that needs no change.
 */
import { ErrorCode, Failure } from "../errors/index.ts";
import { nearestWord } from "../policy/formats/suggest.ts";
import { type Labels, requirementMatches } from "../policy/labels.ts";
import type { LabelRequirement } from "../policy/model.ts";

const MAX_LENGTH = 4_096;
const MAX_TERMS = 200;
const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

export interface SelectableHost {
  readonly id: string;
  /** As its agent says, or as it is called before. */
  readonly name: string;
  readonly alias: string;
  readonly groups: readonly string[];
  /** Name; empty = none. */
  readonly environment: string;
  /** Of its Host document. */
  readonly labels: Labels;
}

type Term =
  | { readonly kind: "all" }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "group" | "environment"; readonly name: string }
  | { readonly kind: "label"; readonly requirement: LabelRequirement };

/**
 * The selected hosts, in the order given, each once.
 * @throws Failure INVALID_ARGUMENT (the text), NOT_FOUND (a word that nothing is called, or no host at all)
 */
export function selectHosts<Host extends SelectableHost>(text: string, hosts: readonly Host[]): Host[] {
  const selected = new Set<Host>();
  for (const part of parse(text)) for (const host of hostsOf(part, hosts)) selected.add(host);
  if (selected.size === 0) {
    throw new Failure({
      code: ErrorCode.NOT_FOUND,
      message: `No host matches "${shown(text)}".`,
      hint: "`wardline host list` shows hosts with their groups, environments and labels.",
    });
  }
  return hosts.filter((host) => selected.has(host));
}

function parse(text: string): Term[][] {
  if (text.length > MAX_LENGTH) throw invalid(`A selector has at most ${MAX_LENGTH} characters.`);
  const parts = text.split("+").map((part) => part.split(",").map((word) => parseTerm(word.trim(), text)));
  const count = parts.reduce((sum, part) => sum + part.length, 0);
  if (count > MAX_TERMS) throw invalid(`A selector has at most ${MAX_TERMS} words; this one has ${count}.`);
  for (const part of parts) requireOneKind(part, text);
  return parts;
}

function requireOneKind(part: readonly Term[], text: string): void {
  const names = part.filter(({ kind }) => kind === "name").length;
  if (part.length > 1 && part.some(({ kind }) => kind === "all")) {
    throw invalid(`"${shown(text)}" has "all" beside something else; "all" stands alone.`);
  }
  if (names > 0 && names < part.length) {
    throw invalid(
      `"${shown(text)}" mixes names with conditions between commas, where names add hosts and conditions take some away.`,
      "Put a `+` between the names and the conditions to have both: group:db+web-1",
    );
  }
}

function parseTerm(word: string, text: string): Term {
  if (word === "") throw invalid(`"${shown(text)}" has an empty part.`, EXAMPLES);
  if (word === "all") return { kind: "all" };
  const colon = /^(group|env|label):(.*)$/s.exec(word);
  if (colon) {
    const [, prefix, name = ""] = colon;
    if (name === "") throw invalid(`"${shown(word)}" does not say which.`, EXAMPLES);
    if (prefix === "label") return existence(name, "Exists");
    return { kind: prefix === "group" ? "group" : "environment", name };
  }
  if (word.startsWith("!")) return existence(word.slice(1), "DoesNotExist");
  const comparison = /^([^=!]*)(!=|==|=)(.*)$/s.exec(word);
  if (!comparison) return { kind: "name", name: word };
  const [, key = "", operator, value = ""] = comparison;
  requireKey(key);
  return { kind: "label", requirement: { key, operator: operator === "!=" ? "NotIn" : "In", values: [value] } };
}

function existence(key: string, operator: "Exists" | "DoesNotExist"): Term {
  requireKey(key);
  return { kind: "label", requirement: { key, operator, values: [] } };
}

function requireKey(key: string): void {
  if (LABEL_KEY.test(key) && key.length <= 317) return;
  throw invalid(`"${shown(key)}" is not a label key.`, "Label keys look like `app` or `example.com/app`.");
}

function hostsOf<Host extends SelectableHost>(part: readonly Term[], hosts: readonly Host[]): readonly Host[] {
  if (part[0]?.kind === "name") return part.flatMap((term) => (term.kind === "name" ? named(term.name, hosts) : []));
  return part.reduce<readonly Host[]>((left, term) => left.filter(holdsFor(term, hosts)), hosts);
}

/** What the person chose comes before what a machine says of itself; a name that two machines claim means neither. */
function named<Host extends SelectableHost>(name: string, hosts: readonly Host[]): Host {
  const chosen = hosts.find(({ id, alias }) => id === name || (alias !== "" && alias === name));
  if (chosen) return chosen;
  const [first, second] = hosts.filter((host) => host.name === name);
  if (first && second) {
    throw invalid(
      `Several hosts call themselves "${shown(name)}".`,
      `Say which one by its alias: ${first.alias || first.id}, ${second.alias || second.id}.`,
    );
  }
  if (first) return first;
  const known = hosts.flatMap((host) => [host.alias, host.name].filter((word) => word !== ""));
  throw unknown("host", name, known, "");
}

function holdsFor(term: Term, all: readonly SelectableHost[]): (host: SelectableHost) => boolean {
  switch (term.kind) {
    case "group": {
      requireKnown("group", term.name, new Set(all.flatMap(({ groups }) => groups)), "group:");
      return (host) => host.groups.includes(term.name);
    }
    case "environment": {
      const environments = new Set(all.map(({ environment }) => environment).filter((name) => name !== ""));
      requireKnown("environment", term.name, environments, "env:");
      return (host) => host.environment === term.name;
    }
    case "label":
      requireKnownLabel(term.requirement, all);
      return (host) => requirementMatches(term.requirement, host.labels);
    default:
      return () => true;
  }
}

function requireKnown(what: string, name: string, known: ReadonlySet<string>, prefix: string): void {
  if (!known.has(name)) throw unknown(what, name, known, prefix);
}

/** `!key` and `key!=value` hold for hosts without the label; a key that no host has is most likely a slip all the same. */
function requireKnownLabel({ key, operator, values: [value] }: LabelRequirement, all: readonly SelectableHost[]): void {
  const keys = new Set(all.flatMap(({ labels }) => [...labels.keys()]));
  if (!keys.has(key)) throw unknown("label", key, keys, "");
  if (operator !== "In" || value === undefined) return;
  const values = new Set(all.flatMap(({ labels }) => labels.get(key) ?? []));
  if (!values.has(value))
    throw unknown(
      "host with",
      `${key}=${value}`,
      [...values].map((each) => `${key}=${each}`),
      "",
    );
}

function unknown(what: string, name: string, known: Iterable<string>, prefix: string): Failure {
  const near = nearestWord(name, known);
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `There is no ${what} "${shown(name)}" on this console.`,
    hint: near
      ? `Did you mean ${prefix}${near}?`
      : "`wardline host list` shows hosts with their groups, environments and labels.",
  });
}

const EXAMPLES = "For example: web-1,web-2 or group:db,env:production or app=web,tier!=cache or all.";

function invalid(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}

function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
