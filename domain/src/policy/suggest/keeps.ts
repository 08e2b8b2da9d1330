/** The test that goes with a suggestion: what was seen must stay allowed, whoever edits the policies later. */
import { formatCidr } from "../address.ts";
import { NAMESPACE_NAME_LABEL } from "../labels.ts";
import type { LabelGroup } from "../simulate/label-groups.ts";
import { selectorValue, type TestCaseText, testText } from "./document.ts";
import { hostPrefix, type SuggestedPorts } from "./generalize.ts";
import type { Observation, ObservedEnd } from "./observations.ts";
import { selectorOf } from "./selectors.ts";
import type { YamlValue } from "./yaml-text.ts";

/** Busiest first; more would make a file that nobody reads. */
const MAX_CASES = 200;
const MAX_PORTS = 100;

export interface KeepsInput {
  readonly name: string;
  readonly group: LabelGroup;
  readonly groups: readonly LabelGroup[];
  readonly groupOf: ReadonlyMap<string, LabelGroup>;
  readonly learned: ReadonlySet<Observation>;
}

interface Case {
  readonly from: YamlValue;
  readonly to: YamlValue;
  readonly ports: Map<string, SuggestedPorts>;
  flows: number;
}

/**
 * One case for each pair of addresses. Where several endpoints share an address, the group stands for it if it is one
 * endpoint, so that the case is about that one; else there is no case.
 */
export function keepsText(input: KeepsInput): string | null {
  const cases = new Map<string, Case>();
  for (const observation of input.learned) {
    const from = endValue(observation.source, input);
    const to = endValue(observation.destination, input);
    if (from === null || to === null) continue;
    const key = JSON.stringify([from, to]);
    const known = cases.get(key) ?? { from, to, ports: new Map(), flows: 0 };
    const { protocol, port } = observation;
    if (known.ports.size < MAX_PORTS) known.ports.set(`${protocol} ${port}`, { protocol, low: port, high: port });
    known.flows += observation.flows;
    cases.set(key, known);
  }
  const busiest = [...cases.values()].sort((left, right) => right.flows - left.flows);
  if (busiest.length === 0) return null;
  const left = busiest.length - MAX_CASES;
  const rest = left > 0 ? ` ${left} less busy pairs have no case.` : "";
  return testText(
    input.name,
    input.group.namespace,
    `What was seen of ${input.group.text} must stay allowed.${rest}`,
    busiest.slice(0, MAX_CASES).map(
      ({ from, to, ports, flows }): TestCaseText => ({
        from,
        to,
        ports: [...ports.values()],
        because: `Seen ${flows} times before the policy was suggested.`,
      }),
    ),
  );
}

function endValue({ address, key, isShared }: ObservedEnd, { groups, groupOf }: KeepsInput): YamlValue | null {
  if (!isShared) return { ipBlock: { cidr: formatCidr(hostPrefix(address)) } };
  const group = key === null ? undefined : groupOf.get(key);
  if (!group || group.members.length > 1) return null;
  const { selector, alsoPicks } = selectorOf(group, groups);
  if (alsoPicks.length > 0) return null;
  return {
    selector: selectorValue(selector),
    namespaceSelector: { matchLabels: { [NAMESPACE_NAME_LABEL]: group.namespace } },
  };
}
