/** What connections ask of the person: passphrases, passwords, codes. Answers live in memory and go nowhere else. */
import type { QuestionKind } from "@wardline/api/wardline/console/v1/fleet";

export interface NewQuestion {
  readonly hostId: string;
  readonly kind: QuestionKind;
  /** Key file, `user@host`, or what the machine calls itself. Text from the machine is bounded and made visible first. */
  readonly subject: string;
  readonly instruction: string;
  readonly prompts: readonly { readonly text: string; readonly echo: boolean }[];
  /** Under what the answer may be kept, for example `passphrase:SHA256:…`; `null` = never (codes). */
  readonly keepAs: string | null;
  /** The answer before this one was wrong: what was kept is forgotten, and the person is told. */
  readonly wasWrong?: boolean;
  /** Nobody waits at a screen: only a kept answer counts. */
  readonly onlyKept?: boolean;
}

export interface QuestionAsker {
  /** One answer for each prompt; `null` when the person declines, nobody is there, or the signal aborts. */
  ask(question: NewQuestion, signal: AbortSignal): Promise<readonly string[] | null>;
}

/** For commands and tests where nobody can be asked. */
export const NOBODY: QuestionAsker = { ask: async () => null };
