import { compile } from "../compile/index.ts";
import { endpointByKey } from "../endpoints.ts";
import { evaluate } from "../evaluate.ts";
import type { DirectionEvaluation, Evaluation, FlowEnd, PolicyFlow } from "../evaluation.ts";
import { lookup } from "../lookup.ts";
import type { PolicyWorld } from "../model.ts";
import type { Decision, HostProgram } from "../program.ts";

/** Programs by world and host, so that many flows of one world compile it once. */
const programs = new WeakMap<PolicyWorld, Map<string, HostProgram>>();

function programOf(world: PolicyWorld, hostName: string): HostProgram {
  const known = programs.get(world) ?? new Map<string, HostProgram>();
  programs.set(world, known);
  const program = known.get(hostName) ?? compile(world, hostName);
  known.set(hostName, program);
  return program;
}

/** What the tables of the end's host decide; `null` for an end that no host of ours has a set for. */
export function lookupEnd(world: PolicyWorld, flow: PolicyFlow, direction: "ingress" | "egress"): Decision | null {
  const [end, other]: [FlowEnd, FlowEnd] = direction === "egress" ? [flow.from, flow.to] : [flow.to, flow.from];
  if (end.endpointKey === null) return null;
  const { hostName } = endpointByKey(world.inventory, end.endpointKey);
  if (hostName === null) return null;
  const program = programOf(world, hostName);
  const set = program.sets.find(({ endpointKey }) => endpointKey === end.endpointKey);
  if (!set) return null;
  const { protocol, port } = flow;
  return lookup(program, { set: set.id, direction, remote: other.address, local: end.address, protocol, port });
}

/** Asks the reference, and throws when the compiled tables of either end answer otherwise. */
export function evaluateByBothEngines(world: PolicyWorld, flow: PolicyFlow): Evaluation {
  const evaluation = evaluate(world, flow);
  for (const { direction, decision } of evaluation.directions) {
    const compiled = lookupEnd(world, flow, direction);
    if (compiled === null || sameDecision(compiled, decision)) continue;
    throw new Error(
      `the engines disagree on ${JSON.stringify(flow)}: ${direction} ${JSON.stringify(decision)} and ${JSON.stringify(compiled)}`,
    );
  }
  return evaluation;
}

function sameDecision(compiled: Decision, reference: DirectionEvaluation["decision"]): boolean {
  return (
    compiled.id === reference.id &&
    compiled.verdict === reference.verdict &&
    compiled.observeOnly === reference.observeOnly &&
    compiled.reason === reference.reason &&
    compiled.rule === reference.rule &&
    compiled.policyKeys.join() === reference.policyKeys.join()
  );
}
