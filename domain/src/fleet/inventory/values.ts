/** Values of hosts as the console accepts them; each function says why not, or `null`. */
import { NAME_RULES } from "../../policy/formats/names.ts";
import { hasInvisible } from "../../text/index.ts";

/** What a shell could take for more than a name: OpenSSH refuses the same. */
const SHELL_CHARACTERS = /[\s'"`$\\;&<>|(){}]/;
const LABEL_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

export function addressProblem(address: string): string | null {
  const isGood =
    address !== "" &&
    address.length <= 253 &&
    !address.startsWith("-") &&
    !SHELL_CHARACTERS.test(address) &&
    !/[,/@[\]]/.test(address) &&
    !hasInvisible(address);
  return isGood ? null : "is not the name or address of a machine";
}

export function userProblem(user: string): string | null {
  const isGood =
    user.length <= 128 &&
    !user.startsWith("-") &&
    !user.endsWith("\\") &&
    !SHELL_CHARACTERS.test(user.replaceAll("\\", "")) &&
    !hasInvisible(user);
  return isGood ? null : "cannot be a user name";
}

export function parsePort(text: string): number | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : null;
}

export function pathProblem(path: string): string | null {
  if (path.length <= 4_096 && /^(?:\/|~\/)/.test(path) && !hasInvisible(path)) return null;
  return "is not an absolute path, and does not begin with ~/";
}

/** `user@host:port,…` as `ssh -J` takes it. */
export function jumpProblem(jump: string): string | null {
  const parts = jump.split(",");
  if (parts.length > 8) return "has more than 8 machines in between";
  return parts.every((part) => parseDestination(part.trim()) !== null)
    ? null
    : "is not user@host:port, or several with commas";
}

export interface Destination {
  readonly user: string;
  readonly address: string;
  /** 0 = not given. */
  readonly port: number;
}

/** `user@host:port`, `[2001:db8::1]:22`, `ssh://user@host`; `null` when it is none. */
export function parseDestination(text: string): Destination | null {
  const plain = text.replace(/^ssh:\/\//, "").replace(/\/$/, "");
  const at = plain.lastIndexOf("@");
  const user = at < 0 ? "" : plain.slice(0, at);
  const place = plain.slice(at + 1);
  if ((at >= 0 && user === "") || userProblem(user) !== null) return null;
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(place);
  // More than one colon without brackets: an address of IPv6, which has no port then.
  const named = /:.*:/.test(place) ? ([place, place, undefined] as const) : /^([^:]*)(?::(.*))?$/.exec(place);
  const [, address = "", portText] = bracketed ?? named ?? [];
  if (addressProblem(address) !== null) return null;
  if (portText === undefined) return { user, address, port: 0 };
  const port = parsePort(portText);
  return port === null ? null : { user, address, port };
}

export function labelKeyProblem(key: string): string | null {
  const slash = key.indexOf("/");
  const prefix = slash < 0 ? null : key.slice(0, slash);
  const name = key.slice(slash + 1);
  const isGood =
    name.length <= 63 &&
    LABEL_NAME.test(name) &&
    (prefix === null || (prefix.length <= 253 && NAME_RULES.subdomain.pattern.test(prefix)));
  return isGood ? null : "is not a label key";
}

export function labelValueProblem(value: string): string | null {
  return value === "" || (value.length <= 63 && LABEL_NAME.test(value)) ? null : "is not a label value";
}

/** What an environment's name usually means; amber for names that say nothing. */
export function usualColor(environment: string): "red" | "amber" | "blue" | "green" {
  const name = environment.toLowerCase();
  if (/^(prod|live)/.test(name)) return "red";
  if (/^(stag|pre|uat|qa|test)/.test(name)) return "blue";
  return /^(dev|local|lab|sandbox|demo)/.test(name) ? "green" : "amber";
}
