/**
 * What an editor of policies knows: where a position of half-typed YAML or JSON is, what may stand there, what it means and
 * does now, where it is defined, and what the line under the cursor decides. Fields come from the declarations that the
 * readers use; hosts, labels, ports and flows from the inventory and from `FleetFacts`.
 */
export { type CompletionItem, type Completions, complete } from "./complete.ts";
export type { Reference, References } from "./definition.ts";
export {
  type AddressUse,
  type DiscoveredName,
  type FleetFacts,
  NO_FACTS,
  type PortUse,
  type RuleUse,
} from "./facts.ts";
export { type HoverAnswer, hover } from "./hover.ts";
export type { LineMeaning, PolicyMeaning, RuleMeaning, SideMeaning } from "./line-meaning.ts";
export { type OutlineEntry, outlineOf } from "./outline.ts";
export { type Place, placeAt, type Step } from "./place.ts";
export {
  type CheckAnswer,
  type DocumentFacts,
  type Explanation,
  type FileProblems,
  LanguageSession,
  type ProblemCounts,
  type ProofSummary,
  type RuleMark,
  type TestMark,
} from "./session.ts";
export { documentFields, type Meaning, meaningsAt } from "./shapes.ts";
export { plainSnippet, SNIPPETS, type Snippet } from "./snippets.ts";
export { collectVocabulary, describeCount, type Vocabulary } from "./vocabulary.ts";
