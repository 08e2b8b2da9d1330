/** From a byte stream to an authenticated SSH connection. Each phase has its own limit and its own failures. */
import type { Duplex } from "node:stream";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { Client, type ConnectConfig } from "ssh2";
import { type AuthenticationContext, Authenticator } from "../authentication/authenticator.ts";
import { StepTimer } from "../authentication/step-timer.ts";
import type { HostKeyFailure } from "../host-key-failure.ts";
import { type PublicKey, readPublicKey } from "../keys/public-key.ts";
import { checkHostKey, hostKeyAlgorithms } from "../known-hosts/host-key-check.ts";
import { type KnownMachine, lookUp } from "../known-hosts/known-hosts.ts";
import type { ConnectOptions } from "../ssh-session.ts";
import { canceled, connectionLost, NegotiationFailure, notSsh, type Place, timedOut } from "./failures.ts";
import { onRefusal } from "./refusals.ts";

/** How long each phase may take; while somebody is asked, the clock stands still. */
export type PhaseLimitsMs = Readonly<Record<Phase, number>>;

const USUAL_LIMITS_MS: PhaseLimitsMs = { port: 10_000, "host-key": 20_000, authentication: 30_000 };
/** Before the identification a server may say other lines (RFC 4253, section 4.2). */
const MOST_GREETING_BYTES = 16 * 1024;

export interface Handshake {
  readonly client: Client;
  readonly hostKey: PublicKey;
  /** How the machine let us in. */
  readonly accepted: string;
}

export interface HandshakeInput extends Omit<AuthenticationContext, "whileAsking" | "giveUp"> {
  readonly stream: Duplex;
  readonly onStep?: ConnectOptions["onStep"] | undefined;
  readonly limitsMs?: PhaseLimitsMs | undefined;
  /** Called with what only the system's `ssh` could have offered, when the machine let nobody in. */
  readonly onUnsupported?: ((what: readonly string[]) => void) | undefined;
}

type Phase = "port" | "host-key" | "authentication";

/** @throws Failure HOST_UNREACHABLE, HOST_KEY_UNKNOWN, HOST_KEY_CHANGED, SSH_AUTHENTICATION_FAILED, CANCELED */
export async function handshake(input: HandshakeInput): Promise<Handshake> {
  const { stream } = input;
  // Errors between here and the listeners of ssh2 must not end the process.
  stream.on("error", () => {});
  try {
    const machine = await lookUp(input.target);
    return await new HandshakeRun(input, machine).run();
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** Fetches the key of a machine without a word about who we are. @throws Failure HOST_UNREACHABLE, CANCELED */
export async function probeHostKey(input: HandshakeInput): Promise<PublicKey> {
  input.stream.on("error", () => {});
  const machine = await lookUp(input.target);
  const run = new HandshakeRun(input, machine, true);
  try {
    await run.run();
  } catch (error) {
    if (run.shownKey === null) throw error;
  } finally {
    input.stream.destroy();
  }
  if (run.shownKey === null) throw connectionLost(input.place, "before it showed its key");
  return run.shownKey;
}

class HandshakeRun {
  readonly #input: HandshakeInput;
  readonly #machine: KnownMachine;
  readonly #isProbe: boolean;
  readonly #limitsMs: PhaseLimitsMs;
  readonly #client = new Client();
  readonly #authenticator: Authenticator;
  #phase: Phase = "port";
  #timer: StepTimer;
  #greeting = "";
  #keyFailure: HostKeyFailure | null = null;
  #lastError: Error | null = null;
  #fail: (error: Error) => void = () => {};
  shownKey: PublicKey | null = null;

  constructor(input: HandshakeInput, machine: KnownMachine, isProbe = false) {
    this.#input = input;
    this.#machine = machine;
    this.#isProbe = isProbe;
    this.#limitsMs = input.limitsMs ?? USUAL_LIMITS_MS;
    this.#timer = this.#limit(this.#limitsMs.port);
    const whileAsking = <Result>(work: () => Promise<Result>) => this.#timer.pausedDuring(work);
    this.#authenticator = new Authenticator({
      ...input,
      whileAsking,
      giveUp: (why) => this.#fail(this.#authenticator.failure(why)),
    });
  }

  async run(): Promise<Handshake> {
    const { stream, signal } = this.#input;
    const giveUp = () => this.#fail(canceled());
    try {
      return await new Promise<Handshake>((resolve, reject) => {
        this.#fail = reject;
        if (signal.aborted) return reject(canceled());
        signal.addEventListener("abort", giveUp, { once: true });
        this.#begin("port");
        // It may have ended while we waited for our turn or read the known hosts; no event tells so a second time.
        if (stream.destroyed || stream.readableEnded) return reject(this.#greetingFailure(stream.errored));
        this.#listen(resolve);
        this.#client.connect(this.#configuration());
        onRefusal(this.#client, (refusal) => this.#authenticator.refused(refusal));
        // ssh2 has paused the stream and reads it from the next tick on.
        stream.on("data", this.#readGreeting);
      });
    } catch (error) {
      if (error instanceof Failure && this.#phase === "authentication" && this.#authenticator.unsupported.length > 0) {
        this.#input.onUnsupported?.(this.#authenticator.unsupported);
      }
      this.#client.on("error", () => {});
      this.#client.destroy();
      throw error;
    } finally {
      this.#timer.clear();
      signal.removeEventListener("abort", giveUp);
      stream.off("data", this.#readGreeting);
    }
  }

  #configuration(): ConnectConfig {
    const { target, stream } = this.#input;
    return {
      sock: stream,
      host: target.hostName,
      port: target.port,
      username: target.user,
      ident: "wardline",
      // Each phase has its own limit.
      readyTimeout: 0,
      keepaliveInterval: target.aliveIntervalMs,
      keepaliveCountMax: target.aliveCount,
      agentForward: false,
      // Forwarding to sockets is asked of whatever server; those without it refuse.
      strictVendor: false,
      algorithms: { serverHostKey: hostKeyAlgorithms(this.#machine) as never, compress: ["none"] },
      hostVerifier: (blob: Buffer) => this.#verify(blob),
      authHandler: ((methodsLeft: string[] | null, _isPartlyIn: boolean | null, next: (auth: unknown) => void) =>
        this.#authenticator.next(methodsLeft, next)) as never,
    };
  }

  /** Mandatory: ssh2 takes every key without it. Also called when keys are exchanged anew. */
  #verify(blob: Buffer): boolean {
    const shown = readPublicKey(Buffer.from(blob));
    if (shown === null) return false;
    if (this.shownKey !== null) return this.shownKey.blob.equals(shown.blob);
    this.shownKey = shown;
    this.#keyFailure = this.#isProbe ? null : checkHostKey(this.#machine, shown, this.#input.target);
    return this.#keyFailure === null;
  }

  #listen(resolve: (result: Handshake) => void): void {
    const client = this.#client;
    client.on("handshake", () => {
      const { shownKey } = this;
      // A machine that authenticates without a key that was verified is not one.
      if (shownKey === null) return this.#fail(connectionLost(this.#input.place, "without showing a key"));
      if (this.#isProbe) return this.#fail(canceled());
      if (this.#phase !== "host-key") return;
      this.#input.onStep?.("host-key", `${shownKey.type} ${shownKey.fingerprint}`);
      this.#begin("authentication");
    });
    client.on("ready", () => {
      this.#input.onStep?.("authentication", this.#authenticator.accepted);
      client.setNoDelay(true);
      client.removeAllListeners();
      client.on("error", () => {});
      resolve({ client, hostKey: this.shownKey!, accepted: this.#authenticator.accepted });
    });
    client.on("error", (error: Error & { level?: string }) => {
      // One key of an agent that did not sign: the next one is tried.
      if (error.level === "agent") return;
      this.#lastError = error;
      this.#fail(this.#failure(error));
    });
    client.on("change password", () => this.#fail(this.#authenticator.failure("the password has expired")));
    client.on("close", () => this.#fail(this.#failure(this.#lastError)));
  }

  #begin(phase: Phase): void {
    this.#phase = phase;
    this.#input.onStep?.(phase, null);
    this.#timer.clear();
    this.#timer = this.#limit(this.#limitsMs[phase]);
  }

  #limit(limitMs: number): StepTimer {
    return new StepTimer(limitMs, () => {
      if (this.#phase === "port")
        this.#fail(
          this.#greeting === "" ? timedOut(this.#input.place, limitMs) : notSsh(this.#input.place, this.#greeting),
        );
      else this.#fail(connectionLost(this.#input.place, `by saying nothing for ${limitMs / 1000} s (${this.#phase})`));
    });
  }

  /** Looks at the first lines beside ssh2: tells a server of something else by name, and ends an endless greeting. */
  readonly #readGreeting = (chunk: Buffer): void => {
    if (this.#phase !== "port") return;
    this.#greeting += chunk.toString("latin1");
    const identification = /^SSH-(?:2\.0|1\.99)-[^\r\n]*/m.exec(this.#greeting)?.[0];
    if (identification !== undefined && /\n/.test(this.#greeting.slice(this.#greeting.indexOf(identification)))) {
      this.#input.stream.off("data", this.#readGreeting);
      this.#input.onStep?.("port", identification.replace(/[^\x20-\x7e]/g, "?").slice(0, 100));
      this.#begin("host-key");
    } else if (this.#greeting.length > MOST_GREETING_BYTES) {
      this.#fail(notSsh(this.#input.place, this.#greeting));
    }
  };

  #failure(error: Error | null): Failure {
    const { place } = this.#input;
    if (this.#keyFailure) return this.#keyFailure;
    const message = error?.message ?? "";
    if (this.#phase === "port") return this.#greetingFailure(error);
    const [, what] = /no matching ([a-zA-Z0-9 ]+?)(?: algorithm| format)?$/i.exec(message) ?? [];
    if (what !== undefined)
      return new NegotiationFailure(place, `${what.replace(/^C->S |^S->C /, "")} algorithm`, error);
    if (this.#phase === "host-key") {
      return connectionLost(
        place,
        message === "" ? "before it showed its key" : `during the key exchange (${message.slice(0, 200)})`,
        error,
      );
    }
    if (message === "All configured authentication methods failed") return this.#authenticator.failure();
    return this.#authenticator.failure(message === "" ? "(nothing, and ended the connection)" : message);
  }

  #greetingFailure(error: Error | null): Failure {
    const { place } = this.#input;
    if (this.#greeting !== "") return notSsh(place, this.#greeting);
    if (error && "code" in error && error.code === "ECONNRESET") {
      return connectionLost(place, "before it said a word (reset)", error);
    }
    return connectionLost(place, "before it said a word", error);
  }
}

export function lostLater(place: Place, error: Error | null): Failure {
  return new Failure(
    {
      code: ErrorCode.AGENT_UNREACHABLE,
      message: `The SSH connection to ${place.hostName} was lost${error ? ` (${error.message.slice(0, 200)})` : ""}.`,
      hint: "The console connects again by itself. What the host enforces stays as it is.",
      retryable: true,
    },
    { cause: error },
  );
}
