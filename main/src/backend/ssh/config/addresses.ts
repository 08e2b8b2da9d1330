/** Names of machines and people that go into connections and command lines: what could be taken for something else is refused. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { hasInvisible } from "@wardline/domain/text";

const LONGEST_NAME = 253;
const LONGEST_USER = 128;
const MOST_JUMPS = 8;
/** What a shell of a ProxyCommand could take for more than a name: the set that OpenSSH refuses. */
const SHELL_CHARACTERS = /[\s'"`$\\;&<>|(){}]/;

export interface JumpSpec {
  readonly address: string;
  /** 0 = as configured. */
  readonly port: number;
  /** Empty = as configured. */
  readonly user: string;
}

/** @throws Failure INVALID_ARGUMENT */
export function requireAddress(address: string, what = "The address"): string {
  const isBad =
    address === "" ||
    address.length > LONGEST_NAME ||
    address.startsWith("-") ||
    SHELL_CHARACTERS.test(address) ||
    hasInvisible(address);
  if (!isBad) return address;
  throw refused(
    `${what} ${quoted(address)} is not the name or address of a machine.`,
    "Give a host name, an address, or a Host of ~/.ssh/config, without spaces and quotes and not beginning with a dash.",
  );
}

/** Empty is taken as "not chosen". @throws Failure INVALID_ARGUMENT */
export function requireUser(user: string): string {
  // A backslash separates domain and account (`EXAMPLE\ada`), but may not end the name.
  const isBad =
    user.length > LONGEST_USER ||
    user.startsWith("-") ||
    user.endsWith("\\") ||
    SHELL_CHARACTERS.test(user.replaceAll("\\", "")) ||
    hasInvisible(user);
  if (!isBad) return user;
  throw refused(
    `The user name ${quoted(user)} cannot be used.`,
    "Give the account on that machine, without spaces and quotes and not beginning with a dash.",
  );
}

/** 0 is taken as "not chosen". @throws Failure INVALID_ARGUMENT */
export function requirePort(port: number): number {
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw refused(`${port} is not a port.`, "Give a number from 1 to 65535.");
}

/** Absolute, or below `~/`. @throws Failure INVALID_ARGUMENT */
export function requirePath(path: string, what: string): string {
  if (path.length <= 4096 && /^(?:\/|~\/)/.test(path) && !hasInvisible(path)) return path;
  throw refused(`${what} ${quoted(path)} is not a path.`, "Give an absolute path, or one that begins with ~/.");
}

/** `user@host:port,…` as `ssh -J` takes it; `none` and empty are no jump. @throws Failure INVALID_ARGUMENT */
export function parseJumps(text: string): JumpSpec[] {
  if (text === "" || text.toLowerCase() === "none") return [];
  const parts = text.split(",");
  if (parts.length > MOST_JUMPS) {
    throw refused(`The way has ${parts.length} machines in between; at most ${MOST_JUMPS} can be used.`, "Shorten it.");
  }
  return parts.map((part) => parseJump(part.trim()));
}

function parseJump(text: string): JumpSpec {
  const plain = text.replace(/^ssh:\/\//, "").replace(/\/$/, "");
  const at = plain.lastIndexOf("@");
  const user = at === -1 ? "" : plain.slice(0, at);
  const place = plain.slice(at + 1);
  const [, bracketed, named, port] = /^(?:\[([^\]]+)\]|([^:]+|[^:]*:[^:]*:.*?))(?::(\d{1,5}))?$/.exec(place) ?? [];
  const isPlainIpv6 = named?.includes(":") === true;
  return {
    address: requireAddress(bracketed ?? (isPlainIpv6 ? place : (named ?? place)), "The machine in between,"),
    port: requirePort(isPlainIpv6 || port === undefined ? 0 : Number(port)),
    user: requireUser(user),
  };
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}

function refused(message: string, hint: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}
