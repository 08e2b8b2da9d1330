/** The forms of questions: how each can be worded, and one example of each. docs/ask.md has the same table, held by a test. */
import { type Bindings, compilePattern, type NounSlot, type Pattern } from "./pattern.ts";
import type { AskPorts, AskSubject, ChangeSide, ChangeSpan, Question } from "./question.ts";

/** What the words of a form stand for. */
export interface Meant {
  readonly nouns: Readonly<Record<NounSlot, AskSubject | null>>;
  readonly ports: AskPorts | null;
  readonly number: bigint | null;
}

export interface Form {
  readonly id: string;
  /** For the list of what is understood, and for hints. */
  readonly example: string;
  readonly meaning: string;
  readonly patterns: readonly Pattern[];
  /** `null` = these words are no question after all. */
  readonly build: (meant: Meant) => Question | null;
}

interface FormText {
  readonly id: string;
  readonly example: string;
  readonly meaning: string;
  readonly words: readonly string[];
  readonly build: Form["build"];
}

const form = ({ words, ...rest }: FormText): Form => ({ ...rest, patterns: words.map(compilePattern) });

const THING = "(rule|policy|rules|policies)";
const WHO =
  "(who|what|which hosts|which host|which workloads|which workload|which addresses|who else|what else|everyone who|anyone who)";
const CHANGE = "(last|latest|newest|most recent) (change|version|apply|rollout|roll-out|update|generation)";
const SIDES: readonly (readonly [word: string, side: ChangeSide])[] = [
  ["(open|opened|allow|allowed|add|gain|grant)", "opened"],
  ["(close|closed|deny|denied|block|blocked|remove|lose|take away)", "closed"],
  ["(change|changed|do)", "both"],
];

function changeForms(
  id: string,
  texts: { readonly example: string; readonly meaning: string },
  subject: string,
  span: (meant: Meant) => ChangeSpan | null,
): readonly Form[] {
  return SIDES.map(([word, side]) =>
    form({
      ...texts,
      id: `${id}-${side}`,
      example: texts.example.replace("open", side === "opened" ? "open" : side === "closed" ? "close" : "change"),
      words: [`what ${subject} ${word} (for|to) ABOUT`, `what ${subject} ${word}`],
      build: (meant) => {
        const found = span(meant);
        return found && { kind: "changed", side, span: found, about: meant.nouns.ABOUT };
      },
    }),
  );
}

function both(meant: Meant): { from: AskSubject; to: AskSubject } | null {
  const { FROM, TO } = meant.nouns;
  return FROM && TO && { from: FROM, to: TO };
}

export const FORMS: readonly Form[] = [
  form({
    id: "can-reach",
    example: "can web reach db on 5432?",
    meaning: "yes, no, or partly with for whom",
    words: [
      "<can> FROM <reach> TO [PORTS]",
      "(is|are) FROM (allowed|permitted|able) to <reach> TO [PORTS]",
      "(is|are) TO reachable (from|by|for) FROM [PORTS]",
      "(is|are) TO reachable PORTS (from|by|for) FROM",
      "(can|may) TO be (reached|accessed|contacted) (from|by) FROM [PORTS]",
      "(can|may) TO be (reached|accessed|contacted) PORTS (from|by) FROM",
      "(is|are) TO open (to|for|from) FROM [PORTS]",
      "does FROM have access to TO [PORTS]",
      "FROM (->|→|=>) TO [PORTS]",
    ],
    build: (meant) => {
      const ends = both(meant);
      return ends && { kind: "can-reach", ...ends, ports: meant.ports };
    },
  }),
  form({
    id: "who-can-reach",
    example: "who can reach db on ssh?",
    meaning: "everybody who may connect to it, with the rules",
    words: [
      `${WHO} <can> <reach> TO [PORTS]`,
      `${WHO} (is|are) (allowed|permitted|able) to <reach> TO [PORTS]`,
      `${WHO} (has|have) access to TO [PORTS]`,
      `${WHO} (reaches|reach|connects to|talks to|accesses) TO [PORTS]`,
      "(where|from where) (is|are|can) TO (reachable|reached|be reached) (from)? [PORTS]",
      "where is TO reachable PORTS from",
    ],
    build: ({ nouns, ports }) => nouns.TO && { kind: "who-can-reach", to: nouns.TO, ports },
  }),
  form({
    id: "what-can-reach",
    example: "what can web reach?",
    meaning: "everything that it may connect to, with the rules",
    words: [
      "(what|who|whom|where|which hosts|which workloads) <can> FROM <reach> [PORTS]",
      "(where|whom) <can> FROM (go|connect|talk|speak)",
      "(what|who|which hosts|which workloads) (is|are) reachable (from|by|for) FROM [PORTS]",
      "(what|who|which hosts|which workloads) (is|are) reachable PORTS (from|by|for) FROM",
      "(what|who) (is|are) (open|exposed) to FROM [PORTS]",
      "what (is|are) FROM (allowed|permitted|able) to <reach> [PORTS]",
    ],
    build: ({ nouns, ports }) => nouns.FROM && { kind: "what-can-reach", from: nouns.FROM, ports },
  }),
  form({
    id: "why-not",
    example: "which rule stops web from db on 5432?",
    meaning: "what denies it, with the walk through every tier",
    words: [
      `(which|what) ${THING} <stops> FROM from (reaching|talking to|connecting to|accessing)? TO [PORTS]`,
      "(what|who) <stops> FROM from (reaching|talking to|connecting to|accessing)? TO [PORTS]",
      "(what|which rule|which policy) (stands|is) between FROM and TO [PORTS]",
      "why (can't|cannot|can not|may not|doesn't|does not) FROM <reach> TO [PORTS]",
      "why can FROM not <reach> TO [PORTS]",
      "why (is|was|are|were) FROM (denied|blocked|refused|stopped|dropped) (from|to|at|by) (reaching)? TO [PORTS]",
      "why (is|was) TO not reachable (from|by) FROM [PORTS]",
    ],
    build: (meant) => {
      const ends = both(meant);
      return ends && { kind: "why", verdict: "deny", ...ends, ports: meant.ports };
    },
  }),
  form({
    id: "why",
    example: "which rule lets web reach db on 5432?",
    meaning: "what allows it, with the walk through every tier",
    words: [
      `(which|what) ${THING} <lets> FROM (to)? <reach> TO [PORTS]`,
      `(which|what) ${THING} <lets> FROM to TO [PORTS]`,
      "what <lets> FROM (to)? <reach> TO [PORTS]",
      "why (can|may) FROM <reach> TO [PORTS]",
      "why (is|are|was) FROM (allowed|permitted|able) to <reach> TO [PORTS]",
      "why is TO reachable (from|by) FROM [PORTS]",
    ],
    build: (meant) => {
      const ends = both(meant);
      return ends && { kind: "why", verdict: "allow", ...ends, ports: meant.ports };
    },
  }),
  form({
    id: "why-flow",
    example: "why was flow 812 denied?",
    meaning: "what decided a recorded flow then, and what decides it now",
    words: [
      "why (was|is|were)? (flow|#) NUMBER (denied|blocked|refused|dropped|stopped|allowed|decided|let through)?",
      "(explain|why) flow NUMBER",
      "why (was|is) NUMBER (denied|blocked|refused|dropped|allowed)",
    ],
    build: ({ number }) => (number === null ? null : { kind: "why-flow", flowId: number }),
  }),
  ...changeForms(
    "last-change",
    { example: "what did the last change open?", meaning: "who gained access by what was confirmed last" },
    `(did|has|does) (the)? ${CHANGE}`,
    () => ({ kind: "last-change" }),
  ),
  ...changeForms(
    "version",
    { example: "what did version 3 open?", meaning: "who gained access from the version before to this one" },
    "(did|has|does) (version|change) NUMBER",
    ({ number }) => (number !== null && number < 1_000_000_000n ? { kind: "version", number: Number(number) } : null),
  ),
  ...changeForms(
    "draft",
    { example: "what would the draft open?", meaning: "who would gain access if the workspace were applied" },
    "(would|will|does|do|could) (the|my|this|our)? (draft|workspace|changes|drafts|this)",
    () => ({ kind: "draft" }),
  ),
  form({
    id: "no-policy",
    example: "what has no policy?",
    meaning: "hosts and workloads that no policy selects",
    words: [
      "(what|who|which hosts|which workloads|which endpoints) (has|have) no (policy|policies)",
      "(what|who|which hosts|which workloads) (is|are) (not protected|unprotected|not covered|not isolated|without a policy|without policy|without policies|without any policy)",
    ],
    build: () => ({ kind: "no-policy", direction: null }),
  }),
  ...(["ingress", "egress"] as const).map((direction) =>
    form({
      id: `no-${direction}-policy`,
      example: `what has no ${direction} policy?`,
      meaning: `hosts and workloads that nothing restricts in ${direction}`,
      words: [
        `(what|who|which hosts|which workloads) (has|have) no ${direction} (policy|policies)`,
        `(what|who|which hosts|which workloads) (is|are) not (isolated|protected|covered) (in|for) ${direction}`,
      ],
      build: () => ({ kind: "no-policy", direction }),
    }),
  ),
  form({
    id: "selected-by",
    example: "which policies select web-1?",
    meaning: "every policy that is asked about it",
    words: [
      "(which|what) (policies|policy) (select|selects|apply to|applies to|cover|covers|protect|protects|govern|are about|is about|are for) TO",
      "(which|what) policies (does|do) TO have",
      "policies (of|for) TO",
    ],
    build: ({ nouns }) => nouns.TO && { kind: "selected-by", subject: nouns.TO },
  }),
  form({
    id: "never-hit",
    example: "which rules were never hit?",
    meaning: "rules that decided no packet yet, as the host counts",
    words: [
      "(which|what) rules (were|are|have) (never)? (never|not|been)? (been)? (hit|matched|used)",
      "(which|what) rules (are|were) (unused|dead)",
      "what (was|is) never (hit|matched|used)",
      "unused rules",
    ],
    build: () => ({ kind: "never-hit" }),
  }),
  form({
    id: "uses-port",
    example: "who uses port 5432?",
    meaning: "rules that name the port, and who may reach whom on it",
    words: [
      "(who|what) (uses|use|may use|can use|is on|is using|is allowed on) PORTS",
      "(who|what) (is|are)? (allowed|permitted) PORTS",
      "(which|what) (rules|policies) (use|uses|mention|name|allow|open|are about|have) PORTS",
      "where is PORTS (open|allowed|used)",
    ],
    build: ({ ports }) => ports && { kind: "uses-port", ports },
  }),
];

/** Words that forms are made of, for corrections. */
export const FORM_WORDS: ReadonlySet<string> = new Set(
  FORMS.flatMap(({ patterns }) =>
    patterns.flatMap((pattern) =>
      pattern.flatMap((element) => (element.kind === "words" ? element.options.flat() : [])),
    ),
  ),
);

/** One example of each form. */
export const EXAMPLES: readonly string[] = FORMS.map(({ example }) => example);

export function slotsOf(bindings: Bindings): readonly NounSlot[] {
  return (["FROM", "TO", "ABOUT"] as const).filter((slot) => bindings[slot] !== undefined);
}
