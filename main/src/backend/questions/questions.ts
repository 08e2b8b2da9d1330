/** What connections ask of the person: passphrases, passwords, codes. Answers live in memory and go nowhere else. */
import type { QuestionKind } from "@wardline/api/wardline/console/v1/fleet";

export interface NewQuestion {
  readonly hostId: string;
  readonly kind: QuestionKind;
  /** Key file, `user@host`, or what the machine calls itself. Text from the machine is bounded and made visible first. */
  readonly subject: string;
  readonly instruction: string;
  readonly prompts: readonly { readonly text: string; readonly echo: boolean }[];
  /**
   * Under what the answer may be kept in the keyring, for example `passphrase:SHA256:…`; `null` = never (codes).
   * The same key asked again at once means that the kept answer was wrong: it is forgotten then.
   */
  readonly keepAs: string | null;
}

export interface QuestionAsker {
  /** One answer for each prompt; `null` when the person declines, nobody is there, or the signal aborts. */
  ask(question: NewQuestion, signal: AbortSignal): Promise<readonly string[] | null>;
}

/** For commands and tests where nobody can be asked. */
export const NOBODY: QuestionAsker = { ask: async () => null };
