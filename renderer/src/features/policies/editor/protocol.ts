/** What the window and the thread of the language say to each other. */

import type { Diagnostic } from "@wardline/domain/policy";
import type {
  CheckAnswer,
  Completions,
  Explanation,
  FleetFacts,
  HoverAnswer,
  LineMeaning,
  OutlineEntry,
  ProofSummary,
  References,
  RuleMark,
} from "@wardline/domain/policy/language";

export interface Questions {
  readonly check: { readonly path: string; readonly nowUnixMs: number };
  readonly complete: { readonly path: string; readonly offset: number };
  readonly hover: { readonly path: string; readonly offset: number };
  readonly references: { readonly path: string; readonly offset: number };
  readonly outline: { readonly path: string };
  readonly line: { readonly path: string; readonly line: number };
  readonly rules: { readonly path: string };
  readonly nextProblem: {
    readonly path: string;
    readonly line: number;
    readonly column: number;
    readonly isBackwards: boolean;
  };
  readonly explain: { readonly code: string };
  readonly prove: Record<string, never>;
}

export interface Answers {
  readonly check: CheckAnswer;
  readonly complete: Completions | null;
  readonly hover: HoverAnswer | null;
  readonly references: References | null;
  readonly outline: readonly OutlineEntry[];
  readonly line: LineMeaning | null;
  readonly rules: readonly RuleMark[];
  readonly nextProblem: Diagnostic | null;
  readonly explain: Explanation | null;
  /** `null` when a text changed meanwhile. */
  readonly prove: ProofSummary | null;
}

export type QuestionKind = keyof Questions;

export type ToWorker =
  | {
      readonly kind: "texts";
      readonly texts: readonly { readonly path: string; readonly text: string }[];
      readonly removed: readonly string[];
    }
  | { readonly kind: "facts"; readonly facts: FleetFacts }
  | {
      readonly kind: "ask";
      readonly id: number;
      readonly question: QuestionKind;
      readonly input: Questions[QuestionKind];
    };

export type FromWorker =
  | { readonly kind: "answer"; readonly id: number; readonly answer: Answers[QuestionKind] }
  | { readonly kind: "failed"; readonly id: number; readonly message: string };
