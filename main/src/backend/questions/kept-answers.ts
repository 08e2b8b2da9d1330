/** Answers that need not be given twice: in memory, and sealed by the system's keyring. Never readable on a disk. */
import { createHash } from "node:crypto";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger, SecretsPort } from "../ports.ts";

const MOST_IN_MEMORY = 256;

/** Where sealed answers lie: the settings of the console. An empty value is none. */
export interface SealedStore {
  text(name: string): string | null;
  set(name: string, value: string): void;
}

export interface KeptAnswersPorts {
  readonly sealed: SealedStore;
  /** The shell's keyring; absent where it has none. */
  readonly secrets?: SecretsPort | undefined;
  readonly logger: Logger;
}

export class KeptAnswers {
  readonly #memory = new Map<string, readonly string[]>();
  readonly #ports: KeptAnswersPorts;

  constructor(ports: KeptAnswersPorts) {
    this.#ports = ports;
  }

  async find(keepAs: string): Promise<readonly string[] | null> {
    return this.#memory.get(keepAs) ?? (await this.#fromKeyring(keepAs));
  }

  keepInMemory(keepAs: string, answers: readonly string[]): void {
    this.#memory.delete(keepAs);
    this.#memory.set(keepAs, [...answers]);
    const oldest = this.#memory.keys().next();
    if (this.#memory.size > MOST_IN_MEMORY && !oldest.done) this.#memory.delete(oldest.value);
  }

  /** @throws Failure INVALID_ARGUMENT where there is no keyring, or one that would write it readable */
  async keepInKeyring(keepAs: string, answers: readonly string[]): Promise<void> {
    const { secrets, sealed } = this.#ports;
    const protection = (await secrets?.protection()) ?? "none";
    if (!secrets || protection !== "keyring") {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message:
          protection === "plain"
            ? "The keyring of this system would write the answer readable to the disk; it is not kept there."
            : "There is no keyring here that could keep the answer.",
        hint: "Answer without keeping it: it is remembered until the console ends.",
      });
    }
    const bytes = await secrets.encrypt(JSON.stringify(answers));
    sealed.set(nameOf(keepAs), Buffer.from(bytes).toString("base64"));
  }

  forget(keepAs: string): void {
    this.#memory.delete(keepAs);
    if (this.#ports.sealed.text(nameOf(keepAs))) this.#ports.sealed.set(nameOf(keepAs), "");
  }

  async #fromKeyring(keepAs: string): Promise<readonly string[] | null> {
    const { secrets, sealed, logger } = this.#ports;
    const stored = sealed.text(nameOf(keepAs));
    if (!stored || !secrets) return null;
    try {
      const answers: unknown = JSON.parse(await secrets.decrypt(Buffer.from(stored, "base64")));
      const isFit = Array.isArray(answers) && answers.every((answer) => typeof answer === "string");
      return isFit ? answers : null;
    } catch {
      // Another keyring than the one it was sealed with: the person is asked again.
      logger.warn({}, "a kept answer could not be opened");
      return null;
    }
  }
}

/** The name tells nobody whose secret it is. */
function nameOf(keepAs: string): string {
  return `sealed:${createHash("sha256").update(keepAs).digest("base64url")}`;
}
