/** What a question is answered with. Every part of it comes from the engine that decides packets. */
import type { ConnectionExample } from "../access/index.ts";
import type { DecisionContent } from "../decision.ts";
import type { Evaluation } from "../evaluation.ts";
import type { Direction, PolicyWorld, SourceRange } from "../model.ts";
import type { Question } from "./question.ts";

/** `nobody`: the question is about no connection at all, so neither yes nor no would be true. */
export type AnswerVerdict = "yes" | "no" | "partly" | "nobody" | "list";

export type AnswerRowKind = "allowed" | "denied" | "gained" | "lost" | "policy" | "rule" | "endpoint";

export interface AnswerReason {
  readonly direction: Direction;
  readonly decision: DecisionContent;
  /** Only of changes. */
  readonly before: DecisionContent | null;
}

export interface AnswerRow {
  readonly kind: AnswerRowKind;
  /** Groups in words; empty where the row is about one thing. */
  readonly from: string;
  readonly to: string;
  readonly ports: string;
  readonly reasons: readonly AnswerReason[];
  /** Of the policy or endpoint that the row is about; empty for connections. */
  readonly key: string;
  readonly rule: string;
  readonly detail: string;
  readonly source: SourceRange | null;
}

/** One connection that shows the answer. */
export interface AnswerExample {
  readonly connection: ConnectionExample;
  /** Made by the reference when asked for: it walks every policy. */
  readonly walkthrough: () => Evaluation;
}

export interface Answer {
  readonly question: Question;
  readonly verdict: AnswerVerdict;
  readonly sentence: string;
  readonly notes: readonly string[];
  readonly rows: readonly AnswerRow[];
  readonly rowsLeftOut: number;
  /** The smallest: one that contradicts a plain yes or no first, then one that agrees. */
  readonly examples: readonly AnswerExample[];
  /** In the flow query language; `null` = there are no flows to show. */
  readonly flowQuery: string | null;
}

/** Packets that a decision has met, as a host counts. */
export interface HitCounter {
  readonly packets: bigint;
}

/** What a recorded flow was, and what decided it then. */
export interface AskedFlow {
  readonly id: bigint;
  readonly fromAddress: string;
  readonly toAddress: string;
  readonly protocol: number;
  readonly port: number;
  readonly decision: DecisionContent;
  readonly direction: Direction;
  /** What was done with the packet. */
  readonly enforced: "allow" | "deny";
  readonly host: string;
  /** Whose connection the host says it was: of the source when it was leaving, else of the destination; may be empty. */
  readonly subjectKey: string;
}

/** What an answer needs; whoever asks has it, or says why not. Each is called at most once. */
export interface AskSources {
  readonly world: PolicyWorld;
  /** The worlds of a change; throws a `Failure` when there are none. */
  readonly change?: () => { readonly before: PolicyWorld; readonly after: PolicyWorld };
  /** Counters by decision; throws a `Failure` when nobody counts. */
  readonly counters?: () => ReadonlyMap<string, HitCounter>;
  /** Throws `NOT_FOUND`. */
  readonly flow?: () => AskedFlow;
  /** Called between the parts of the work; throws to end it. */
  readonly checkpoint?: () => void;
  /** Most rows; default 100. */
  readonly limit?: number;
}
