/**
 * Questions about access in plain words, answered exactly and never guessed: a small language (`parseQuestion`,
 * `completeQuestion`, `formatQuestion`), and answers from the one engine (`answerQuestion`). docs/ask.md has the language.
 */

export type * from "./answer.ts";
export { answerQuestion } from "./answer-question.ts";
export { type AskCompletion, type Completions, completeQuestion } from "./complete.ts";
export { type FoundRule, type FoundRules, findRules } from "./find-rules.ts";
export { formatQuestion } from "./format.ts";
export { EXAMPLES, FORMS } from "./forms.ts";
export { MAX_QUESTION_LENGTH } from "./limits.ts";
export { looksLikeQuestion } from "./looks/index.ts";
export { type ParsedQuestion, parseQuestion, type QuestionChoice } from "./parse.ts";
export type * from "./question.ts";
export { portText } from "./reach-answers.ts";
export { type KeptTest, testOfAnswer } from "./test-document.ts";
export { type AskService, AskVocabulary } from "./vocabulary.ts";
