/** A draft as it goes over the wire, made by the thread that computed it: all but what the store and the workspace know. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as wire from "@wardline/api/wardline/console/v1/picture";
import type { PolicySuggestion, SuggestionResult } from "@wardline/domain/policy/suggest";
import { LEFT_OUT_WORDS } from "@wardline/domain/policy/suggest/words";
import { toWireDirection } from "@wardline/domain/wire";

/** @param subjects keys of the endpoints that policies were wanted for */
export function toWireDraft(
  { suggestions, leftOut }: SuggestionResult,
  subjects: ReadonlySet<string>,
): wire.DraftForResponse {
  const notes = leftOut
    .filter(({ reason }) => reason !== "subject-not-recorded" && reason !== "ends-unknown")
    .map(
      ({ reason, connections }) =>
        `${connections.toLocaleString("en")} talks ${LEFT_OUT_WORDS[reason]}: they are left out.`,
    );
  const seen = new Set(suggestions.flatMap(({ subjectKeys }) => subjectKeys));
  const silent = [...subjects].filter((key) => !seen.has(key)).length;
  if (silent > 0)
    notes.push(
      `${silent.toLocaleString("en")} of ${subjects.size.toLocaleString("en")} endpoints recorded nothing in the window: there is no policy for them.`,
    );
  return create(wire.DraftForResponseSchema, {
    suggestions: suggestions.map(toWireSuggestion),
    text: suggestions
      .flatMap(({ policyText, testText }) => (testText === null ? [policyText] : [policyText, testText]))
      .join("---\n"),
    notes,
  });
}

function toWireSuggestion(suggestion: PolicySuggestion): wire.PictureSuggestion {
  const { name, namespace, group, subjectKeys, confidence, policyText, testText, notes } = suggestion;
  return create(wire.PictureSuggestionSchema, {
    ...{ name, namespace, group, confidence, policyText, testText: testText ?? "" },
    subjectKeys: [...subjectKeys],
    notes: [...notes],
    rules: suggestion.rules.map(({ direction, peers, ports, confidence: sure, evidence }) => ({
      direction: toWireDirection(direction),
      peers: [...peers],
      ports: [...ports],
      confidence: sure,
      connections: BigInt(evidence.flows),
      ...(evidence.lastSeenMs === null ? {} : { lastSeen: timestampFromMs(evidence.lastSeenMs) }),
    })),
  });
}
