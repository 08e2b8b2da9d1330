/** One machine as files and person say together: where it is, who we are there, and what to trust. */
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import type { HostAccess } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type JumpSpec, parseJumps, requireAddress, requirePath, requirePort, requireUser } from "./addresses.ts";
import type { ConfigPaths, LoadedConfig } from "./config-files.ts";
import { type ConfigValue, type ResolvedConfig, resolveConfig } from "./resolve.ts";
import { expandPath, expandTokens, type TokenValues } from "./tokens.ts";

const DEFAULT_PORT = 22;
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
/** Shorter than what routers on the way keep of a quiet connection. */
const DEFAULT_ALIVE_INTERVAL_MS = 15_000;
const DEFAULT_ALIVE_COUNT = 3;
const DEFAULT_IDENTITIES = ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"];

/** Keywords that the built-in client does not follow and that change how the machine is reached or trusted. */
const SYSTEM_ONLY: readonly { keyword: string; matters: (value: string) => boolean; why: string }[] = [
  { keyword: "proxycommand", matters: isNotNone, why: "ProxyCommand" },
  { keyword: "knownhostscommand", matters: isNotNone, why: "KnownHostsCommand" },
  { keyword: "revokedhostkeys", matters: isNotNone, why: "RevokedHostKeys" },
  { keyword: "pkcs11provider", matters: isNotNone, why: "PKCS11Provider" },
  { keyword: "canonicalizehostname", matters: (value) => value !== "no", why: "CanonicalizeHostname" },
  { keyword: "bindaddress", matters: () => true, why: "BindAddress" },
  { keyword: "bindinterface", matters: () => true, why: "BindInterface" },
  { keyword: "ciphers", matters: () => true, why: "Ciphers" },
  { keyword: "macs", matters: () => true, why: "MACs" },
  { keyword: "kexalgorithms", matters: () => true, why: "KexAlgorithms" },
  { keyword: "hostkeyalgorithms", matters: () => true, why: "HostKeyAlgorithms" },
  { keyword: "pubkeyacceptedalgorithms", matters: () => true, why: "PubkeyAcceptedAlgorithms" },
];

export interface IdentityFile {
  readonly path: string;
  /** Named by the person or a file, not one of the usual names. */
  readonly isChosen: boolean;
}

export interface SshTarget {
  /** As the person gave it. */
  readonly alias: string;
  readonly hostName: string;
  readonly port: number;
  readonly user: string;
  readonly identityFiles: readonly IdentityFile[];
  readonly identitiesOnly: boolean;
  /** Socket of the agent; `null` = none. */
  readonly agentSocket: string | null;
  readonly certificateFiles: readonly string[];
  readonly jumps: readonly JumpSpec[];
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];
  /** Name to look the key up under; empty = host name and port. */
  readonly hostKeyAlias: string;
  readonly hashesKnownHosts: boolean;
  readonly addressFamily: 0 | 4 | 6;
  readonly connectTimeoutMs: number;
  readonly aliveIntervalMs: number;
  readonly aliveCount: number;
  /** What of the configuration only the system's `ssh` follows: names of keywords with their places. */
  readonly systemReasons: readonly string[];
  readonly notes: readonly string[];
  readonly config: ResolvedConfig;
}

export interface TargetEnvironment extends ConfigPaths {
  readonly environment: NodeJS.ProcessEnv;
  readonly localUser: string;
  readonly localHostName: string;
}

export function processEnvironment(): TargetEnvironment {
  const { username, homedir } = userInfo();
  return {
    homeDir: process.env.HOME?.startsWith("/") ? process.env.HOME : homedir,
    environment: process.env,
    localUser: username,
    localHostName: hostname(),
  };
}

/** What of an access belongs to the machine itself and not to the way there. */
export type TargetAccess = Pick<HostAccess, "address" | "port" | "user" | "identityFiles" | "jump">;

/** @throws Failure INVALID_ARGUMENT */
export function resolveTarget(config: LoadedConfig, access: TargetAccess, environment: TargetEnvironment): SshTarget {
  const alias = requireAddress(access.address);
  const chosenJumps = access.jump === "" ? null : parseJumps(access.jump);
  const resolved = resolveConfig(config, {
    alias,
    localUser: environment.localUser,
    overrides: overridesOf(access),
  });
  const read = new ValueReader(resolved, environment, alias);
  const { hostName, port, user } = read;
  const systemReasons = chosenJumps === null ? read.systemReasons() : read.systemReasons(["proxycommand"]);
  const chosen = [...access.identityFiles.map((path) => requirePath(path, "The key")), ...resolved.identityFiles];
  const identityFiles = chosen
    .filter(isNotNone)
    .map((path) => ({ path: expandPath(path, read.tokens), isChosen: true }));
  const usual = DEFAULT_IDENTITIES.map((name) => ({
    path: join(environment.homeDir, ".ssh", name),
    isChosen: false,
  }));
  return {
    alias,
    hostName,
    port,
    user,
    identityFiles: chosen.length > 0 ? identityFiles : usual,
    identitiesOnly: read.flag("identitiesonly", false),
    agentSocket: read.agentSocket(),
    certificateFiles: resolved.certificateFiles.filter(isNotNone).map((path) => expandPath(path, read.tokens)),
    jumps: chosenJumps ?? read.jumps(),
    userKnownHostsFiles: read.paths("userknownhostsfile", ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]),
    globalKnownHostsFiles: read.paths("globalknownhostsfile", [
      "/etc/ssh/ssh_known_hosts",
      "/etc/ssh/ssh_known_hosts2",
    ]),
    hostKeyAlias: read.word("hostkeyalias") ?? "",
    hashesKnownHosts: read.flag("hashknownhosts", false),
    addressFamily: read.addressFamily(),
    connectTimeoutMs: read.seconds("connecttimeout") ?? DEFAULT_CONNECT_TIMEOUT_MS,
    aliveIntervalMs: read.seconds("serveraliveinterval") ?? DEFAULT_ALIVE_INTERVAL_MS,
    aliveCount: read.count("serveralivecountmax") ?? DEFAULT_ALIVE_COUNT,
    systemReasons,
    notes: resolved.notes,
    config: resolved,
  };
}

function overridesOf(access: TargetAccess): Map<string, string> {
  const overrides = new Map<string, string>();
  if (requirePort(access.port) !== 0) overrides.set("port", String(access.port));
  if (requireUser(access.user) !== "") overrides.set("user", access.user);
  return overrides;
}

class ValueReader {
  readonly hostName: string;
  readonly port: number;
  readonly user: string;
  readonly tokens: TokenValues;
  readonly #resolved: ResolvedConfig;

  constructor(resolved: ResolvedConfig, environment: TargetEnvironment, alias: string) {
    this.#resolved = resolved;
    const { homeDir, localUser, localHostName } = environment;
    this.port = this.#port();
    this.user = requireUser(this.word("user") ?? localUser);
    const tokens = { homeDir, alias, hostName: alias, port: this.port, user: this.user, localUser, localHostName };
    const rest = { hostKeyAlias: this.word("hostkeyalias") ?? "", environment: environment.environment };
    this.hostName = requireAddress(
      expandTokens(this.word("hostname") ?? alias, { ...tokens, ...rest }),
      "HostName",
    ).toLowerCase();
    this.tokens = { ...tokens, ...rest, hostName: this.hostName };
  }

  value(keyword: string): ConfigValue | undefined {
    return this.#resolved.values.get(keyword);
  }

  word(keyword: string): string | undefined {
    return this.value(keyword)?.args[0];
  }

  flag(keyword: string, otherwise: boolean): boolean {
    const word = this.word(keyword)?.toLowerCase();
    return word === undefined ? otherwise : word === "yes" || word === "true";
  }

  /** `30`, `1m`, `1h30m`, as sshd_config(5) has times; `null` when absent, 0 or `none`. */
  seconds(keyword: string): number | null {
    const word = this.word(keyword)?.toLowerCase();
    if (word === undefined || word === "none") return null;
    if (!/^(?:\d{1,9}[smhdw]?)+$/.test(word)) throw this.#refused(keyword);
    const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
    let total = 0;
    for (const [, count = "", unit = "s"] of word.matchAll(/(\d+)([smhdw]?)/g)) {
      total += Number(count) * (unitSeconds[unit || "s"] ?? 1);
    }
    return total === 0 ? null : Math.min(total, 86_400) * 1000;
  }

  count(keyword: string): number | null {
    const word = this.word(keyword);
    if (word === undefined) return null;
    if (!/^\d{1,6}$/.test(word)) throw this.#refused(keyword);
    return Number(word);
  }

  paths(keyword: string, usual: readonly string[]): string[] {
    return (this.value(keyword)?.args ?? usual).filter(isNotNone).map((path) => expandPath(path, this.tokens));
  }

  addressFamily(): 0 | 4 | 6 {
    const word = this.word("addressfamily")?.toLowerCase();
    if (word === "inet") return 4;
    return word === "inet6" ? 6 : 0;
  }

  agentSocket(): string | null {
    const { environment } = this.tokens;
    const fromEnvironment = environment.SSH_AUTH_SOCK || null;
    const word = this.word("identityagent");
    if (word === undefined || word === "SSH_AUTH_SOCK") return fromEnvironment;
    if (!isNotNone(word)) return null;
    if (/^\$[A-Za-z0-9_]+$/.test(word)) return environment[word.slice(1)] || null;
    return expandPath(word, this.tokens);
  }

  jumps(): JumpSpec[] {
    const jump = this.value("proxyjump");
    if (!jump || this.#proxyCommandIsFirst()) return [];
    return parseJumps(expandTokens(jump.args[0] ?? "", this.tokens));
  }

  systemReasons(except: readonly string[] = []): string[] {
    const reasons: string[] = [];
    for (const { keyword, matters, why } of SYSTEM_ONLY) {
      const value = this.value(keyword);
      if (!value || except.includes(keyword) || !matters(value.args[0]?.toLowerCase() ?? "")) continue;
      if (keyword === "proxycommand" && this.value("proxyjump") && !this.#proxyCommandIsFirst()) continue;
      reasons.push(`${why} (${value.origin})`);
    }
    return reasons;
  }

  /** Of ProxyCommand and ProxyJump the one that comes first counts; values keep the order they were found in. */
  #proxyCommandIsFirst(): boolean {
    for (const keyword of this.#resolved.values.keys()) {
      if (keyword === "proxycommand") return true;
      if (keyword === "proxyjump") return false;
    }
    return false;
  }

  #port(): number {
    const word = this.word("port");
    if (word === undefined) return DEFAULT_PORT;
    const port = /^\d{1,5}$/.test(word) ? Number(word) : 0;
    if (port < 1 || port > 65535) throw this.#refused("port");
    return port;
  }

  #refused(keyword: string): Failure {
    const value = this.value(keyword);
    return new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `${value?.origin ?? "The SSH configuration"}: "${keyword} ${value?.args[0] ?? ""}" cannot be read.`,
      hint: "See ssh_config(5).",
    });
  }
}

function isNotNone(value: string): boolean {
  return value.toLowerCase() !== "none";
}
