/** What a script that is loaded once cannot do, whatever its language. */
import { hostEndpoint } from "../endpoints.ts";
import { endpointMatches } from "../labels.ts";
import type { Policy, PolicyWorld } from "../model.ts";
import type { Decision, HostProgram } from "../program.ts";
import { type Refusal, refusalsOf } from "./emission.ts";
import { type ClassRules, decisionsOf } from "./port-rules.ts";
import { classOfAtom, HOST_SET } from "./regions.ts";

const DIRECTIONS = ["ingress", "egress"] as const;

/** Policies of a host whose meaning changes with time, while a script stays as it is. */
export function refuseChanging(world: PolicyWorld, hostName: string): readonly Refusal[] {
  const { endpoints, namespaces } = world.inventory;
  const workloads = endpoints.filter((endpoint) => endpoint.hostName === hostName && endpoint.match !== null);
  const subjects = [hostEndpoint(world.inventory, hostName), ...workloads];
  const applies = ({ subject }: Policy): boolean =>
    subjects.some((endpoint) => endpointMatches(subject, endpoint, namespaces));
  return world.policies.filter(applies).flatMap((policy) => {
    const about = { policyKey: policy.key, rule: null, source: policy.source };
    const byName = policy.rules.flatMap((rule) =>
      (rule.peers ?? []).flatMap((peer) =>
        peer.kind === "domains"
          ? [{ ...about, source: peer.source, message: "It names domains, whose addresses a script cannot follow." }]
          : [],
      ),
    );
    const expires =
      policy.expiresAtUnixMs === null ? [] : [{ ...about, message: "It expires, and a script does not." }];
    return [...expires, ...byName];
  });
}

/**
 * Workloads that are treated otherwise than their host. Their processes are found by cgroup, which rule languages bind
 * once when they are loaded: after a restart of the service the rules would silently apply to nobody.
 */
export function refuseWorkloads(program: HostProgram, rules: ReadonlyMap<number, ClassRules>): readonly Refusal[] {
  const atoms = new Set([0, ...program.addresses4, ...program.addresses6].map((entry) => atomOf(entry)));
  return program.sets.flatMap((set) => {
    if (set.id === HOST_SET) return [];
    const differing = new Set<Decision>();
    for (const direction of DIRECTIONS) {
      const own = classOfAtom(program, set.id, direction);
      const hosts = classOfAtom(program, HOST_SET, direction);
      for (const atom of atoms) {
        if (own(atom) === hosts(atom)) continue;
        for (const decision of differenceOf(rules.get(own(atom)), rules.get(hosts(atom)))) differing.add(decision);
      }
    }
    if (differing.size === 0) return [];
    const message = `${set.endpointKey} would be treated otherwise than its host, and a script cannot tell its processes from others.`;
    return refusalsOf(differing, message);
  });
}

function atomOf(entry: number | { readonly atom: number }): number {
  return typeof entry === "number" ? entry : entry.atom;
}

/** Decisions that only one of the classes has; all of both when they have the same ones at different places. */
function differenceOf(one: ClassRules | undefined, other: ClassRules | undefined): ReadonlySet<Decision> {
  if (!one || !other) throw new Error("every class has rules");
  const [left, right] = [decisionsOf(one), decisionsOf(other)];
  const difference = [...left, ...right].filter((decision) => left.has(decision) !== right.has(decision));
  return new Set(difference.length > 0 ? difference : [...left, ...right]);
}
