/** Lines of known_hosts, as sshd(8) describes them under SSH_KNOWN_HOSTS FILE FORMAT. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { matchesPatternList } from "../config/patterns.ts";
import { type PublicKey, readPublicKeyText } from "../keys/public-key.ts";

export type KnownHostMarker = "key" | "authority" | "revoked";

export interface KnownHostLine {
  readonly marker: KnownHostMarker;
  readonly hosts: HostMatcher;
  readonly key: PublicKey;
  /** From 1. */
  readonly line: number;
}

export interface HostMatcher {
  /** @param name in lower case: a host name, or `[host]:port` */
  matches(name: string): boolean;
}

const MARKERS: Record<string, KnownHostMarker> = { "@cert-authority": "authority", "@revoked": "revoked" };
const LONGEST_LINE = 64 * 1024;

/** Lines that are none are left out, as ssh does. */
export function parseKnownHosts(text: string): KnownHostLine[] {
  const lines: KnownHostLine[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const parsed = raw.length > LONGEST_LINE ? null : parseLine(raw.trim(), index + 1);
    if (parsed) lines.push(parsed);
  }
  return lines;
}

function parseLine(text: string, line: number): KnownHostLine | null {
  if (text === "" || text.startsWith("#")) return null;
  const words = text.split(/[ \t]+/);
  let marker: KnownHostMarker = "key";
  if (words[0]?.startsWith("@")) {
    const known = MARKERS[words.shift() ?? ""];
    if (!known) return null;
    marker = known;
  }
  const [names = "", type, base64 = ""] = words;
  const key = readPublicKeyText(base64);
  const hosts = readHosts(names);
  return key && hosts && key.type === type ? { marker, hosts, key, line } : null;
}

function readHosts(names: string): HostMatcher | null {
  if (!names.startsWith("|")) {
    const patterns = names.toLowerCase().split(",");
    return { matches: (name) => matchesPatternList(patterns, name) };
  }
  const [, salt, hash] = /^\|1\|([A-Za-z0-9+/]+=*)\|([A-Za-z0-9+/]+=*)$/.exec(names) ?? [];
  if (salt === undefined || hash === undefined) return null;
  const wanted = Buffer.from(hash, "base64");
  const key = Buffer.from(salt, "base64");
  return {
    matches(name) {
      const found = hashHost(name, key);
      return found.length === wanted.length && timingSafeEqual(found, wanted);
    },
  };
}

function hashHost(name: string, salt: Buffer): Buffer {
  return createHmac("sha1", salt).update(name).digest();
}

/** `|1|salt|hash`. @param salt 20 random bytes */
export function hashedName(name: string, salt: Buffer): string {
  return `|1|${salt.toString("base64")}|${hashHost(name, salt).toString("base64")}`;
}

/** As ssh writes a machine into known_hosts: the port only where it is not 22. */
export function knownHostName(hostName: string, port: number): string {
  const name = hostName.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}
