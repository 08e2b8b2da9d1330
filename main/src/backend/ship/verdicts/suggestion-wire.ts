/** Suggested policies on the wire. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type FindSuggestionsResponseSchema,
  PolicySuggestionSchema,
  SeenConnectionSchema,
  SuggestedRuleSchema,
  SuggestionLeftOutSchema,
  type PolicySuggestion as WireSuggestion,
} from "@wardline/api/wardline/console/v1/verdicts";
import type {
  LeftOut,
  PolicySuggestion,
  SeenConnection,
  SuggestedRule,
  SuggestionResult,
} from "@wardline/domain/policy/suggest";
import { toWireDirection } from "@wardline/domain/wire";

const MAX_SUGGESTIONS = 500;

type Done = Extract<MessageInitShape<typeof FindSuggestionsResponseSchema>["event"], { case: "done" }>["value"];

export interface SuggestedFrom {
  /** Matching flows that were stored, and those of them that were read. */
  readonly total: number;
  readonly read: number;
  /** Paths of files that are there already. */
  readonly taken: readonly string[];
}

export function toWireSuggestions(result: SuggestionResult, { total, read, taken }: SuggestedFrom): Done {
  const { suggestions, leftOut, withoutVerdict, tooMany } = result;
  const paths = new Set(taken);
  return {
    counts: { total: BigInt(total), read: BigInt(read) },
    suggestions: suggestions.slice(0, MAX_SUGGESTIONS).map((one) => toWireSuggestion(one, paths)),
    suggestionsLeftOut: Math.max(0, suggestions.length - MAX_SUGGESTIONS),
    leftOut: leftOut.map(toWireLeftOut),
    withoutVerdict: BigInt(withoutVerdict),
    tooMany: BigInt(tooMany),
  };
}

function toWireSuggestion(suggestion: PolicySuggestion, taken: Set<string>): WireSuggestion {
  const { name, namespace, group, subjectKeys, rules, confidence, policyText, testText, notes } = suggestion;
  const path = freePath(`policies/${namespace}-${name}`, taken);
  taken.add(path);
  return create(PolicySuggestionSchema, {
    ...{ name, namespace, group, confidence, policyText, path },
    subjectKeys: [...subjectKeys],
    rules: rules.map(toWireRule),
    testText: testText ?? "",
    notes: [...notes],
  });
}

function freePath(stem: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number++) {
    const path = number === 1 ? `${stem}.yaml` : `${stem}-${number}.yaml`;
    if (!taken.has(path)) return path;
  }
}

function toWireRule({ direction, peers, ports, confidence, evidence, examples }: SuggestedRule) {
  const { flows, firstSeenMs, lastSeenMs, ...rest } = evidence;
  return create(SuggestedRuleSchema, {
    direction: toWireDirection(direction),
    peers: [...peers],
    ports: [...ports],
    confidence,
    evidence: {
      ...rest,
      flows: BigInt(flows),
      ...(firstSeenMs === null ? {} : { firstSeen: timestampFromMs(firstSeenMs) }),
      ...(lastSeenMs === null ? {} : { lastSeen: timestampFromMs(lastSeenMs) }),
    },
    talkers: examples.map(toWireConnection),
  });
}

function toWireConnection({ flows, denied, ...rest }: SeenConnection) {
  return create(SeenConnectionSchema, { ...rest, flows: BigInt(flows), denied: BigInt(denied) });
}

function toWireLeftOut({ reason, connections, flows, denied, examples }: LeftOut) {
  return create(SuggestionLeftOutSchema, {
    reason,
    connections: BigInt(connections),
    flows: BigInt(flows),
    denied: BigInt(denied),
    talkers: examples.map(toWireConnection),
  });
}
