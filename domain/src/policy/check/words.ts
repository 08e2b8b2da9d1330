/** How the checks name places, rules and packets in their sentences. */
import { ruleLabel } from "../decision.ts";
import { describePort } from "../evaluate-match.ts";
import type { Direction, Endpoint, Policy, PolicyRule, SourceRange } from "../model.ts";

const MAX_NAMES = 3;

/** `policies/web.yaml:12`. */
export function placeOf({ file, line }: SourceRange): string {
  return `${file}:${line}`;
}

/** `NetworkPolicy/default/web, ingress[0] (web.yaml:12)`. */
export function nameRule(policy: Policy, rule: PolicyRule): string {
  return `${policy.key}, ${ruleLabel(rule)} (${placeOf(rule.source)})`;
}

export function namePolicy(policy: Policy): string {
  return `${policy.key} (${placeOf(policy.source)})`;
}

/** At most three of them, and how many more there are. */
export function listNames(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES);
  if (names.length > MAX_NAMES) return `${shown.join(", ")} and ${names.length - MAX_NAMES} more`;
  return shown.length > 1 ? `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}` : (shown[0] ?? "");
}

/** `Host/a, Host/b, Host/c and 4 more`. */
export function namesOf(endpoints: readonly Endpoint[]): string {
  return listNames(endpoints.map(({ key }) => key));
}

/** `Host/web-1 in from 10.0.0.1 on 22/tcp`. */
export function describeExample(
  subject: Endpoint,
  direction: Direction,
  remote: string,
  service: { readonly protocol: number; readonly port: number },
): string {
  const way = direction === "ingress" ? "in from" : "out to";
  return `${subject.key} ${way} ${remote} on ${describePort(service.protocol, service.port)}`;
}
