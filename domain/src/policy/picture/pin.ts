/** A PolicyTest that pins what a draft does between two nodes now, so that nobody changes it unseen. */
import type { PortRangePart } from "../access/index.ts";
import { NAMESPACE_NAME_LABEL } from "../labels.ts";
import { type PolicyWorld, PROTOCOL } from "../model.ts";
import { proveTests } from "../proof/index.ts";
import { readPolicyFiles } from "../read.ts";
import { portValue, selectorValue } from "../suggest/document.ts";
import { flow, scalar, type YamlValue } from "../suggest/yaml-text.ts";
import type { EdgeDetail } from "./detail.ts";
import type { PictureEdge, PictureGrouping, PictureNode } from "./model.ts";

const MAX_CASES = 20;

/**
 * About every pair of members where one sentence says it, else about the smallest connections. Proved before it is given
 * away: `null` where no test says what is so.
 */
export function pinnedTest(
  world: PolicyWorld,
  source: PictureNode,
  destination: PictureNode,
  edge: PictureEdge,
  grouping: PictureGrouping,
  detail: Pick<EdgeDetail, "allowed" | "denied">,
): string | null {
  const candidates = [wholeCases(source, destination, edge, grouping), exampleCases(detail)];
  for (const cases of candidates) {
    const isSayable = cases.every(({ ports }) => ports?.every((part) => testPort(part) !== null) ?? true);
    if (cases.length === 0 || cases.length > MAX_CASES || !isSayable) continue;
    const text = document(source, destination, cases);
    const { tests, ok } = readPolicyFiles([{ path: "pin.yaml", text }]);
    if (ok && proveTests(world, tests).cases.every(({ status }) => status === "holds")) return text;
  }
  return null;
}

function wholeCases(
  source: PictureNode,
  destination: PictureNode,
  { draft: { access, ports } }: PictureEdge,
  grouping: PictureGrouping,
): Case[] {
  // Networks may have endpoints in them, which are not meant here: a case about the whole would say more than the edge.
  if (access === "some-members" || source.members.length === 0 || destination.members.length === 0) return [];
  const own = access === "some-ports" ? ports : null;
  const expect = access === "none" ? ("deny" as const) : ("allow" as const);
  return endsOf(source, grouping).flatMap((from) =>
    endsOf(destination, grouping).flatMap((to): Case[] =>
      flow(from) === flow(to) && "ipBlock" in from ? [] : [{ from, to, ports: own, expect }],
    ),
  );
}

function exampleCases({ allowed, denied }: Pick<EdgeDetail, "allowed" | "denied">): Case[] {
  return [allowed, denied].flatMap((example): Case[] => {
    if (!example) return [];
    const { from, to, protocol, port, enforced } = example;
    const ports = [{ protocol, exceptProtocols: [], low: port, high: port }];
    return [{ from: addressEnd(from.address), to: addressEnd(to.address), ports, expect: enforced }];
  });
}

type End = { readonly [key: string]: YamlValue };

interface Case {
  readonly from: End;
  readonly to: End;
  readonly ports: readonly PortRangePart[] | null;
  readonly expect: "allow" | "deny";
}

/** The members of a node; empty = no selector says that. */
function endsOf(node: PictureNode, grouping: PictureGrouping): readonly End[] {
  const { members, namespace, labels } = node;
  const inNamespace = { namespaceSelector: { matchLabels: { [NAMESPACE_NAME_LABEL]: namespace } } };
  if (grouping.by === "namespace" && node.id.startsWith("namespace:")) return [{ selector: {}, ...inNamespace }];
  if (grouping.by === "labels" && labels.size > 0) {
    const requirements = grouping.keys.map((key) => {
      const value = labels.get(key);
      return value === undefined
        ? { key, operator: "DoesNotExist" as const, values: [] }
        : { key, operator: "In" as const, values: [value] };
    });
    return [{ selector: selectorOfTest(requirements), ...inNamespace }];
  }
  const addresses = members.flatMap((member) => member.addresses);
  return addresses.length > MAX_CASES ? [] : addresses.map(addressEnd);
}

function selectorOfTest(requirements: Parameters<typeof selectorValue>[0]["requirements"]): YamlValue {
  const { matchLabels, matchExpressions } = selectorValue({ requirements });
  const absent = requirements.filter(({ operator }) => operator === "DoesNotExist");
  const expressions = absent.map(({ key, operator }) => ({ key, operator }));
  return {
    ...(matchLabels === undefined ? {} : { matchLabels }),
    ...(matchExpressions === undefined ? {} : { matchExpressions: expressions }),
  };
}

function addressEnd(address: string): End {
  return { ipBlock: { cidr: `${address}/${address.includes(":") ? 128 : 32}` } };
}

const HIGHEST_PORT = 65_535;

/** `null` = a test cannot say it. */
function testPort({ protocol, low, high }: PortRangePart): YamlValue | null {
  switch (protocol) {
    case null:
      return null;
    case PROTOCOL.tcp:
    case PROTOCOL.udp:
    case PROTOCOL.sctp: {
      // Nobody can name port 0, and nobody connects to it.
      if (high === 0) return null;
      const first = Math.max(1, low);
      const name = { [PROTOCOL.tcp]: "TCP", [PROTOCOL.udp]: "UDP", [PROTOCOL.sctp]: "SCTP" }[protocol];
      return first === 1 && high === HIGHEST_PORT ? { protocol: name } : portValue({ protocol, low: first, high });
    }
    case PROTOCOL.icmp:
    case PROTOCOL.icmpv6:
      return low === high ? portValue({ protocol, low, high }) : null;
    default:
      return low === 0 && high === HIGHEST_PORT ? { protocol } : null;
  }
}

function document(source: PictureNode, destination: PictureNode, cases: readonly Case[]): string {
  const namespace = destination.namespace || source.namespace || "default";
  const lines = [
    "apiVersion: wardline.io/v1",
    "kind: PolicyTest",
    `metadata: ${flow({ name: testName(source.name, destination.name), namespace })}`,
    "spec:",
    `  description: ${JSON.stringify(`Pinned in the picture: ${source.name} to ${destination.name}.`)}`,
    "  tests:",
  ];
  for (const { from, to, ports, expect } of cases) {
    lines.push(`    - from: ${flow(from)}`, `      to: ${flow(to)}`);
    if (ports !== null) lines.push(`      ports: ${flow(ports.flatMap((part) => testPort(part) ?? []))}`);
    lines.push(`      expect: ${expect}`, `      because: ${scalar("This is how it was when it was pinned.")}`);
  }
  return `${lines.join("\n")}\n`;
}

function testName(source: string, destination: string): string {
  const slug = `${source}-to-${destination}`
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 50)
    .replace(/-+$/, "");
  return slug === "to" || slug === "" ? "pinned" : slug;
}
