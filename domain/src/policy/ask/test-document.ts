/** An answer as a PolicyTest document, which holds as long as the answer does. */

import { canonicalAddress, formatCidr } from "../address.ts";
import { renderBlock } from "../edit/render.ts";
import type { YamlValue } from "../edit/value.ts";
import { effectiveAddresses } from "../endpoints.ts";
import { endpointMatches, NAMESPACE_NAME_LABEL } from "../labels.ts";
import type { Endpoint, EndpointSelector, Inventory, LabelSelector, PortMatch, Verdict } from "../model.ts";
import type { Answer } from "./answer.ts";
import { formatQuestion } from "./format.ts";
import type { AskPorts, AskSubject } from "./question.ts";
import { askedOf } from "./reach-answers.ts";

export type KeptTest = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly reason: string };

/** More cases than this say less than a policy does. */
const MOST_CASES = 40;
const STYLE = { isJson: false, lineEnd: "\n" };

/** `name` is that of the document: a DNS subdomain. */
export function testOfAnswer(answer: Answer, inventory: Inventory, name = "kept-answer"): KeptTest {
  const { question, verdict } = answer;
  if (
    question.kind !== "can-reach" &&
    question.kind !== "who-can-reach" &&
    question.kind !== "what-can-reach" &&
    question.kind !== "why"
  ) {
    return { ok: false, reason: "Only answers about who can reach whom can be kept as a test." };
  }
  if (verdict === "nobody")
    return { ok: false, reason: "The question is about no connection, so a test of it would show nothing." };
  const { from, to, ports } = askedOf(question);
  const plain = answer.examples.length > 0 ? plainVerdict(answer) : null;
  if (
    ports?.matches.some(
      (match) => match.kind === "range" && match.low === 0 && match.high < 0xffff && match.protocol !== 1,
    )
  ) {
    return { ok: false, reason: "Tests know no port 0." };
  }
  const cases = plain === null ? exampleCases(answer) : wholeCases(inventory, { from, to, ports }, plain);
  if (cases === null)
    return {
      ok: false,
      reason: "A group of this question cannot be named in a test: it has no labels or addresses of its own.",
    };
  if (cases.length === 0 || cases.length > MOST_CASES)
    return { ok: false, reason: `It would take ${cases.length} cases.` };
  const because = `Kept from the question: ${formatQuestion(question)}`.slice(0, 500);
  const document: YamlValue = {
    apiVersion: "wardline.io/v1",
    kind: "PolicyTest",
    metadata: { name },
    spec: { tests: cases.map((one) => ({ ...one, because })) },
  };
  return { ok: true, text: `${renderBlock(document, 0, STYLE)}\n` };
}

type TestCase = { readonly [key: string]: YamlValue };

/** `null` = some are allowed and some denied. */
function plainVerdict({ examples }: Answer): Verdict | null {
  const verdicts = new Set(examples.map(({ connection }) => connection.enforced));
  const [only] = verdicts;
  return verdicts.size === 1 && only ? only : null;
}

/** Everything that was asked has one verdict: one case for each pair of ends. */
function wholeCases(
  inventory: Inventory,
  { from, to, ports }: { from: AskSubject; to: AskSubject; ports: AskPorts | null },
  verdict: Verdict,
): readonly TestCase[] | null {
  const sources = endsOf(inventory, from);
  const targets = endsOf(inventory, to);
  if (sources === null || targets === null) return null;
  const list = ports === null ? null : ports.matches.map(portOf);
  return sources.flatMap((source) =>
    targets.map(
      (target): TestCase => ({ from: source, to: target, ...(list === null ? {} : { ports: list }), expect: verdict }),
    ),
  );
}

/** Neither yes nor no: the connections that show it, one of each. */
function exampleCases({ examples }: Answer): readonly TestCase[] {
  const byVerdict = new Map(examples.toReversed().map(({ connection }) => [connection.enforced, connection]));
  return [...byVerdict.values()].map(
    ({ from, to, protocol, port, enforced }): TestCase => ({
      from: addressEnd(from.address),
      to: addressEnd(to.address),
      ports: [portOf({ kind: "range", protocol, low: port, high: port, source: NOWHERE })],
      expect: enforced,
    }),
  );
}

const NOWHERE = { file: "", line: 1, column: 1, endLine: 1, endColumn: 1 };

function addressEnd(address: string): YamlValue {
  return { ipBlock: { cidr: `${address}/${address.includes(":") ? 128 : 32}` } };
}

function endsOf(inventory: Inventory, { ends }: AskSubject): readonly YamlValue[] | null {
  const found: YamlValue[] = [];
  for (const end of ends) {
    switch (end.kind) {
      case "any":
        found.push("any");
        break;
      case "entity":
        found.push({ entity: end.entity });
        break;
      case "addresses":
        found.push({
          ipBlock: {
            cidr: formatCidr(end.cidr),
            ...(end.except.length > 0 ? { except: end.except.map(formatCidr) } : {}),
          },
        });
        break;
      case "endpoints": {
        const own = selectorEnd(end.selector);
        if (own === null) return null;
        found.push(own);
        break;
      }
      case "keys": {
        const own = end.keys
          .flatMap((key) => inventory.endpoints.find((one) => one.key === key) ?? [])
          .map((one) => endpointEnds(inventory, one));
        if (own.length === 0 || own.some((list) => list === null)) return null;
        found.push(...own.flatMap((list) => list ?? []));
        break;
      }
      default:
        return null;
    }
  }
  return found;
}

function selectorEnd({ namespaces, endpoints, kind }: EndpointSelector): YamlValue | null {
  if (kind === "workload") return null;
  if (kind === "host") return namespaces.kind === "any" ? { hosts: labelSelector(endpoints) } : null;
  const namespaceSelector: YamlValue =
    namespaces.kind === "any"
      ? {}
      : namespaces.kind === "name"
        ? { matchLabels: { [NAMESPACE_NAME_LABEL]: namespaces.name } }
        : labelSelector(namespaces.selector);
  return { selector: labelSelector(endpoints), namespaceSelector };
}

function labelSelector({ requirements }: LabelSelector): YamlValue {
  const single = requirements.filter(({ operator, values }) => operator === "In" && values.length === 1);
  const keys = new Set(single.map(({ key }) => key));
  const isPlain = single.length === requirements.length && keys.size === single.length;
  if (isPlain)
    return single.length === 0
      ? {}
      : { matchLabels: Object.fromEntries(single.map(({ key, values }) => [key, values[0] ?? ""])) };
  return {
    matchExpressions: requirements.map(({ key, operator, values }) => ({
      key,
      operator,
      ...(values.length > 0 ? { values: [...values] } : {}),
    })),
  };
}

/** By labels that nobody else has, else by its addresses; `null` when it has neither. */
function endpointEnds(inventory: Inventory, endpoint: Endpoint): readonly YamlValue[] | null {
  const requirements = [...endpoint.labels].map(([key, value]) => ({ key, operator: "In" as const, values: [value] }));
  const selector: EndpointSelector = {
    namespaces: { kind: "name", name: endpoint.namespace },
    endpoints: { requirements },
  };
  const same = inventory.endpoints.filter((one) => endpointMatches(selector, one, inventory.namespaces));
  if (requirements.length > 0 && same.length === 1) return [selectorEnd(selector) as YamlValue];
  const addresses = effectiveAddresses(inventory, endpoint).flatMap((text) => canonicalAddress(text) ?? []);
  // An address that others have too would say more than was asked.
  const shared = inventory.endpoints.some(
    (one) =>
      one !== endpoint &&
      effectiveAddresses(inventory, one).some((text) => addresses.includes(canonicalAddress(text) ?? "")),
  );
  return addresses.length === 0 || shared ? null : addresses.map(addressEnd);
}

const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [6, "TCP"],
  [17, "UDP"],
  [132, "SCTP"],
  [1, "ICMP"],
  [58, "ICMPv6"],
]);

function portOf(match: PortMatch): YamlValue {
  const protocol = PROTOCOL_NAMES.get(match.protocol) ?? match.protocol;
  if (match.kind === "named") return { protocol, port: match.name };
  const { low, high } = match;
  if (low === 0 && high === 0xffff) return { protocol };
  if (match.protocol === 1 || match.protocol === 58) {
    return { protocol, type: low >> 8, ...(low === high ? { code: low & 0xff } : {}) };
  }
  if (!PROTOCOL_NAMES.has(match.protocol)) return { protocol };
  return low === high ? { protocol, port: low } : { protocol, port: low, endPort: high };
}
