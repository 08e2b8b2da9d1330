import type {
  FindSuggestionsResponse,
  PolicySuggestion,
  SuggestionDone,
  SuggestionProgress,
} from "@wardline/api/wardline/console/v1/verdicts";

export interface SuggestionState {
  readonly progress: SuggestionProgress | null;
  readonly done: SuggestionDone | null;
}

export const EMPTY_SUGGESTIONS: SuggestionState = { progress: null, done: null };

export function reduceSuggestions(state: SuggestionState, { event }: FindSuggestionsResponse): SuggestionState {
  if (event.case === "progress") return { ...state, progress: event.value };
  return event.case === "done" ? { progress: event.value.counts ?? state.progress, done: event.value } : state;
}

export const LEFT_OUT_WORDS: Readonly<Record<string, string>> = {
  essential: "always pass (loopback, neighbour discovery, path MTU)",
  multicast: "multicast and broadcast",
  "ends-unknown": "neither end is in the inventory",
  "several-endpoints": "several endpoints have the address",
  denied: "were denied",
  scan: "look like a scan",
  "ephemeral-port": "go to a port that programs take as they come",
  rare: "were seen too rarely",
  "not-expressible": "need a protocol that this format cannot name",
  "subject-not-recorded": "are of hosts that recorded nothing themselves",
};

export function confidenceWords(confidence: number): string {
  const percent = `${Math.round(confidence * 100)} %`;
  return confidence >= 0.7
    ? `${percent}, well seen`
    : confidence >= 0.4
      ? `${percent}, seen a while`
      : `${percent}, seen little`;
}

/** The policy and its test in one file, as accepting writes it. */
export function fileTextOf({ policyText, testText }: PolicySuggestion): string {
  return testText === "" ? policyText : `${policyText.trimEnd()}\n---\n${testText}`;
}
