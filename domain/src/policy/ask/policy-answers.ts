/** Answers about policies themselves: whom they select, which rules were never hit, who uses a port. */
import { ErrorCode, Failure } from "../../errors/index.ts";
import { formatPortSet, membersOf, reach } from "../access/index.ts";
import { describeDecision, ruleDecision, ruleLabel } from "../decision.ts";
import { hostEndpoint, sharesHostNetwork } from "../endpoints.ts";
import { endpointMatches, formatSelector } from "../labels.ts";
import type { Endpoint, Inventory, Policy, PolicyRule, PolicyWorld, PortMatch } from "../model.ts";
import { orderPolicies } from "../order.ts";
import type { Answer, AnswerRow, AskSources } from "./answer.ts";
import { modelOf } from "./model-book.ts";
import type { AskSubject, Question } from "./question.ts";
import { listed } from "./reach-answers.ts";

const DEFAULT_ROWS = 100;

function listAnswer(
  question: Question,
  rows: readonly AnswerRow[],
  sources: AskSources,
  parts: Partial<Answer> & Pick<Answer, "sentence">,
): Answer {
  const limit = sources.limit ?? DEFAULT_ROWS;
  return {
    question,
    verdict: "list",
    notes: [],
    examples: [],
    flowQuery: null,
    rows: rows.slice(0, limit),
    rowsLeftOut: Math.max(0, rows.length - limit),
    ...parts,
  };
}

const EMPTY_ROW = { from: "", to: "", ports: "", reasons: [], key: "", rule: "", detail: "", source: null };

/** Whether anything of the policy is asked about the endpoint's connections in that direction. */
function restricts(policy: Policy, direction: "ingress" | "egress"): boolean {
  if (policy.tier === "application") return policy.isolates[direction];
  return policy.rules.some((rule) => rule.direction === direction);
}

/** Of a workload without addresses of its own, its host's policies are asked too. */
function selects(inventory: Inventory, policy: Policy, endpoint: Endpoint): boolean {
  if (endpointMatches(policy.subject, endpoint, inventory.namespaces)) return true;
  const shares = sharesHostNetwork(endpoint) && endpoint.hostName !== null;
  return (
    shares && endpointMatches(policy.subject, hostEndpoint(inventory, endpoint.hostName ?? ""), inventory.namespaces)
  );
}

export function answerNoPolicy(question: Extract<Question, { kind: "no-policy" }>, sources: AskSources): Answer {
  const { inventory, policies } = sources.world;
  const directions = question.direction === null ? (["ingress", "egress"] as const) : [question.direction];
  const counted = policies.filter(
    (policy) =>
      policy.tier !== "safety" &&
      policy.mode === "enforce" &&
      directions.some((direction) => restricts(policy, direction)),
  );
  const observing = policies.filter(({ mode }) => mode === "observe");
  const without = inventory.endpoints.filter(
    (endpoint) => !counted.some((policy) => selects(inventory, policy, endpoint)),
  );
  const what = question.direction === null ? "policy" : `${question.direction} policy`;
  const total = inventory.endpoints.length;
  const rows = without.map((endpoint): AnswerRow => {
    const observed = observing.filter((policy) => selects(inventory, policy, endpoint)).map(({ key }) => key);
    const detail = observed.length > 0 ? `only observed by ${listed(observed, 3)}` : labelsOf(endpoint);
    return { ...EMPTY_ROW, kind: "endpoint", key: endpoint.key, detail, source: endpoint.source };
  });
  const sentence =
    total === 0
      ? "The inventory is empty, so there is nothing that a policy could select."
      : without.length === 0
        ? `Everything has ${question.direction === null ? "a" : "an"} ${what}: ${total.toLocaleString("en")} of ${total.toLocaleString("en")} hosts and workloads.`
        : `${without.length.toLocaleString("en")} of ${total.toLocaleString("en")} hosts and workloads have no ${what} in force.`;
  return listAnswer(question, rows, sources, { sentence });
}

function labelsOf({ labels }: Endpoint): string {
  return [...labels].map(([key, value]) => `${key}=${value}`).join(", ");
}

export function answerSelectedBy(question: Extract<Question, { kind: "selected-by" }>, sources: AskSources): Answer {
  const { inventory } = sources.world;
  const members = endpointsOf(question.subject, sources.world);
  const { subject } = question;
  if (members.length === 0) {
    return {
      ...listAnswer(question, [], sources, {
        sentence: `${subject.text} means no host or workload, and policies select nothing else.`,
      }),
      verdict: "nobody",
    };
  }
  const rows = orderPolicies(sources.world.policies).flatMap((policy): AnswerRow[] => {
    const selected = members.filter((endpoint) => selects(inventory, policy, endpoint));
    if (selected.length === 0) return [];
    const some =
      selected.length < members.length
        ? `${selected.length} of ${members.length}: ${listed(
            selected.map(({ key }) => key),
            3,
          )}`
        : "";
    const detail = [
      policy.tier,
      policy.mode === "observe" ? "observe mode" : "",
      formatSelector(policy.subject.endpoints),
      some,
    ]
      .filter(Boolean)
      .join(" · ");
    return [{ ...EMPTY_ROW, kind: "policy", key: policy.key, detail, source: policy.source }];
  });
  const sentence =
    rows.length === 0
      ? `No policy selects ${subject.text}.`
      : `${rows.length === 1 ? "1 policy selects" : `${rows.length} policies select`} ${subject.text}, in the order in which they are asked.`;
  return listAnswer(question, rows, sources, { sentence });
}

function endpointsOf(subject: AskSubject, world: PolicyWorld): readonly Endpoint[] {
  const model = modelOf(world);
  const keys = new Set(
    subject.ends.flatMap((end) => {
      const { endpoints, withoutAddress } = membersOf(model, end);
      return [...endpoints, ...withoutAddress];
    }),
  );
  return world.inventory.endpoints.filter(({ key }) => keys.has(key));
}

export function answerNeverHit(question: Extract<Question, { kind: "never-hit" }>, sources: AskSources): Answer {
  if (!sources.counters) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "Only a host counts what its rules decide.",
      hint: "Ask about what a host enforces.",
    });
  }
  const counters = sources.counters();
  const rules = orderPolicies(sources.world.policies)
    .filter(({ tier }) => tier !== "safety")
    .flatMap((policy) => policy.rules.map((rule) => ({ policy, rule, decision: ruleDecision(policy, rule) })));
  const counted = rules.filter(({ rule }) => rule.action !== "pass");
  // Two rules that say the same share a counter, and of these only the first ever decides.
  const never = counted.filter(({ decision }) => (counters.get(decision.id)?.packets ?? 0n) === 0n);
  const rows = never.map(
    ({ policy, rule, decision }): AnswerRow => ({
      ...EMPTY_ROW,
      kind: "rule",
      key: policy.key,
      rule: ruleLabel(rule),
      detail: describeDecision(decision, rule.direction),
      source: rule.source,
    }),
  );
  const notes = [
    "A host counts since its programs were loaded, and only what happens there: a rule for other hosts is never hit on this one.",
  ];
  if (counted.length < rules.length) notes.push("Rules that pass on decide nothing by themselves and are not listed.");
  const sentence =
    counted.length === 0
      ? "There are no rules."
      : never.length === 0
        ? `All ${counted.length} rules were hit.`
        : `${never.length.toLocaleString("en")} of ${counted.length.toLocaleString("en")} rules were never hit here.`;
  return listAnswer(question, rows, sources, { sentence, notes });
}

export function answerUsesPort(question: Extract<Question, { kind: "uses-port" }>, sources: AskSources): Answer {
  const { world } = sources;
  const { ports } = question;
  const rules = orderPolicies(world.policies).flatMap((policy) =>
    policy.rules.filter((rule) => namesPorts(rule, ports.matches)).map((rule) => ({ policy, rule })),
  );
  const ruleRows = rules.map(({ policy, rule }): AnswerRow => {
    const detail = `${rule.action} ${rule.direction}${policy.mode === "observe" ? ", observed" : ""}`;
    return { ...EMPTY_ROW, kind: "rule", key: policy.key, rule: ruleLabel(rule), detail, source: rule.source };
  });
  sources.checkpoint?.();
  const limit = sources.limit ?? DEFAULT_ROWS;
  const model = modelOf(world);
  const answer = reach(model, { from: { kind: "any" }, to: { kind: "any" }, ports: ports.matches, limit });
  const byRule = answer.rows.filter(({ egress, ingress }) => egress.reason === "rule" || ingress.reason === "rule");
  const accessRows = byRule.map(
    (row): AnswerRow => ({
      ...EMPTY_ROW,
      kind: "allowed",
      from: row.from.text,
      to: row.to.text,
      ports: formatPortSet(row.ports),
      reasons: [
        { direction: "egress", decision: row.egress, before: null },
        { direction: "ingress", decision: row.ingress, before: null },
      ],
      source: (row.ingress.source ?? row.egress.source) as AnswerRow["source"],
    }),
  );
  const open = answer.rows.length - byRule.length;
  const notes =
    open > 0
      ? [`Where no policy restricts anything ${ports.text} passes as well: ask “who can reach …” for one group.`]
      : [];
  const named =
    ruleRows.length === 0
      ? `No rule names ${ports.text}`
      : `${ruleRows.length === 1 ? "1 rule names" : `${ruleRows.length} rules name`} ${ports.text}`;
  const sentence =
    accessRows.length === 0
      ? `${named}, and no rule lets anybody through on it.`
      : `${named}; these are let through by a rule.`;
  const all = listAnswer(question, [...ruleRows, ...accessRows], sources, { sentence, notes });
  return { ...all, rowsLeftOut: all.rowsLeftOut + answer.leftOut };
}

/** Whether the rule names one of the ports; a rule for every port names none. */
function namesPorts({ ports }: PolicyRule, asked: readonly PortMatch[]): boolean {
  return (
    ports?.some((own) =>
      asked.some((one) => {
        if (own.protocol !== one.protocol) return false;
        if (own.kind === "named" || one.kind === "named")
          return own.kind === "named" && one.kind === "named" && own.name === one.name;
        const isWhole = own.low === 0 && own.high === 0xffff;
        return !isWhole && own.low <= one.high && one.low <= own.high;
      }),
    ) ?? false
  );
}
