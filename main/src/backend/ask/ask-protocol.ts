/** What goes between the service and the threads that answer questions. */
import type { QuarantineScope } from "@wardline/domain/policy";
import type { AskedFlow, Question } from "@wardline/domain/policy/ask";

export type WorldKind = "draft" | "enforced" | "version";

export interface PolicyText {
  readonly path: string;
  readonly text: string;
}

/** A world that a question is about. Texts go over once: a thread keeps what it read. */
export interface WorldRequest {
  readonly kind: WorldKind;
  readonly digest: string;
  /** `null` = as the thread knows it. */
  readonly files: readonly PolicyText[] | null;
  /** Policies that have expired by then are left out. */
  readonly nowMs: number;
  /** That the hosts report; empty for a version, which has nothing to do with them. */
  readonly quarantines: readonly { readonly hostName: string; readonly scopes: readonly QuarantineScope[] }[];
}

export interface ReadRequest {
  readonly text: string;
  readonly names: WorldRequest;
}

/** The thread has never read that world, or not lately. */
export interface MissingWorlds {
  readonly kind: "missing";
  readonly digests: readonly string[];
}

export type ReadAnswer =
  | MissingWorlds
  /** What has to be looked up before it can be answered. */
  | {
      readonly kind: "question";
      readonly needs:
        | Pick<Extract<Question, { kind: "changed" }>, "kind" | "span">
        | Pick<Extract<Question, { kind: "why-flow" }>, "kind" | "flowId">
        | { readonly kind: Exclude<Question["kind"], "changed" | "why-flow"> };
    }
  /** An `AskResponse`: what is asked back, or understood instead. */
  | { readonly kind: "response"; readonly bytes: Uint8Array };

export interface AnswerRequest extends ReadRequest {
  readonly world: WorldRequest;
  /** An `AnswerBasis`. */
  readonly basis: Uint8Array;
  /** Of a change; a world of `null` = before the first version, when nothing was decided for anybody. */
  readonly before: { readonly world: WorldRequest | null; readonly basis: Uint8Array } | null;
  readonly limit: number;
  readonly counters: readonly (readonly [decisionId: string, packets: bigint])[] | null;
  readonly flow: AskedFlow | null;
}

export type AnswerAnswer = MissingWorlds | { readonly kind: "response"; readonly bytes: Uint8Array };
