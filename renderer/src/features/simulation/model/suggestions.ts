import type {
  FindSuggestionsResponse,
  PolicySuggestion,
  SuggestionDone,
  SuggestionProgress,
} from "@wardline/api/wardline/console/v1/verdicts";
import { LEFT_OUT_WORDS } from "@wardline/domain/policy/suggest/words";
import { visibleText } from "../../../ui/index.ts";

export interface SuggestionState {
  readonly progress: SuggestionProgress | null;
  readonly done: SuggestionDone | null;
}

export const EMPTY_SUGGESTIONS: SuggestionState = { progress: null, done: null };

export function reduceSuggestions(state: SuggestionState, { event }: FindSuggestionsResponse): SuggestionState {
  if (event.case === "progress") return { ...state, progress: event.value };
  return event.case === "done" ? { progress: event.value.counts ?? state.progress, done: event.value } : state;
}

/** @param reason as the console's backend names it, which may be a newer one */
export function leftOutWords(reason: string): string {
  return (LEFT_OUT_WORDS as Readonly<Record<string, string>>)[reason] ?? visibleText(reason);
}

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
