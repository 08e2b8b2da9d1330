/** The command line of the agent. */
import { isIP } from "node:net";
import { homedir, hostname } from "node:os";
import { isAbsolute, join } from "node:path";
import { parseArgs } from "node:util";
import type { AnomalyOptions } from "../anomaly/anomalyHost.ts";
import { type AuditLimits, auditLimits } from "../audit/auditSegments.ts";
import { DEFAULT_RECORD_OPTIONS, type RecordOptions } from "../flows/records/startRecords.ts";
import type { StartFailure } from "../generations/controllerTypes.ts";
import type { MeshOptions } from "../mesh/meshOptions.ts";
import type { MetricsOptions } from "../metrics/startMetrics.ts";
import { meshOptions } from "./meshOptions.ts";
import { UsageError } from "./usageError.ts";

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
const BACKENDS = ["auto", "ebpf", "nftables", "pf", "observe"] as const;
const EDGES = ["auto", "on", "off"] as const;
const START_FAILURES = ["closed", "open"] as const satisfies readonly StartFailure[];

export type LogLevel = (typeof LOG_LEVELS)[number];
export type BackendChoice = (typeof BACKENDS)[number];

export interface AgentOptions {
  readonly socketPath: string;
  readonly stateDir: string;
  readonly bpffsDir: string;
  /** cgroup2 directory to attach to; `null` = the root of the hierarchy. */
  readonly cgroupRoot: string | null;
  readonly hostName: string;
  readonly backend: BackendChoice;
  readonly logLevel: LogLevel;
  /** Whether packets without a socket are judged at the interfaces. */
  readonly edge: boolean;
  /** Names of the interfaces on which denied sources are dropped by XDP. */
  readonly earlyDrop: readonly string[];
  /** What becomes of a host that was enforcing and cannot be brought to its last state. */
  readonly bootFailure: StartFailure;
  /** Whether and how it looks for what is not normal; not at all unless given. */
  readonly anomaly?: AnomalyOptions;
  /** Which meshes are looked for; none unless given. */
  readonly mesh?: MeshOptions;
  /** Where Prometheus asks; nowhere unless given. */
  readonly metrics?: MetricsOptions;
  /** Limits of the journal of flow records; the usual ones unless given. */
  readonly records?: RecordOptions;
  /** Limits of the audit log; the usual ones unless given. */
  readonly audit?: AuditLimits;
}

export type Command =
  | { readonly kind: "run" | "boot"; readonly options: AgentOptions }
  | { readonly kind: "uninstall"; readonly options: AgentOptions; readonly keepState: boolean }
  | { readonly kind: "test-run" }
  | { readonly kind: "version"; readonly json: boolean }
  | { readonly kind: "help" };

export { UsageError };

export const HELP = `Usage: wardline-agent run [options]
       wardline-agent boot [options]
       wardline-agent uninstall [--keep-state] [options]
       wardline-agent test-run
       wardline-agent --version [--json]

run enforces Wardline policies on this host. Without root it only observes.
boot puts the last confirmed policies in force and ends: for a unit that runs before the network.
uninstall ends enforcement and removes what the agent made on this host. No agent may run.
test-run reads compiled programs with packets from standard input, one JSON document a line,
and writes what the kernel decides about each packet. It needs root, attaches nothing and
changes nothing.

Options:
  --socket PATH        where the console reaches it   (root: /run/wardline/agent.sock)
  --state-dir DIR      records and audit log          (root: /var/lib/wardline)
  --bpffs-dir DIR      where the programs are pinned  (/sys/fs/bpf/wardline)
  --cgroup-root DIR    cgroup2 directory to attach to (the root of the hierarchy)
  --host-name NAME     name of this host in policies  (the system's host name)
  --backend NAME       auto, ebpf, nftables, pf or observe (auto)
  --edge WHEN          judge closed ports, incoming ICMP and forwarded traffic at the network
                       interfaces: on, off or auto, which is on for an agent that guards the
                       whole host and off with --cgroup-root (auto)
  --early-drop IFACE[,IFACE]  drop the packets of denied sources on these interfaces before
                       anything else sees them, by XDP (nowhere)
  --boot-failure WHAT  what becomes of a host that was enforcing and cannot be brought
                       to its last state: closed or open (closed)
  --metrics-listen ADDRESS:PORT  where Prometheus may ask, e.g. 127.0.0.1:9465; outside of
                       loopback only with a token (nowhere)
  --metrics-token-file PATH  file with the token that scrapers send, readable by its owner only
  --no-anomaly         do not look for what is not normal in the flows of this host
  --anomaly-learning-hours N  own history before habits are judged, 1 to 168, until somebody
                       sets another number (24)
  --mesh WHEN          look for the meshes of this host, measure ways to other hosts and heal what an
                       administrator lets be healed: on or off (on)
  --yggdrasil-socket WHERE  its admin socket: a path, or tcp://127.0.0.1:PORT (what its
                       configuration says, else the known places)
  --yggdrasil-config PATH  its configuration (the known places)
  --yggdrasil-unit NAME  what the service manager restarts to heal it (yggdrasil.service)
  --mesh-probe HOST=ADDRESS  measure the way to this host as well; may be repeated
  --journal-size MIB   how large the journal of flow records may become, 8 to 65536 (64)
  --journal-days DAYS  how long flow records are kept in it, 1 to 3650 (30)
  --audit-size MiB     how large the audit log may become, 16 to 65536 (256)
  --audit-days DAYS    how long entries are kept in it, 30 to 3650 (730)
  --log-level LEVEL    trace, debug, info, warn, error or fatal (info)
`;

export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly isRoot: boolean;
  readonly homeDir: string;
  readonly systemHostName: string;
}

export const systemSurroundings = (): Surroundings => ({
  environment: process.env,
  isRoot: process.geteuid?.() === 0,
  homeDir: homedir(),
  systemHostName: hostname(),
});

function defaultPaths({ environment, isRoot, homeDir }: Surroundings): { socketPath: string; stateDir: string } {
  if (isRoot) return { socketPath: "/run/wardline/agent.sock", stateDir: "/var/lib/wardline" };
  const absolute = (value: string | undefined) => (value !== undefined && isAbsolute(value) ? value : null);
  const stateHome = join(absolute(environment.XDG_STATE_HOME) ?? join(homeDir, ".local/state"), "wardline");
  const runtimeDir = absolute(environment.XDG_RUNTIME_DIR);
  const socketDir = runtimeDir ? join(runtimeDir, "wardline") : join(stateHome, "run");
  return { socketPath: join(socketDir, "agent.sock"), stateDir: join(stateHome, "agent") };
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw new UsageError(`--${name} must be one of ${allowed.join(", ")}, not "${value}"`);
  return found;
}

function absolutePath(name: string, value: string): string {
  if (!isAbsolute(value)) throw new UsageError(`--${name} must be an absolute path, not "${value}"`);
  return value;
}

const MAX_HOST_NAME_LENGTH = 253;

function checkedHostName(value: string): string {
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(value) || value.length > MAX_HOST_NAME_LENGTH) {
    throw new UsageError(`"${value}" is not a host name; give one with --host-name`);
  }
  return value;
}

/** As the kernel's own check of names: at most 15 bytes, no slash, colon or blank. */
function interfaceNames(value: string): readonly string[] {
  const names = value.split(",");
  const wrong = names.find((name) => !/^[^/:\s]+$/.test(name) || Buffer.byteLength(name) > 15 || /^\.\.?$/.test(name));
  if (wrong !== undefined) throw new UsageError(`--early-drop: "${wrong}" is not the name of an interface`);
  return [...new Set(names)];
}

const FLAGS = {
  socket: { type: "string" },
  "state-dir": { type: "string" },
  "bpffs-dir": { type: "string" },
  "cgroup-root": { type: "string" },
  "host-name": { type: "string" },
  backend: { type: "string" },
  edge: { type: "string" },
  "early-drop": { type: "string" },
  "log-level": { type: "string" },
  "boot-failure": { type: "string" },
  "journal-size": { type: "string" },
  "journal-days": { type: "string" },
  "audit-size": { type: "string" },
  "audit-days": { type: "string" },
  "metrics-listen": { type: "string" },
  "metrics-token-file": { type: "string" },
  "no-anomaly": { type: "boolean" },
  "anomaly-learning-hours": { type: "string" },
  mesh: { type: "string" },
  "yggdrasil-socket": { type: "string" },
  "yggdrasil-config": { type: "string" },
  "yggdrasil-unit": { type: "string" },
  "mesh-probe": { type: "string", multiple: true },
  "keep-state": { type: "boolean" },
  version: { type: "boolean" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

function parse(commandLine: readonly string[]) {
  try {
    return parseArgs({ args: [...commandLine], options: FLAGS, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Reads `[agent] run …`, `boot`, `uninstall`, `test-run`, `--version [--json]` or `--help`. Throws {@link UsageError}. */
export function readCommandLine(commandLine: readonly string[], surroundings: Surroundings): Command {
  const { values, positionals } = parse(commandLine[0] === "agent" ? commandLine.slice(1) : commandLine);
  if (values.help) return { kind: "help" };
  if (values.version) return { kind: "version", json: values.json ?? false };
  if (positionals.length === 1 && positionals[0] === "test-run") {
    const [option] = Object.keys(values);
    if (option !== undefined) throw new UsageError(`test-run has no option --${option}`);
    return { kind: "test-run" };
  }
  const [verb = "", ...others] = positionals;
  const keepState = values["keep-state"] ?? false;
  if (others.length > 0 || !(verb === "run" || verb === "boot" || verb === "uninstall")) {
    throw new UsageError(`expected "run", "boot", "uninstall" or "test-run"`);
  }
  const options = readOptions(values, surroundings);
  if (verb === "uninstall") return { kind: verb, options, keepState };
  if (keepState) throw new UsageError(`${verb} has no option --keep-state`);
  return { kind: verb, options };
}

type Values = ReturnType<typeof parse>["values"];

function readOptions(values: Values, surroundings: Surroundings): AgentOptions {
  const defaults = defaultPaths(surroundings);
  const cgroupRoot = values["cgroup-root"];
  const edge = oneOf("edge", values.edge ?? "auto", EDGES);
  return {
    socketPath: absolutePath("socket", values.socket ?? defaults.socketPath),
    stateDir: absolutePath("state-dir", values["state-dir"] ?? defaults.stateDir),
    bpffsDir: absolutePath("bpffs-dir", values["bpffs-dir"] ?? "/sys/fs/bpf/wardline"),
    cgroupRoot: cgroupRoot === undefined ? null : absolutePath("cgroup-root", cgroupRoot),
    hostName: checkedHostName(values["host-name"] ?? surroundings.systemHostName),
    backend: oneOf("backend", values.backend ?? "auto", BACKENDS),
    // Who guards a part of the host's processes has no say about the packets of all of it.
    edge: edge === "on" || (edge === "auto" && cgroupRoot === undefined),
    earlyDrop: values["early-drop"] === undefined ? [] : interfaceNames(values["early-drop"]),
    logLevel: oneOf("log-level", values["log-level"] ?? "info", LOG_LEVELS),
    bootFailure: oneOf("boot-failure", values["boot-failure"] ?? "closed", START_FAILURES),
    anomaly: anomalyOptions(values),
    mesh: meshOptions(values),
    ...metricsOptions(values),
    records: recordOptions(values),
    audit: auditLimits(
      wholeNumber("audit-size", values["audit-size"] ?? "256", 16, 65_536),
      wholeNumber("audit-days", values["audit-days"] ?? "730", 30, 3_650),
    ),
  };
}

const BYTES_PER_MIB = 1024 * 1024;
const MS_PER_DAY = 86_400_000;

function recordOptions(values: Values): RecordOptions {
  const size = values["journal-size"];
  const days = values["journal-days"];
  return {
    maxBytes:
      size === undefined
        ? DEFAULT_RECORD_OPTIONS.maxBytes
        : wholeNumber("journal-size", size, 8, 65_536) * BYTES_PER_MIB,
    maxAgeMs:
      days === undefined ? DEFAULT_RECORD_OPTIONS.maxAgeMs : wholeNumber("journal-days", days, 1, 3_650) * MS_PER_DAY,
  };
}

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${name} must be a whole number from ${least} to ${most}, not "${text}"`);
}

const USUAL_LEARNING_HOURS = 24;
const LONGEST_LEARNING_HOURS = 168;

function anomalyOptions(values: Values): AnomalyOptions {
  const text = values["anomaly-learning-hours"] ?? String(USUAL_LEARNING_HOURS);
  const learningHours = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (learningHours < 1 || learningHours > LONGEST_LEARNING_HOURS)
    throw new UsageError(`--anomaly-learning-hours must be 1 to ${LONGEST_LEARNING_HOURS}, not "${text}"`);
  return { isOff: values["no-anomaly"] ?? false, learningHours };
}

function metricsOptions(values: Values): { metrics?: MetricsOptions } {
  const text = values["metrics-listen"];
  const tokenPath = values["metrics-token-file"];
  if (text === undefined) {
    if (tokenPath !== undefined) throw new UsageError("--metrics-token-file needs --metrics-listen");
    return {};
  }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  if (isIP(host) === 0 || port > 65_535)
    throw new UsageError(
      `--metrics-listen must be an address and a port, as 127.0.0.1:9465 or [::1]:9465, not "${text}"`,
    );
  return {
    metrics: {
      listen: { host, port },
      tokenPath: tokenPath === undefined ? null : absolutePath("metrics-token-file", tokenPath),
    },
  };
}
