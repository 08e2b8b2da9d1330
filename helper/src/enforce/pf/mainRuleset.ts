/**
 * The call of our anchor in pf's main rules, as `pfctl -s rules` prints them: scrub rules first, then filter rules.
 * Rules in an anchor that nothing calls load cleanly and filter nothing.
 */
export interface AnchorCall {
  /** Every packet reaches the anchor's filter rules, unless an earlier quick rule ends its way. */
  readonly isCalled: boolean;
  /** Fragments are reassembled by the anchor's scrub rule. */
  readonly isScrubbed: boolean;
  /** Rules before the call that decide for good: they belong to somebody else and win. */
  readonly quickBefore: readonly string[];
}

export function findCall(rules: readonly string[], anchor: string): AnchorCall {
  const position = rules.findIndex((rule) => callsEverything(rule, "anchor", anchor));
  const before = position < 0 ? rules : rules.slice(0, position);
  return {
    isCalled: position >= 0,
    isScrubbed: rules.some((rule) => callsEverything(rule, "scrub-anchor", anchor)),
    quickBefore: before.filter((rule) => /^(pass|block)\b.* quick\b/.test(rule)),
  };
}

/** A call that is limited to an interface, a direction or a protocol does not count. */
function callsEverything(rule: string, keyword: "anchor" | "scrub-anchor", anchor: string): boolean {
  const [, found, name] = /^(anchor|scrub-anchor) "([^"]+)"(?: all)?(?: fragment reassemble)?$/.exec(rule.trim()) ?? [];
  return found === keyword && (name === anchor || name === "*");
}

export type RewrittenRules = { readonly rules: readonly string[] } | { readonly problem: string };

/**
 * The rules that run now plus the call, at the end so that the blocks of others still count. `problem` when one of them
 * is of a kind that cannot be given back to pf as it was printed: then the main rules are better left alone.
 */
export function withCall(rules: readonly string[], anchor: string): RewrittenRules {
  const unfit = rules.find((rule) => !canBeGivenBack(rule));
  if (unfit !== undefined) return { problem: `the main rules hold one that cannot be loaded again as it is: ${unfit}` };
  const { isCalled, isScrubbed } = findCall(rules, anchor);
  const scrub = rules.filter(isScrub);
  const filter = rules.filter((rule) => !isScrub(rule));
  return {
    rules: [
      ...scrub,
      ...(isScrubbed ? [] : [`scrub-anchor "${anchor}" all fragment reassemble`]),
      ...filter,
      ...(isCalled ? [] : [`anchor "${anchor}" all`]),
    ],
  };
}

/** The rules that run now without any call of the anchor. */
export function withoutCall(rules: readonly string[], anchor: string): RewrittenRules {
  const rest = rules.filter((rule) => /^(?:scrub-)?anchor "([^"]+)"/.exec(rule)?.[1] !== anchor);
  const unfit = rest.find((rule) => !canBeGivenBack(rule));
  return unfit === undefined
    ? { rules: rest }
    : { problem: `the main rules cannot be loaded again as they are: ${unfit}` };
}

function isScrub(rule: string): boolean {
  return /^(?:no )?scrub/.test(rule);
}

/** Inline anchors are printed with their contents, and tables that pfctl's optimizer made have names it refuses. */
function canBeGivenBack(rule: string): boolean {
  return !/^\s|[{}]\s*$|"_|<__automatic/.test(rule) && /^[\x20-\x7e]+$/.test(rule);
}
