/**
 * Decides many flows over a whole fleet. A program is one host's tables; a fleet of a thousand hosts would need a
 * thousand of them, most for a handful of flows. So each subject is planned once, as the compiler does it, and the plan's
 * rules are asked with remembered answers about peers. What comes out equals `evaluate`, down to the decision.
 */
import { builtinDecision } from "../builtin.ts";
import {
  createPolicySelector,
  type Plan,
  type PlanRule,
  type PolicySelector,
  planSubject,
  type SubjectPlan,
} from "../compile/plan.ts";
import {
  builtinDecisionContent,
  type DecisionContent,
  isolatedDecision,
  mergeObserved,
  notIsolatedDecision,
  ruleDecision,
} from "../decision.ts";
import { hostEndpoint, sharesHostNetwork } from "../endpoints.ts";
import { type Direction, type Endpoint, type Policy, type PolicyWorld, PROTOCOL } from "../model.ts";
import { orderPolicies } from "../order.ts";
import { AddressBook, type RemoteEnd } from "./address-book.ts";
import { PeerMatcher } from "./peer-matcher.ts";
import { PlanTable, SelectorTable } from "./plan-table.ts";

const MAX_REMEMBERED_REMOTES = 100_000;
const MAX_REMEMBERED_RULES = 500_000;
/** Plans with more rules remember which of them have an end among their peers. */
const FEW_RULES = 64;

/** What one end of a connection is asked: its own address, the other end's, protocol and port as in `PolicyFlow`. */
export interface EndQuestion {
  readonly subjectKey: string | null;
  readonly direction: Direction;
  /** Canonical. */
  readonly local: string;
  readonly remote: RemoteEnd;
  readonly protocol: number;
  readonly port: number;
}

type SubjectPlans = Record<Direction, SubjectPlan>;

export class WorldJudge {
  readonly addresses: AddressBook;
  readonly #world: PolicyWorld;
  readonly #policies: readonly Policy[];
  readonly #selector: PolicySelector;
  readonly #rank: ReadonlyMap<Policy, number>;
  readonly #matcher: PeerMatcher;
  readonly #plans = new Map<string, SubjectPlans>();
  readonly #remotes = new Map<string, RemoteEnd | null>();
  readonly #ruleDecisions = new Map<PlanRule["rule"], DecisionContent>();
  readonly #isolated = new Map<Plan, DecisionContent>();
  readonly #selectors: SelectorTable;
  readonly #tables = new Map<Plan, PlanTable>();
  /** By number of the other end. */
  readonly #rules = new Map<Plan, Map<number, Int32Array>>();
  #rememberedRules = 0;

  /** Throws `POLICY_UNSUPPORTED` as `orderPolicies`. */
  constructor(world: PolicyWorld) {
    this.#world = world;
    this.#policies = orderPolicies(world.policies);
    this.#rank = new Map(this.#policies.map((policy, rank) => [policy, rank]));
    this.#selector = createPolicySelector(world.inventory, this.#policies);
    this.addresses = new AddressBook(world.inventory);
    this.#matcher = new PeerMatcher(world.inventory);
    this.#selectors = new SelectorTable(world.inventory);
  }

  /** `null` when the text is no address. */
  remote(text: string): RemoteEnd | null {
    let remote = this.#remotes.get(text);
    if (remote === undefined) {
      if (this.#remotes.size >= MAX_REMEMBERED_REMOTES) this.#remotes.clear();
      remote = this.addresses.remote(text);
      this.#remotes.set(text, remote);
    }
    return remote;
  }

  /** As the directions of `evaluate`. A key that starts with `Host/` is known even when no document declares it. */
  decide(question: EndQuestion): DecisionContent {
    const { subjectKey, direction, local, remote, protocol, port } = question;
    if (mayBeBuiltin(question)) {
      const builtin = builtinDecision({ remote: remote.address, local, protocol, port });
      if (builtin !== null) return builtinDecisionContent(builtin);
    }
    if (subjectKey === null) return NOT_ISOLATED[direction];
    const { enforced, all } = this.#plansOf(subjectKey)[direction];
    const byEnforced = this.#walk(enforced, remote, protocol, port);
    return all === null ? byEnforced : mergeObserved(byEnforced, this.#walk(all, remote, protocol, port));
  }

  #plansOf(subjectKey: string): SubjectPlans {
    let plans = this.#plans.get(subjectKey);
    if (!plans) {
      const endpoint = this.addresses.endpoint(subjectKey) ?? this.#undeclaredHost(subjectKey);
      const sharedHost = sharesHostNetwork(endpoint) ? this.#hostOf(endpoint) : null;
      const selecting = new Set(this.#selector(endpoint));
      if (sharedHost) for (const policy of this.#selector(sharedHost)) selecting.add(policy);
      const selected = [...selecting].sort((left, right) => (this.#rank.get(left) ?? 0) - (this.#rank.get(right) ?? 0));
      plans = planSubject(this.#selector, selected, { endpoint, host: sharedHost });
      this.#plans.set(subjectKey, plans);
    }
    return plans;
  }

  #hostOf({ hostName }: Endpoint): Endpoint | null {
    if (hostName === null) return null;
    return this.addresses.endpoint(`Host/${hostName}`) ?? hostEndpoint(this.#world.inventory, hostName);
  }

  #undeclaredHost(subjectKey: string): Endpoint {
    if (!subjectKey.startsWith("Host/")) throw new Error(`${subjectKey} is not in the inventory`);
    return hostEndpoint(this.#world.inventory, subjectKey.slice("Host/".length));
  }

  /** The rules in canonical order; a pass leads to the next tier, and isolation comes between application and baseline. */
  #walk(plan: Plan, remote: RemoteEnd, protocol: number, port: number): DecisionContent {
    const table = this.#tableOf(plan);
    const some = table.size > FEW_RULES ? this.#rulesFor(plan, table, remote) : null;
    const count = some === null ? table.size : some.length;
    let passedTier: string | null = null;
    for (let index = 0; index < count; index++) {
      const number = some === null ? index : some[index]!;
      if (!table.matches(number, remote, protocol, port)) continue;
      const planned = plan.rules[number]!;
      const { policy, rule } = planned;
      if (policy.tier === passedTier) continue;
      if (policy.tier === "baseline" && plan.isolating.length > 0) break;
      if (rule.action !== "pass") return this.#ruleDecision(planned);
      passedTier = policy.tier;
    }
    return plan.isolating.length > 0 ? this.#isolatedDecision(plan) : NOT_ISOLATED[plan.direction];
  }

  #tableOf(plan: Plan): PlanTable {
    let table = this.#tables.get(plan);
    if (!table) {
      table = new PlanTable(plan, this.#matcher, this.#selectors);
      this.#tables.set(plan, table);
    }
    return table;
  }

  /** The rules of a plan that have the other end among their peers. */
  #rulesFor(plan: Plan, table: PlanTable, remote: RemoteEnd): Int32Array {
    let byRemote = this.#rules.get(plan);
    if (!byRemote) {
      byRemote = new Map();
      this.#rules.set(plan, byRemote);
    }
    let rules = byRemote.get(remote.number);
    if (!rules) {
      const found: number[] = [];
      for (let rule = 0; rule < table.size; rule++) if (table.hasPeer(rule, remote)) found.push(rule);
      rules = Int32Array.from(found);
      if (this.#rememberedRules++ >= MAX_REMEMBERED_RULES) {
        this.#rules.clear();
        this.#rememberedRules = 0;
      } else byRemote.set(remote.number, rules);
    }
    return rules;
  }

  #ruleDecision({ policy, rule }: PlanRule): DecisionContent {
    let decision = this.#ruleDecisions.get(rule);
    if (!decision) {
      decision = ruleDecision(policy, rule);
      this.#ruleDecisions.set(rule, decision);
    }
    return decision;
  }

  #isolatedDecision(plan: Plan): DecisionContent {
    let decision = this.#isolated.get(plan);
    if (!decision) {
      decision = isolatedDecision(plan.isolating, plan.direction);
      this.#isolated.set(plan, decision);
    }
    return decision;
  }
}

/** Never wrong when it says no: loopback, traffic of an address with itself, and ICMP are left to `builtinDecision`. */
function mayBeBuiltin({ remote, local, protocol }: EndQuestion): boolean {
  const { family, bytes } = remote;
  const mayBeLoopback = family === 4 ? bytes[0] === 127 : bytes[0] === 0 && bytes[15] === 1;
  return mayBeLoopback || remote.address === local || protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6;
}

const NOT_ISOLATED: Readonly<Record<Direction, DecisionContent>> = {
  ingress: notIsolatedDecision("ingress"),
  egress: notIsolatedDecision("egress"),
};
