/** How machines are reached: reads the configuration anew for each connection and chooses the transport. */
import type { HostAccess } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { ConnectSlots } from "../agent/connect-slots.ts";
import type { QuestionAsker } from "../questions/questions.ts";
import { OpenedKeys } from "./authentication/identity-files.ts";
import { type BuiltInContext, connectBuiltIn, probeBuiltIn } from "./built-in/connect.ts";
import { NegotiationFailure } from "./built-in/failures.ts";
import type { PhaseLimitsMs } from "./built-in/handshake.ts";
import { type Candidates, listCandidates } from "./config/candidates.ts";
import { loadConfig } from "./config/config-files.ts";
import { processEnvironment, type SshTarget, type TargetEnvironment } from "./config/target.ts";
import { resolveWay } from "./config/way.ts";
import { equivalentCommand } from "./equivalent-command.ts";
import type { PublicKey } from "./keys/public-key.ts";
import { checkHostKey } from "./known-hosts/host-key-check.ts";
import { judge, lookUp, namesOf } from "./known-hosts/known-hosts.ts";
import { appendKnownHost } from "./known-hosts/trust-file.ts";
import type { ConnectOptions, HostKeyTrust, SshConnector, SshSession } from "./ssh-session.ts";
import { findSsh } from "./system/ssh-program.ts";
import { connectSystem, probeSystem, type SystemContext } from "./system/system-connect.ts";
import { chooseTransport, type TransportChoice } from "./transport-choice.ts";

/** Key exchanges cost processor time here, and many at once look like an attack there (MaxStartups). */
const MOST_AT_ONCE = 8;
/** A machine that hangs, or a person who is asked, must not keep the others waiting. */
const LONGEST_HOLD_MS = 2_000;

export interface SshConnectorOptions {
  readonly asker: QuestionAsker;
  /** The person's home, configuration and environment; the process's own unless given. */
  readonly environment?: Partial<TargetEnvironment>;
  /** How long each phase of a login may take (tests). */
  readonly limitsMs?: PhaseLimitsMs;
}

export class ConsoleSshConnector implements SshConnector, HostKeyTrust {
  readonly #asker: QuestionAsker;
  readonly #environment: TargetEnvironment;
  readonly #opened = new OpenedKeys();
  readonly #limitsMs: PhaseLimitsMs | undefined;
  readonly #slots = new ConnectSlots(MOST_AT_ONCE, LONGEST_HOLD_MS);

  constructor({ asker, environment, limitsMs }: SshConnectorOptions) {
    this.#limitsMs = limitsMs;
    this.#asker = asker;
    this.#environment = { ...processEnvironment(), ...environment };
  }

  async connect(access: HostAccess, options: ConnectOptions): Promise<SshSession> {
    const attempt = await this.#prepare(access, options);
    const command = equivalentCommand(access, this.#environment.userConfigPath ?? null);
    if (attempt.choice.transport === "system") return this.#connectSystem(attempt, command);
    return this.#connectBuiltIn(attempt, command);
  }

  async trust(access: HostAccess, fingerprint: string, options: ConnectOptions): Promise<string> {
    const attempt = await this.#prepare(access, options);
    const way = await upToUnknown(attempt.way);
    return trustKey(way.at(-1)!, await this.#probe({ ...attempt, way }), fingerprint);
  }

  /** Machines that ~/.ssh/config names. */
  candidates(): Promise<Candidates> {
    return listCandidates(this.#environment);
  }

  async #prepare(access: HostAccess, options: ConnectOptions): Promise<Attempt> {
    options.onStep?.("configuration", null);
    const way = resolveWay(await loadConfig(this.#environment), access, this.#environment);
    const choice = await chooseTransport(way, access.transport, () => this.#program() !== null);
    options.onStep?.("configuration", describeWay(way, choice));
    return { way, choice, options };
  }

  /** A machine that the built-in client cannot satisfy is tried with the system's, unless the person chose otherwise. */
  async #connectBuiltIn(attempt: Attempt, command: string): Promise<SshSession> {
    let unsupported: readonly string[] = [];
    const onUnsupported = (what: readonly string[]) => {
      unsupported = what;
    };
    try {
      return await connectBuiltIn({ ...this.#builtIn(attempt), onUnsupported }, attempt.way, command);
    } catch (error) {
      const reasons = error instanceof NegotiationFailure ? [error.missing] : isRefusal(error) ? unsupported : [];
      if (reasons.length === 0 || !this.#mayChange(attempt)) throw error;
      const { way, options } = attempt;
      options.onStep?.("configuration", describeWay(way, { transport: "system", isFixed: false, reasons }));
      return this.#connectSystem(attempt, command);
    }
  }

  async #probe(attempt: Attempt): Promise<PublicKey> {
    if (attempt.choice.transport === "system") return probeSystem(this.#system(attempt));
    try {
      return await probeBuiltIn(this.#builtIn(attempt), attempt.way);
    } catch (error) {
      if (!(error instanceof NegotiationFailure) || !this.#mayChange(attempt)) throw error;
      return probeSystem(this.#system(attempt));
    }
  }

  #mayChange({ choice }: Attempt): boolean {
    return !choice.isFixed && this.#program() !== null;
  }

  async #connectSystem(attempt: Attempt, command: string): Promise<SshSession> {
    const giveBack = await this.#slots.take(attempt.options.signal);
    try {
      return await connectSystem(this.#system(attempt), command);
    } finally {
      giveBack();
    }
  }

  #builtIn({ options }: Attempt): BuiltInContext {
    return { asker: this.#asker, opened: this.#opened, options, slots: this.#slots, limitsMs: this.#limitsMs };
  }

  #system({ way, options }: Attempt): SystemContext {
    return { program: this.#program() ?? "ssh", environment: this.#environment.environment, way, options };
  }

  #program(): string | null {
    return findSsh(this.#environment.environment);
  }
}

interface Attempt {
  readonly way: readonly SshTarget[];
  readonly choice: TransportChoice;
  readonly options: ConnectOptions;
}

/** A connection ends at the first machine whose key is not known: it is the one that the person looked at. */
async function upToUnknown(way: readonly SshTarget[]): Promise<readonly SshTarget[]> {
  for (const [index, machine] of way.entries()) {
    const { keys, authorities } = await lookUp(machine);
    if (keys.length === 0 && authorities.length === 0) return way.slice(0, index + 1);
  }
  return way;
}

function isRefusal(error: unknown): boolean {
  return error instanceof Failure && error.code === ErrorCode.SSH_AUTHENTICATION_FAILED;
}

/** @throws Failure HOST_KEY_CHANGED, HOST_KEY_UNKNOWN, INVALID_ARGUMENT, PERMISSION_DENIED, DISK_FULL */
async function trustKey(target: SshTarget, key: PublicKey, fingerprint: string): Promise<string> {
  const machine = await lookUp(target);
  const failure = checkHostKey(machine, key, target);
  if (key.fingerprint !== fingerprint) {
    throw new Failure({
      code: ErrorCode.HOST_KEY_CHANGED,
      message: `${target.hostName} shows the key ${key.fingerprint} now, not the one that you looked at (${fingerprint}). Nothing was written.`,
      hint: "Check the machine again, and compare the key that it shows at its own console.",
    });
  }
  const [path] = target.userKnownHostsFiles;
  const verdict = judge(machine, key);
  if (verdict.kind === "trusted") return verdict.by.path;
  // A changed or revoked key is never written beside the old one: the person removes that first.
  if (failure && verdict.kind !== "unknown") throw failure;
  if (path === undefined) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "UserKnownHostsFile is none, so there is no file that the key could be written to.",
      hint: "Name a file in ~/.ssh/config.",
    });
  }
  await appendKnownHost(path, namesOf(target)[0]!, key, target.hashesKnownHosts);
  return path;
}

function describeWay(way: readonly SshTarget[], { transport, reasons }: TransportChoice): string {
  const { user, hostName, port } = way.at(-1)!;
  const hops = way.slice(0, -1).map((hop) => hop.hostName);
  const via = hops.length === 0 ? "" : ` through ${hops.join(", ")}`;
  const by =
    transport === "system" ? `, by the system's ssh${reasons.length === 0 ? "" : `: ${reasons.join(", ")}`}` : "";
  return `${user}@${hostName}:${port}${via}${by}`;
}
