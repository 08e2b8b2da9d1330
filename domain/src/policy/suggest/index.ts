export { confidenceOf, type Evidence } from "./confidence.ts";
export type { SuggestionFormat } from "./document.ts";
export type { NoiseOptions, NoiseReason } from "./noise.ts";
export { MAX_OBSERVATIONS, type Observation } from "./observations.ts";
export {
  type LeftOut,
  type LeftOutReason,
  PolicySuggester,
  type PolicySuggestion,
  type SeenConnection,
  type SuggestedRule,
  type SuggestionOptions,
  type SuggestionResult,
} from "./suggest.ts";
