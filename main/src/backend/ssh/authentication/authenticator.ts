/**
 * Proves to one machine who we are: keys first, then its own prompts, then a password. Each way is tried a bounded number
 * of times, and a refusal names everything that was tried.
 */
import { QuestionKind } from "@wardline/api/wardline/console/v1/fleet";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type AnyAuthMethod, BaseAgent, type ParsedKey } from "ssh2";
import type { QuestionAsker } from "../../questions/questions.ts";
import { type Place, placeText, strangersText } from "../built-in/failures.ts";
import type { Refusal } from "../built-in/refusals.ts";
import type { SshTarget } from "../config/target.ts";
import { parsedPublicKey } from "./agent-keys.ts";
import { collectIdentities, type Identities, type Identity } from "./identities.ts";
import { type KeyFile, type OpenedKeys, openPrivateKey } from "./identity-files.ts";

const MOST_PASSPHRASES = 3;
const MOST_PASSWORDS = 2;
/** A machine may ask for several, one after the other (AuthenticationMethods). */
const MOST_PROOFS = 3;
const MOST_PROMPT_ROUNDS = 5;
const MOST_PROMPTS = 8;
const LONGEST_PROMPT = 400;

/** Methods of which the built-in client knows nothing, with the keyword that turns them on. */
const SYSTEM_METHODS = [
  ["gssapi-with-mic", "gssapiauthentication"],
  ["hostbased", "hostbasedauthentication"],
] as const;

export interface AuthenticationContext {
  readonly hostId: string;
  readonly target: SshTarget;
  readonly place: Place;
  readonly asker: QuestionAsker;
  readonly opened: OpenedKeys;
  readonly isInteractive: boolean;
  readonly signal: AbortSignal;
  /** Stops the clock of the step while somebody is asked. */
  readonly whileAsking: <Result>(work: () => Promise<Result>) => Promise<Result>;
  /** Ends the connection: the machine does not behave. */
  readonly giveUp: (why: string) => void;
}

type Attempt = { readonly method: string; readonly label: string; readonly auth: AnyAuthMethod };
type SendAttempt = (auth: AnyAuthMethod | false) => void;

export class Authenticator {
  readonly #context: AuthenticationContext;
  readonly #tried: string[] = [];
  #identities: Identities = { offered: [], notes: [], unsupported: [] };
  #attempts: AsyncGenerator<Attempt, void> | null = null;
  #allowed: readonly string[] = [];
  #methodsLeft: readonly string[] | null = null;
  #taken = 0;
  #declined = false;
  /** Keys that the machine would have taken and that did not sign. */
  readonly #unsigned: string[] = [];
  #accepted = "";

  constructor(context: AuthenticationContext) {
    this.#context = context;
  }

  /** How the machine let us in, once it did. */
  get accepted(): string {
    return this.#accepted;
  }

  /** What only the system's `ssh` could have offered: certificates, hardware keys, Kerberos. */
  get unsupported(): readonly string[] {
    const { values } = this.#context.target.config;
    const methods = SYSTEM_METHODS.filter(
      ([method, keyword]) => this.#allowed.includes(method) && values.get(keyword)?.args[0]?.toLowerCase() === "yes",
    );
    return [...this.#identities.unsupported, ...methods.map(([method]) => method)];
  }

  /** For ssh2's `authHandler`. */
  next(methodsLeft: readonly string[] | null, send: SendAttempt): void {
    this.#choose(this.#methodsLeft ?? methodsLeft).then(
      (attempt) => {
        if (attempt === null) return send(false);
        this.#accepted = attempt.label;
        if (attempt.method !== "none") this.#tried.push(attempt.label);
        send(attempt.auth);
      },
      () => send(false),
    );
  }

  /** One proof was not enough, or was none. */
  refused({ methodsLeft, isPartlyIn }: Refusal): void {
    this.#methodsLeft = methodsLeft;
    // Everything may be tried for the next proof.
    if (isPartlyIn && ++this.#taken < MOST_PROOFS) this.#attempts = null;
  }

  /** What a refusal means. @param said what the machine said when it ended the connection; empty when it only refused */
  failure(said = ""): Failure {
    const { target, place } = this.#context;
    const tried = this.#tried.length === 0 ? "nothing could be tried" : `tried: ${this.#tried.join(", ")}`;
    const allowed =
      this.#allowed.length === 0 ? "" : `; it takes ${this.#allowed.map((name) => strangersText(name, 30)).join(", ")}`;
    const notes = [...this.#identities.notes, ...this.#unsigned].map((note) => ` ${sentence(note)}`).join("");
    const words = said === "" ? "" : ` It said "${strangersText(said)}".`;
    return new Failure({
      code: ErrorCode.SSH_AUTHENTICATION_FAILED,
      message: `${placeText(place)} did not let ${target.user} in: ${tried}${allowed}.${words}${notes}`,
      hint: this.#hint(),
    });
  }

  #hint(): string {
    if (this.#declined && !this.#context.isInteractive) {
      return "A passphrase or password is needed, and nobody was asked: connect from the console, or add the key to an agent (ssh-add).";
    }
    if (this.#declined) return "It was not answered. Connect again to be asked again.";
    if (this.unsupported.length > 0) {
      return "The built-in client cannot use certificates, hardware keys and Kerberos: choose the system's ssh for this host.";
    }
    return "Have one of these keys added to authorized_keys of that account, or name another user or key for this host.";
  }

  async #choose(methodsLeft: readonly string[] | null): Promise<Attempt | null> {
    const { target } = this.#context;
    if (methodsLeft === null) {
      // Tells which methods there are, and costs no attempt.
      return { method: "none", label: "no proof at all", auth: { type: "none", username: target.user } };
    }
    this.#allowed = methodsLeft.slice(0, 10);
    this.#attempts ??= this.#all();
    for (;;) {
      const step = await this.#attempts.next();
      if (step.done || this.#context.signal.aborted) return null;
      if (methodsLeft.includes(step.value.method)) return step.value;
    }
  }

  /** Everything that could be tried, found out only when it is its turn. */
  async *#all(): AsyncGenerator<Attempt, void> {
    const username = this.#context.target.user;
    if (this.#allowed.includes("publickey")) {
      this.#identities = await collectIdentities(this.#context.target, (file) => this.#unlock(file));
      for (const identity of this.#identities.offered) {
        const label = `key ${identity.publicKey.fingerprint} (${strangersText(identity.label, 80)})`;
        yield {
          method: "publickey",
          label,
          auth: {
            type: "agent",
            username,
            agent: new OneKeyAgent(identity, (work) => this.#sign(identity, work)),
          },
        };
      }
    }
    const isDeclined = yield* this.#prompts(username);
    if (!isDeclined) yield* this.#passwords(username);
  }

  /** Somebody may be asked meanwhile, by us or by an agent. */
  async #sign(identity: Identity, work: () => Promise<Buffer>): Promise<Buffer> {
    try {
      return await this.#context.whileAsking(work);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#unsigned.push(`${strangersText(identity.label, 80)} did not sign: ${strangersText(why)}`);
      throw error;
    }
  }

  /** Returns whether the person declined: then nothing else is asked for the same purpose. */
  async *#prompts(username: string): AsyncGenerator<Attempt, boolean> {
    if (!this.#allowed.includes("keyboard-interactive") || !this.#context.isInteractive) return false;
    let rounds = 0;
    let isDeclined = false;
    const auth: AnyAuthMethod = {
      type: "keyboard-interactive",
      username,
      prompt: (name, instructions, _language, prompts, finish) => {
        if (++rounds > MOST_PROMPT_ROUNDS || prompts.length > MOST_PROMPTS) {
          return this.#context.giveUp("more questions than anybody should answer");
        }
        this.#answer(name, instructions, prompts).then(
          (answers) => {
            isDeclined ||= answers === null;
            finish(answers === null ? prompts.map(() => "") : [...answers]);
          },
          () => finish([]),
        );
      },
    };
    yield { method: "keyboard-interactive", label: "keyboard-interactive", auth };
    return isDeclined;
  }

  async *#passwords(username: string): AsyncGenerator<Attempt> {
    const { target } = this.#context;
    for (let attempt = 0; attempt < MOST_PASSWORDS; attempt++) {
      if (!this.#allowed.includes("password")) return;
      const password = await this.#ask({
        kind: QuestionKind.PASSWORD,
        subject: `${username}@${target.hostName}`,
        instruction: `Password of ${username} on ${placeText(this.#context.place)}`,
        prompts: [{ text: "Password", echo: false }],
        keepAs: `password:${username}@${target.hostName}:${target.port}`,
        wasWrong: attempt > 0,
      });
      if (password === null) return;
      yield {
        method: "password",
        label: "password",
        auth: { type: "password", username, password: password[0] ?? "" },
      };
    }
  }

  async #unlock(file: KeyFile): Promise<ParsedKey | null> {
    const text = file.text ?? "";
    const known = this.#context.opened.get(text);
    if (known) return known;
    for (let attempt = 0; attempt < MOST_PASSPHRASES; attempt++) {
      const answers = await this.#ask({
        kind: QuestionKind.PASSPHRASE,
        subject: file.path,
        instruction: `Passphrase of the key ${file.path}`,
        prompts: [{ text: "Passphrase", echo: false }],
        keepAs: `passphrase:${file.publicKey?.fingerprint ?? file.path}`,
        wasWrong: attempt > 0,
      });
      if (answers === null) return null;
      const key = openPrivateKey(text, answers[0] ?? "");
      if (key === null) continue;
      this.#context.opened.set(text, key);
      return key;
    }
    return null;
  }

  #answer(
    name: string,
    instructions: string,
    prompts: readonly { prompt: string; echo?: boolean }[],
  ): Promise<readonly string[] | null> {
    const { target } = this.#context;
    return this.#ask({
      kind: QuestionKind.KEYBOARD_INTERACTIVE,
      subject: `${target.user}@${target.hostName}`,
      instruction: strangersText([name, instructions].filter((text) => text.trim() !== "").join(": "), LONGEST_PROMPT),
      prompts: prompts.map(({ prompt, echo }) => ({
        text: strangersText(prompt, LONGEST_PROMPT),
        echo: echo === true,
      })),
      keepAs: null,
    });
  }

  async #ask(question: Omit<Parameters<QuestionAsker["ask"]>[0], "hostId" | "onlyKept">) {
    const { hostId, asker, signal, isInteractive, whileAsking } = this.#context;
    const answers = await whileAsking(() => asker.ask({ hostId, onlyKept: !isInteractive, ...question }, signal));
    if (answers === null) this.#declined = true;
    return answers;
  }
}

/** ssh2 offers the public key first and asks for a signature only when the machine would take it. */
class OneKeyAgent extends BaseAgent<ParsedKey> {
  readonly #identity: Identity;
  readonly #run: (work: () => Promise<Buffer>) => Promise<Buffer>;

  constructor(identity: Identity, run: (work: () => Promise<Buffer>) => Promise<Buffer>) {
    super();
    this.#identity = identity;
    this.#run = run;
  }

  getIdentities(callback: (error: Error | undefined, keys?: ParsedKey[]) => void): void {
    const key = parsedPublicKey(this.#identity.publicKey);
    callback(undefined, key ? [key] : []);
  }

  sign(_key: unknown, data: Buffer, ...rest: unknown[]): void {
    const callback = rest.at(-1) as (error: Error | null, signature?: Buffer) => void;
    const { hash } = (rest.length > 1 ? (rest[0] as { hash?: string } | undefined) : undefined) ?? {};
    this.#run(() => this.#identity.sign(data, hash)).then(
      (signature) => callback(null, signature),
      (error: Error) => callback(error),
    );
  }
}

function sentence(clause: string): string {
  return `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`;
}
