/** The one way from a question to its answer. */

import type { Answer, AskSources } from "./answer.ts";
import { answerChanged } from "./change-answers.ts";
import { answerWhyFlow } from "./flow-answers.ts";
import { answerNeverHit, answerNoPolicy, answerSelectedBy, answerUsesPort } from "./policy-answers.ts";
import type { Question } from "./question.ts";
import { answerReach } from "./reach-answers.ts";

/**
 * Answers for every connection that the question is about, never from samples. Expired policies count like the others: see
 * `withoutExpired`.
 *
 * Throws what the sources throw, and `POLICY_UNSUPPORTED` as `orderPolicies`.
 */
export function answerQuestion(question: Question, sources: AskSources): Answer {
  switch (question.kind) {
    case "can-reach":
    case "who-can-reach":
    case "what-can-reach":
    case "why":
      return answerReach(question, sources);
    case "why-flow":
      return answerWhyFlow(question, sources);
    case "changed":
      return answerChanged(question, sources);
    case "no-policy":
      return answerNoPolicy(question, sources);
    case "selected-by":
      return answerSelectedBy(question, sources);
    case "never-hit":
      return answerNeverHit(question, sources);
    case "uses-port":
      return answerUsesPort(question, sources);
  }
}
