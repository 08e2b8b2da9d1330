/** Results in words. */
import { formatPortSet } from "../access/index.ts";
import { type DecisionContent, describeDecision } from "../decision.ts";
import type { FlowEnd } from "../evaluation.ts";
import type { Direction, PolicyTest } from "../model.ts";
import type { Counterexample } from "./model.ts";

/** `shop/orders-are-safe[0]`: the test and the position of the case in it. */
export function testName(test: Pick<PolicyTest, "namespace" | "name">, index: number): string {
  return `${test.namespace}/${test.name}[${index}]`;
}

export function describeEnd({ endpointKey, address }: FlowEnd): string {
  return endpointKey === null ? address : `${endpointKey} (${address})`;
}

/** `Host/a (10.0.0.1) → Host/b (10.0.0.2) 80/tcp is allowed: …`, with the rules that decide and their files and lines. */
export function describeCounterexample({ connection, contradicts }: Counterexample): string {
  const { from, to, protocol, port, enforced, egress, ingress } = connection;
  const ports = formatPortSet([{ protocol, exceptProtocols: [], low: port, high: port }]);
  const word = enforced === "allow" ? "allowed" : "denied";
  const but = contradicts === "via" ? `${word} as expected, by something else` : word;
  const sides = (
    [
      ["egress", egress],
      ["ingress", ingress],
    ] as const
  ).filter(([, decision]) => decision.verdict === enforced);
  const named = sides.filter(([, decision]) => decision.reason !== "not-isolated");
  const why =
    named.length === 0
      ? "no policy restricts it"
      : named.map(([direction, decision]) => describeSide(direction, decision)).join(" and ");
  return `${describeEnd(from)} → ${describeEnd(to)} ${ports} is ${but}: ${why}`;
}

function describeSide(direction: Direction, decision: DecisionContent): string {
  const { source } = decision;
  const place = source === null || source.file === "" ? "" : ` (${source.file}:${source.line})`;
  return `${direction} ${describeDecision(decision, direction)}${place}`;
}
