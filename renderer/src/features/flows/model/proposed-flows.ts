/** What the console is asked to make a rule or a test of: connections, each once. */

import type { Flow } from "@wardline/api/wardline/v1/flow";
import type { FlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { flowVerdict } from "../../../data/flow-buffer.ts";

/** What a live flow and a record of the history have in common. */
export type ProposedFlow = Pick<
  Flow | FlowRecord,
  | "sourceAddress"
  | "destinationAddress"
  | "subjectKey"
  | "protocol"
  | "destinationPort"
  | "direction"
  | "verdict"
  | "enforced"
>;

/** That many can be taken into one proposal. */
export const MOST_PROPOSED = 100;

/** Of a connection that was refused before it had an address of its own. */
const UNCHOSEN: ReadonlySet<string> = new Set(["", "0.0.0.0", "::"]);

export function seenFlow(flow: ProposedFlow) {
  const { sourceAddress, destinationAddress, subjectKey, protocol, destinationPort, direction } = flow;
  // The subject is the end on the host: whom it talks to is nobody's guess.
  const isIngress = direction === Direction.INGRESS;
  const from = UNCHOSEN.has(sourceAddress) && !isIngress ? subjectKey : sourceAddress;
  const to = destinationAddress === "" && isIngress ? subjectKey : destinationAddress;
  return { from, to, subjectKey, protocol, port: destinationPort, direction };
}

/** The connections of rows, each once. Rows of sums that have lost an end are none. */
export function distinctFlows(flows: readonly ProposedFlow[]): readonly ReturnType<typeof seenFlow>[] {
  const seen = new Map<string, ReturnType<typeof seenFlow>>();
  for (const flow of flows) {
    const one = seenFlow(flow);
    if (one.from === "" || one.to === "") continue;
    seen.set(JSON.stringify(one), one);
  }
  return [...seen.values()];
}

/** What a test of these would expect; `null` = they were decided differently, so that no one test says it. */
export function commonVerdict(flows: readonly ProposedFlow[]): Verdict | null {
  const verdicts = new Set(flows.map((flow) => (flowVerdict(flow) === "allow" ? Verdict.ALLOW : Verdict.DENY)));
  const [only] = verdicts;
  return verdicts.size === 1 && only !== undefined ? only : null;
}
