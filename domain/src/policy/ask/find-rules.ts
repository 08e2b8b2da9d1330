/** Rules by their words: what a palette needs to go to one of thousands. */
import { ruleLabel } from "../decision.ts";
import { describePeer, describePortMatch } from "../evaluate-match.ts";
import type { Policy, PolicyRule, PolicyWorld, SourceRange } from "../model.ts";

/** Peers or ports of one rule that are said. */
const SAID = 3;

export interface FoundRule {
  readonly policyKey: string;
  readonly rule: string;
  /** `allow from app=web on 5432/tcp`. */
  readonly meaning: string;
  readonly source: SourceRange;
}

export interface FoundRules {
  readonly rules: readonly FoundRule[];
  /** All that have the words. */
  readonly matching: number;
}

/** A rule with its words in small letters. What it means is said only of those that are shown. */
interface Known {
  readonly policy: Policy;
  readonly rule: PolicyRule;
  readonly name: string;
  readonly words: string;
}

const BOOKS = new WeakMap<PolicyWorld, readonly Known[]>();

/** Those that have every word of the text: first those whose name or policy has it, in the order of the files. */
export function findRules(world: PolicyWorld, text: string, limit: number): FoundRules {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return { rules: [], matching: 0 };
  const byName: Known[] = [];
  const others: Known[] = [];
  for (const known of bookOf(world)) {
    if (!words.every((word) => known.words.includes(word))) continue;
    if (words.every((word) => known.name.includes(word))) byName.push(known);
    else others.push(known);
  }
  const shown = [...byName, ...others].slice(0, limit);
  return {
    rules: shown.map(({ policy, rule }) => ({
      policyKey: policy.key,
      rule: ruleLabel(rule),
      meaning: meaningOf(rule),
      source: rule.source,
    })),
    matching: byName.length + others.length,
  };
}

function bookOf(world: PolicyWorld): readonly Known[] {
  const known =
    BOOKS.get(world) ??
    world.policies.flatMap((policy) =>
      policy.rules.map((rule): Known => {
        const name = `${policy.key} ${ruleLabel(rule)}`.toLowerCase();
        return { policy, rule, name, words: `${name} ${meaningOf(rule)} ${rule.source.file}`.toLowerCase() };
      }),
    );
  BOOKS.set(world, known);
  return known;
}

function meaningOf({ action, direction, peers, ports }: PolicyRule): string {
  const whom = peers === null ? "anyone" : said(peers.map(describePeer));
  const which = ports === null ? "every port" : said(ports.map(describePortMatch));
  return `${action} ${direction === "ingress" ? "from" : "to"} ${whom} on ${which}`;
}

function said(texts: readonly string[]): string {
  if (texts.length === 0) return "nothing";
  const shown = texts.slice(0, SAID).join(", ");
  return texts.length > SAID ? `${shown} and ${texts.length - SAID} more` : shown;
}
