/** The views of a world's subjects: those that are asked the same share one. */
import { createPolicySelector, type Plan, planSubject, type SubjectPlan } from "../compile/plan.ts";
import type { UnitTable } from "../compile/units.ts";
import { hostEndpoint, sharesHostNetwork } from "../endpoints.ts";
import type { Direction, Endpoint, Inventory, Policy, PolicyRule, PolicyWorld } from "../model.ts";
import { orderPolicies } from "../order.ts";
import { expandRule, type RuleTerms, termsFor, unitsOfHost } from "./terms.ts";
import { type BoundPlan, SubjectView, type ViewContext } from "./view.ts";

export type SubjectViews = Readonly<Record<Direction, SubjectView>>;

interface Subject {
  readonly endpoint: Endpoint;
  /** Its host, where the host's policies apply too. */
  readonly sharedHost: Endpoint | null;
}

export class SubjectTable {
  readonly #inventory: Inventory;
  readonly #units: UnitTable;
  readonly #context: ViewContext;
  readonly #policies: readonly Policy[];
  readonly #select: (endpoint: Endpoint) => Selection;
  readonly #hosts = new Map<string, Endpoint>();
  readonly #ruleTerms = new Map<PolicyRule, RuleTerms>();
  readonly #ruleNumbers = new Map<PolicyRule, number>();
  readonly #plans = new Map<string, PlannedGroup>();
  readonly #views = new Map<string, SubjectView>();
  readonly #ofEndpoint = new Map<Endpoint, SubjectViews>();
  #outside: SubjectViews | null = null;

  /** Finds the views of every endpoint, so that `units` knows every address that counts. */
  constructor(world: PolicyWorld, units: UnitTable, context: ViewContext) {
    this.#inventory = world.inventory;
    this.#units = units;
    this.#context = context;
    this.#policies = orderPolicies(world.policies);
    this.#select = createSelection(world.inventory, this.#policies);
    for (const endpoint of world.inventory.endpoints)
      if (endpoint.kind === "host") this.#hosts.set(endpoint.name, endpoint);
    for (const endpoint of world.inventory.endpoints) this.#ofEndpoint.set(endpoint, this.#viewsFor(endpoint));
  }

  /** `null` = an address that belongs to nobody: nothing restricts it. */
  views(endpoint: Endpoint | null): SubjectViews {
    if (endpoint !== null) {
      const known = this.#ofEndpoint.get(endpoint);
      if (!known) throw new Error(`${endpoint.key} is not of this world`);
      return known;
    }
    const unrestricted = (direction: Direction): SubjectView => {
      const plan = { direction, rules: [], isolating: [] };
      return new SubjectView({ plan, terms: [] }, null, this.#context);
    };
    this.#outside ??= { ingress: unrestricted("ingress"), egress: unrestricted("egress") };
    return this.#outside;
  }

  #hostOf(name: string): Endpoint {
    const host = this.#hosts.get(name) ?? hostEndpoint(this.#inventory, name);
    this.#hosts.set(name, host);
    return host;
  }

  #viewsFor(endpoint: Endpoint): SubjectViews {
    const isShared = sharesHostNetwork(endpoint) && endpoint.hostName !== null;
    const subject = { endpoint, sharedHost: isShared ? this.#hostOf(endpoint.hostName) : null };
    const group = this.#planned(subject);
    return { ingress: this.#view(group, subject, "ingress"), egress: this.#view(group, subject, "egress") };
  }

  /** Subjects that the same policies select are planned once; owners in the plan are those of the first. */
  #planned(subject: Subject): PlannedGroup {
    const own = this.#select(subject.endpoint);
    const inherited = subject.sharedHost === null ? null : this.#select(subject.sharedHost);
    const key = `${own.key}/${inherited?.key ?? "alone"}`;
    const known = this.#plans.get(key);
    if (known) return known;
    const numbers = [...new Set([...own.numbers, ...(inherited?.numbers ?? [])])].sort((left, right) => left - right);
    const policies = numbers.flatMap((number) => this.#policies[number] ?? []);
    const selected = (endpoint: Endpoint) => (endpoint === subject.endpoint ? own : (inherited ?? own)).policies;
    const plans = planSubject(selected, policies, { endpoint: subject.endpoint, host: subject.sharedHost });
    const group = { first: subject, ingress: this.#summarise(plans.ingress), egress: this.#summarise(plans.egress) };
    this.#plans.set(key, group);
    return group;
  }

  #summarise(plan: SubjectPlan): PlannedDirection {
    const rules = [plan.enforced, plan.all].flatMap((one) => one?.rules ?? []);
    const terms = rules.map(({ rule }) => this.#termsOf(rule));
    return {
      plan,
      text: planText(plan, (rule) => this.#numberOf(rule)),
      asksForPorts: terms.some(({ ownNames }) => ownNames.length > 0),
      asksForHost: terms.some(({ asksForHost }) => asksForHost),
    };
  }

  #view(group: PlannedGroup, subject: Subject, direction: Direction): SubjectView {
    const planned = group[direction];
    const key = [
      planned.text,
      planned.asksForPorts ? ownersText(planned.plan, group.first, subject) : "",
      planned.asksForHost ? (subject.endpoint.hostName ?? "") : "",
    ].join("\n");
    const known = this.#views.get(key);
    if (known) return known;
    const { hostName } = subject.endpoint;
    const hostUnits = planned.asksForHost && hostName !== null ? unitsOfHost(this.#hostOf(hostName), this.#units) : [];
    const bind = (plan: Plan): BoundPlan => ({
      plan,
      terms: plan.rules.map(({ rule, owners }) =>
        termsFor(this.#termsOf(rule), ownersFor(owners, group.first, subject), hostUnits),
      ),
    });
    const { enforced, all } = planned.plan;
    const view = new SubjectView(bind(enforced), all && bind(all), this.#context);
    this.#views.set(key, view);
    return view;
  }

  #termsOf(rule: PolicyRule): RuleTerms {
    const terms = this.#ruleTerms.get(rule) ?? expandRule(rule, this.#units);
    this.#ruleTerms.set(rule, terms);
    return terms;
  }

  #numberOf(rule: PolicyRule): number {
    const number = this.#ruleNumbers.get(rule) ?? this.#ruleNumbers.size;
    this.#ruleNumbers.set(rule, number);
    return number;
  }
}

interface PlannedDirection {
  readonly plan: SubjectPlan;
  /** Equal texts = the same rules and the same isolation. */
  readonly text: string;
  readonly asksForPorts: boolean;
  readonly asksForHost: boolean;
}

interface PlannedGroup extends Record<Direction, PlannedDirection> {
  readonly first: Subject;
}

interface Selection {
  readonly key: string;
  /** Places in canonical order, ascending. */
  readonly numbers: readonly number[];
  readonly policies: ReadonlySet<Policy>;
}

/** Endpoints of one kind, namespace and label set are asked about once. */
function createSelection(inventory: Inventory, policies: readonly Policy[]): (endpoint: Endpoint) => Selection {
  const numberOf = new Map(policies.map((policy, number) => [policy, number]));
  const select = createPolicySelector(inventory, policies);
  const known = new Map<string, Selection>();
  return (endpoint) => {
    const labels = [...endpoint.labels].map(([key, value]) => `${key}=${value}`).sort();
    const name = JSON.stringify([endpoint.kind, endpoint.namespace, ...labels]);
    let selection = known.get(name);
    if (!selection) {
      const selecting = select(endpoint);
      const numbers = [...selecting].map((policy) => numberOf.get(policy) ?? -1).sort((left, right) => left - right);
      selection = { key: numbers.join(), numbers, policies: selecting };
      known.set(name, selection);
    }
    return selection;
  };
}

function planText(plan: SubjectPlan, numberOf: (rule: PolicyRule) => number): string {
  const text = (one: Plan): string => {
    const rules = one.rules.map(({ rule, owners }) => `${numberOf(rule)}${owners.length > 1 ? "+" : ""}`).join();
    return `${one.direction} ${rules} ${one.isolating.map((policy) => policy.key).join()}`;
  };
  return `${text(plan.enforced)}|${plan.all === null ? "" : text(plan.all)}`;
}

/** The owners of a plan made for the first subject of a group, as they are for this one. */
function ownersFor(owners: readonly Endpoint[], first: Subject, subject: Subject): readonly Endpoint[] {
  return owners.map((owner) => (owner === first.endpoint ? subject.endpoint : (subject.sharedHost ?? owner)));
}

/** Equal texts = port names that the plan's rules ask for stand for the same numbers. */
function ownersText(plan: SubjectPlan, first: Subject, subject: Subject): string {
  const rules = [plan.enforced, plan.all].flatMap((one) => one?.rules ?? []);
  const whose = rules.map(({ owners }) => owners.map((owner) => (owner === first.endpoint ? "o" : "h")).join(""));
  return (
    [subject.endpoint, ...(subject.sharedHost ? [subject.sharedHost] : [])].map(portsText).join("&") + whose.join()
  );
}

function portsText(endpoint: Endpoint): string {
  return endpoint.ports
    .map(({ name, protocol, port }) => `${name}/${protocol}=${port}`)
    .sort()
    .join();
}
