/** What stands behind one edge: the rules that allow and deny, and the smallest connections that show it. */
import {
  type AccessEnd,
  type AccessModel,
  type ConnectionExample,
  decide,
  findConnection,
  formatPortSet,
  type PortRangePart,
  reach,
} from "../access/index.ts";
import { portSetKey } from "../access/port-set.ts";
import type { DecisionContent } from "../decision.ts";
import { enforcedVerdict } from "../decision.ts";
import { type Direction, type PortMatch, PROTOCOL } from "../model.ts";
import type { PictureEdge, PictureNode } from "./model.ts";

const MAX_RULES = 100;
const MAX_REGIONS = 5_000;
const NOWHERE = { file: "", line: 1, column: 1, endLine: 1, endColumn: 1 };
const NAMED_PORTS: readonly PortMatch[] = [PROTOCOL.tcp, PROTOCOL.udp].map((protocol) => ({
  ...{ kind: "range", protocol, low: 1, high: 65_535, source: NOWHERE },
}));

export interface EdgeRule {
  readonly direction: Direction;
  readonly decision: DecisionContent;
  readonly from: string;
  readonly to: string;
  readonly ports: string;
}

export interface EdgeDetail {
  readonly allowing: readonly EdgeRule[];
  readonly denying: readonly EdgeRule[];
  /** How many more there are, at least. */
  readonly leftOut: number;
  /** The smallest connection that is let through, and the smallest that is not: where members differ, on a port that others have. */
  readonly allowed: ConnectionExample | null;
  readonly denied: ConnectionExample | null;
}

/** The members of a node, or the addresses that it means. */
export function endOfNode({ members, regions }: Pick<PictureNode, "members" | "regions">): AccessEnd {
  return members.length > 0 ? { kind: "keys", keys: members.map(({ key }) => key) } : { kind: "outside", regions };
}

export function detailOf(
  model: AccessModel,
  source: PictureNode,
  destination: PictureNode,
  edge: PictureEdge,
): EdgeDetail {
  const question = { from: endOfNode(source), to: endOfNode(destination) };
  const { rows, leftOut } = reach(model, { ...question, limit: MAX_RULES });
  const allowing = new Map<string, EdgeRule>();
  for (const { from, to, ports, ...sides } of rows) {
    const text = formatPortSet(ports);
    for (const direction of ["egress", "ingress"] as const) {
      const decision = sides[direction];
      const key = [direction, decision.id, from.text, to.text, text].join("\n");
      allowing.set(key, { direction, decision, from: from.text, to: to.text, ports: text });
    }
  }
  const denying = denyingRules(model, question, source.name, destination.name);
  const findOn = (verdict: "allow" | "deny", ports: readonly PortMatch[] | null) =>
    findConnection(model, { ...question, ports }, ({ enforced }) => enforced === verdict);
  // Port 0 would be the smallest, and tells nobody anything.
  const find = (verdict: "allow" | "deny") => findOn(verdict, NAMED_PORTS) ?? findOn(verdict, null);
  const among = edge.draft.access === "some-members" ? matchesOf(edge.draft.ports) : null;
  return {
    allowing: [...allowing.values()].slice(0, MAX_RULES),
    denying: denying.slice(0, MAX_RULES),
    leftOut: leftOut + Math.max(0, allowing.size - MAX_RULES) + Math.max(0, denying.length - MAX_RULES),
    allowed: find("allow"),
    denied: (among && findOn("deny", among)) ?? find("deny"),
  };
}

/** `null` = they cannot be listed: almost every protocol is among them. */
function matchesOf(parts: readonly PortRangePart[]): readonly PortMatch[] | null {
  const matches = parts.flatMap(({ protocol, low, high }): PortMatch[] =>
    protocol === null ? [] : [{ kind: "range", protocol, low, high, source: NOWHERE }],
  );
  return matches.length === parts.length ? matches : null;
}

function denyingRules(
  model: AccessModel,
  question: { readonly from: AccessEnd; readonly to: AccessEnd },
  from: string,
  to: string,
): readonly EdgeRule[] {
  const found = new Map<
    string,
    { direction: Direction; decision: DecisionContent; ports: Map<string, PortRangePart> }
  >();
  let regions = 0;
  for (const region of decide(model, { ...question, ports: null })) {
    if (++regions > MAX_REGIONS) break;
    for (const { egress, ingress, reported: _, enforced, ...part } of region.ports) {
      if (enforced === "allow") continue;
      for (const [direction, decision] of [["egress", egress] as const, ["ingress", ingress] as const]) {
        if (enforcedVerdict(decision) === "allow") continue;
        const key = `${direction} ${decision.id}`;
        const rule = found.get(key) ?? { direction, decision, ports: new Map<string, PortRangePart>() };
        found.set(key, rule);
        rule.ports.set(portSetKey([part]), part);
      }
    }
  }
  return [...found.values()].map(({ direction, decision, ports }) => ({
    ...{ direction, decision, from, to },
    ports: formatPortSet([...ports.values()]),
  }));
}
