/** How machines are reached: reads the configuration anew for each connection and chooses the transport. */
import type { HostAccess } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { ConnectSlots } from "../agent/connect-slots.ts";
import type { QuestionAsker } from "../questions/questions.ts";
import { OpenedKeys } from "./authentication/identity-files.ts";
import { type BuiltInContext, connectBuiltIn, probeBuiltIn } from "./built-in/connect.ts";
import type { PhaseLimitsMs } from "./built-in/handshake.ts";
import { loadConfig } from "./config/config-files.ts";
import { processEnvironment, resolveTarget, type SshTarget, type TargetEnvironment } from "./config/target.ts";
import { equivalentCommand } from "./equivalent-command.ts";
import type { PublicKey } from "./keys/public-key.ts";
import { checkHostKey } from "./known-hosts/host-key-check.ts";
import { judge, lookUp, namesOf } from "./known-hosts/known-hosts.ts";
import { appendKnownHost } from "./known-hosts/trust-file.ts";
import type { ConnectOptions, HostKeyTrust, SshConnector, SshSession } from "./ssh-session.ts";

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
    const giveBack = await this.#slots.take(options.signal);
    try {
      const { target, context } = await this.#prepare(access, options);
      const command = equivalentCommand(access, this.#environment.userConfigPath ?? null);
      return await connectBuiltIn(context, target, command);
    } finally {
      giveBack();
    }
  }

  async trust(access: HostAccess, fingerprint: string, options: ConnectOptions): Promise<string> {
    const { target, context } = await this.#prepare(access, options);
    const key = await probeBuiltIn(context, target);
    return trustKey(target, key, fingerprint);
  }

  async #prepare(access: HostAccess, options: ConnectOptions): Promise<{ target: SshTarget; context: BuiltInContext }> {
    options.onStep?.("configuration", null);
    const environment = this.#environment;
    const config = await loadConfig(environment);
    const target = resolveTarget(config, access, environment);
    options.onStep?.("configuration", describeTarget(target));
    const context = {
      config,
      environment,
      asker: this.#asker,
      opened: this.#opened,
      options,
      limitsMs: this.#limitsMs,
    };
    return { target, context };
  }
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

function describeTarget({ user, hostName, port, jumps }: SshTarget): string {
  const via = jumps.length === 0 ? "" : ` through ${jumps.map(({ address }) => address).join(", ")}`;
  return `${user}@${hostName}:${port}${via}`;
}
