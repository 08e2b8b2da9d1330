/** The rules of a `wardline.io/v1` Policy. */
import type { Action, Direction, Peer, PolicyRule, Tier } from "../model.ts";
import { isNull } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import type { ServiceUse } from "./document.ts";
import { readDomainNames } from "./domain-names.ts";
import { type Located, ObjectReader, readBoundedList, readChoice, readLimitedText, readList } from "./object-reader.ts";
import { RULE_NAME } from "./schema/cluster-policy.ts";
import {
  ACTIONS,
  POLICY_EGRESS_PEER,
  POLICY_EGRESS_RULE,
  POLICY_INGRESS_PEER,
  POLICY_INGRESS_RULE,
} from "./schema/wardline-policy.ts";
import { readGroup } from "./wardline-peers.ts";
import { readWardlinePorts } from "./wardline-ports.ts";

export interface RuleContext {
  readonly direction: Direction;
  /** `null` when it could not be read. */
  readonly tier: Tier | null;
  readonly namespace: string;
}

export interface ReadRules {
  readonly direction: Direction;
  readonly rules: readonly PolicyRule[];
  readonly serviceUses: readonly ServiceUse[];
}

export function readPolicyRules(report: Reporter, spec: ObjectReader, context: RuleContext): ReadRules {
  const { direction } = context;
  const field = spec.getNullable(direction);
  const entries = field && !isNull(field.node) ? (readList(report, field) ?? []) : [];
  const serviceUses: ServiceUse[] = [];
  const rules = entries.flatMap((entry, index) => {
    return new RuleReader(report, context, index, serviceUses).read(entry) ?? [];
  });
  return { direction, rules, serviceUses };
}

class RuleReader {
  readonly #report: Reporter;
  readonly #context: RuleContext;
  readonly #index: number;
  readonly #serviceUses: ServiceUse[];

  constructor(report: Reporter, context: RuleContext, index: number, serviceUses: ServiceUse[]) {
    this.#report = report;
    this.#context = context;
    this.#index = index;
    this.#serviceUses = serviceUses;
  }

  read(value: Located): PolicyRule | null {
    const { direction } = this.#context;
    const shape = direction === "ingress" ? POLICY_INGRESS_RULE : POLICY_EGRESS_RULE;
    const rule = ObjectReader.open(this.#report, value, shape.known);
    if (!rule) return null;
    const nameField = rule.get("name");
    const name = nameField && readLimitedText(this.#report, nameField, RULE_NAME.maxLength!);
    const action = this.#readAction(rule);
    const peers = this.#readPeers(rule, action);
    const ports = readWardlinePorts(this.#report, rule);
    return {
      direction,
      index: this.#index,
      name: name === "" ? null : name,
      action: action ?? "allow",
      peers,
      ports,
      source: this.#report.range(rule.node),
    };
  }

  #readAction(rule: ObjectReader): Action | null {
    const field = rule.get("action");
    if (!field) return "allow";
    const action = readChoice(this.#report, field, ACTIONS);
    if (this.#context.tier === "application" && action !== null && action !== "allow") {
      const message = `${field.path}: the app tier knows only allow; what no policy allows is denied there. To ${action}, set tier to admin (asked before the app tier) or baseline (asked last).`;
      this.#report.report("WL230", field.node, message);
    }
    return action;
  }

  /** Left out = anybody. Kubernetes reads an empty list the same way; here nobody has to guess. */
  #readPeers(rule: ObjectReader, action: Action | null): readonly Peer[] | null {
    const field = rule.get(this.#context.direction === "ingress" ? "from" : "to");
    if (!field) return null;
    const hint = "To mean anybody, leave it out; to mean nobody, leave the rule out.";
    const entries = readBoundedList(this.#report, field, { minItems: 1, hint }) ?? [];
    return entries.flatMap((entry) => this.#readPeer(entry, action) ?? []);
  }

  #readPeer(value: Located, action: Action | null): Peer | null {
    const report = this.#report;
    const { direction, namespace } = this.#context;
    const isEgress = direction === "egress";
    const shape = isEgress ? POLICY_EGRESS_PEER : POLICY_INGRESS_PEER;
    const names = value.node.kind === "map" ? value.node.entries.find(({ key }) => key === "domainNames") : undefined;
    if (names && (!isEgress || (action !== null && action !== "allow"))) {
      const why = isEgress ? `the action is ${action}` : "this is an ingress rule";
      const message = `${value.path}.domainNames can only be allowed in egress rules, and ${why}. Use ipBlock for addresses.`;
      report.report("WL228", names.keySpan, message);
      if (!isEgress) return null;
    }
    const peer = ObjectReader.open(report, value, shape.known);
    const group = peer?.oneAlternative(shape.alternatives as readonly (readonly string[])[]);
    if (!peer || !group) return null;
    const source = report.range(peer.node);
    if (group[0] === "domainNames") {
      const field = peer.get("domainNames");
      const domains = field ? readDomainNames(report, field, { minItems: 1, services: true }) : [];
      return domains.length > 0 ? { kind: "domains", names: domains, source } : null;
    }
    const read = readGroup(report, peer, group, namespace);
    if (!read) return null;
    if (read.kind === "endpoints") return { kind: "endpoints", selector: read.selector, source };
    if (read.kind === "addresses") return read.block;
    if (read.kind === "entity") return { kind: "entity", entity: read.entity, source };
    this.#serviceUses.push({ ...read.reference, direction, ruleIndex: this.#index });
    return null;
  }
}
