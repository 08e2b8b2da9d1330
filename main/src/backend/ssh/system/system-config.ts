/**
 * The configuration that the system's `ssh` is given: what holds for this machine, already decided, and nothing else of
 * the person's files. So both transports follow the same values, `Match exec` is never run, and the name on the command
 * line is one of ours.
 */
import type { SshTarget } from "../config/target.ts";

export const TARGET_NAME = "wardline-target";

/** Before everything else: the first value of a keyword counts. */
const ALWAYS = [
  "BatchMode yes",
  "StrictHostKeyChecking yes",
  "UpdateHostKeys no",
  "ForwardAgent no",
  "ForwardX11 no",
  "PermitLocalCommand no",
  "Tunnel no",
  "EscapeChar none",
  "LogLevel DEBUG1",
];

/** Decided by us, written out below, or of no use for a connection of the console. */
const LEFT_OUT = new Set([
  "addkeystoagent",
  "batchmode",
  "canonicaldomains",
  "canonicalizefallbacklocal",
  "canonicalizehostname",
  "canonicalizemaxdots",
  "canonicalizepermittedcnames",
  "certificatefile",
  "clearallforwardings",
  "controlmaster",
  "controlpath",
  "controlpersist",
  "dynamicforward",
  "escapechar",
  "exitonforwardfailure",
  "forkafterauthentication",
  "forwardagent",
  "forwardx11",
  "forwardx11timeout",
  "forwardx11trusted",
  "globalknownhostsfile",
  "hostname",
  "identityagent",
  "identityfile",
  "localcommand",
  "localforward",
  "loglevel",
  "logverbose",
  "permitlocalcommand",
  "permitremoteopen",
  "port",
  "proxycommand",
  "proxyjump",
  "remotecommand",
  "remoteforward",
  "requesttty",
  "sendenv",
  "sessiontype",
  "setenv",
  "stdinnull",
  "stricthostkeychecking",
  "syslogfacility",
  "tunnel",
  "tunneldevice",
  "updatehostkeys",
  "user",
  "userknownhostsfile",
  "visualhostkey",
]);

/** @param way the machines in between, first to last, then the machine itself */
export function systemConfig(way: readonly SshTarget[]): string {
  const blocks = way.map((target, index) =>
    block(target, nameAt(way, index), index === 0 ? null : nameAt(way, index - 1)),
  );
  return `${[...ALWAYS, ...blocks].join("\n")}\n`;
}

function nameAt(way: readonly SshTarget[], index: number): string {
  return index === way.length - 1 ? TARGET_NAME : `wardline-hop-${index + 1}`;
}

function block(target: SshTarget, name: string, before: string | null): string {
  const lines = [
    `HostName ${literal(target.hostName)}`,
    `User ${quoted(target.user)}`,
    `Port ${target.port}`,
    `IdentityAgent ${target.agentSocket === null ? "none" : quotedPath(target.agentSocket)}`,
    ...target.identityFiles.map(({ path }) => `IdentityFile ${quotedPath(path)}`),
    ...target.certificateFiles.map((path) => `CertificateFile ${quotedPath(path)}`),
    `UserKnownHostsFile ${list(target.userKnownHostsFiles)}`,
    `GlobalKnownHostsFile ${list(target.globalKnownHostsFiles)}`,
    `ConnectTimeout ${Math.ceil(target.connectTimeoutMs / 1000)}`,
    `ServerAliveInterval ${Math.ceil(target.aliveIntervalMs / 1000)}`,
    `ServerAliveCountMax ${target.aliveCount}`,
    ...proxy(target, before),
    ...[...target.config.values]
      .filter(([keyword]) => !LEFT_OUT.has(keyword))
      .map(([keyword, { rest }]) => `${keyword} ${rest}`),
  ];
  return [`Host ${name}`, ...lines.map((line) => `  ${line}`)].join("\n");
}

function proxy(target: SshTarget, before: string | null): string[] {
  if (before !== null) return [`ProxyJump ${before}`];
  const command = target.config.values.get("proxycommand");
  // Only the person's own files say what is run; %n is the name that the person gave, which is not on our command line.
  if (!command || target.jumps.length > 0) return [];
  return [`ProxyCommand ${command.rest.replace(/%[%n]/g, (token) => (token === "%n" ? target.alias : token))}`];
}

function list(paths: readonly string[]): string {
  return paths.length === 0 ? "none" : paths.map(quotedPath).join(" ");
}

/** Where `%` begins a token. */
function quotedPath(path: string): string {
  return quoted(path.replaceAll("%", "%%"));
}

function literal(name: string): string {
  return name.replaceAll("%", "%%");
}

function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, "\\$&")}"`;
}
