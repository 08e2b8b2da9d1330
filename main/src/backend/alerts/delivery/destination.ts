/**
 * Where messages may go. A name is looked up once, every address that it has is judged, and the connection goes to a judged
 * address: an answer of the name server that changes in between changes nothing.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import ipaddr from "ipaddr.js";

const LOOKUP_LIMIT_MS = 5_000;
const LONGEST_URL = 2_048;
const MOST_ADDRESSES = 32;

/** Cloud machines give away their credentials there; nobody is sent there, whatever is allowed. */
const METADATA = new Set(["169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"]);
/** What `allow_local` opens. */
const LOCAL_RANGES = new Set(["loopback", "private", "linkLocal", "carrierGradeNat", "uniqueLocal"]);

export interface JudgedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

export interface Destination {
  readonly url: URL;
  readonly addresses: readonly JudgedAddress[];
}

export interface DestinationRules {
  readonly allowLocal: boolean;
  /** What URLs have to begin with; empty = nothing is asked of them. */
  readonly allowedUrls: readonly string[];
}

export type Resolver = (name: string) => Promise<readonly string[]>;

export const systemResolver: Resolver = async (name) =>
  (await lookup(name, { all: true, verbatim: true })).map(({ address }) => address);

/** Why messages may not go to an address; `null` when they may. */
export function addressProblem(text: string, allowLocal: boolean): string | null {
  if (!ipaddr.isValid(text)) return "it is no address";
  const address = ipaddr.process(text);
  const canonical = address.toString();
  if (METADATA.has(canonical)) return "cloud machines give out their credentials there";
  const range = address.range();
  if (range === "unicast") return null;
  // A translator's address stands for the IPv4 address in it.
  if (range === "rfc6052" && address.kind() === "ipv6") {
    const inside = ipaddr.fromByteArray(address.toByteArray().slice(12)).toString();
    return addressProblem(inside, allowLocal);
  }
  if (allowLocal && LOCAL_RANGES.has(range)) return null;
  const words: Record<string, string> = {
    loopback: "it is this machine itself",
    private: "it is in a private network",
    uniqueLocal: "it is in a private network",
    linkLocal: "it is on the local link",
    carrierGradeNat: "it is behind a provider's translation",
    multicast: "it is a multicast address",
    unspecified: "it is no address of any machine",
    broadcast: "it is a broadcast address",
  };
  return words[range] ?? `it is not public (${range})`;
}

/** What is wrong with the URL itself, before any name is looked up. @throws Failure INVALID_ARGUMENT, DESTINATION_REFUSED */
export function readUrl(text: string, { allowLocal, allowedUrls }: DestinationRules): URL {
  const url = text.length <= LONGEST_URL && URL.canParse(text) ? new URL(text) : null;
  if (!url || !["https:", "http:"].includes(url.protocol)) throw invalid("It takes an https URL.");
  if (url.username !== "" || url.password !== "") {
    throw invalid("The URL has a user or password in it; they would be shown wherever the URL is.");
  }
  if (url.hash !== "") throw invalid("The URL has a part after #, which is never sent.");
  if (url.protocol === "http:" && !allowLocal) {
    throw refusal(
      "Messages go out unencrypted to local addresses only.",
      "Use https, or allow local addresses for it.",
    );
  }
  if (allowedUrls.length > 0 && !allowedUrls.some((allowed) => isBelow(url, allowed))) {
    throw refusal(
      `${url.origin} is not on the list of allowed URLs.`,
      "`wardline alert receivers` shows the list; `wardline alert apply` sets it.",
    );
  }
  const literal = literalOf(url);
  if (literal !== null) judgeAll(url, [literal], allowLocal);
  return url;
}

/** @throws Failure INVALID_ARGUMENT, DESTINATION_REFUSED, DELIVERY_FAILED (the name was not found; retryable) */
export async function resolveDestination(
  text: string,
  rules: DestinationRules,
  resolve: Resolver,
  signal: AbortSignal,
): Promise<Destination> {
  const url = readUrl(text, rules);
  const literal = literalOf(url);
  const found = literal !== null ? [literal] : await lookUp(url.hostname, resolve, signal);
  const addresses = judgeAll(url, found, rules.allowLocal);
  // Plain text goes to local addresses only, not to whatever a name means.
  const stranger = url.protocol === "http:" ? addresses.find(({ address }) => !isLocal(address)) : undefined;
  if (stranger) {
    throw refusal(
      `${url.hostname} is at ${stranger.address}, which is not local: messages would go there unencrypted.`,
    );
  }
  return { url, addresses };
}

/** Whether it is this machine itself. */
export function isLoopback(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === "loopback";
}

/** The addresses of a name. @throws Failure DELIVERY_FAILED */
export async function lookUp(name: string, resolve: Resolver, signal: AbortSignal): Promise<readonly string[]> {
  if (isIP(name) !== 0) return [name];
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_LIMIT_MS)]);
  const late = new Promise<never>((_, reject) => {
    limit.addEventListener("abort", () => reject(new Error("no answer in time")), { once: true });
  });
  try {
    const addresses = await Promise.race([resolve(name), late]);
    if (addresses.length > 0) return addresses.slice(0, MOST_ADDRESSES);
    throw new Error("it has no address");
  } catch (error) {
    const reason = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : "unknown";
    throw new Failure({
      code: ErrorCode.DELIVERY_FAILED,
      message: `The name ${name} was not found: ${reason}.`,
      hint: "Check the name, and the name server of this machine.",
      retryable: true,
    });
  }
}

/** All of them, or none: who controls a name could put a harmless address beside the other one. */
function judgeAll(url: URL, addresses: readonly string[], allowLocal: boolean): JudgedAddress[] {
  return addresses.map((text) => {
    const problem = addressProblem(text, allowLocal);
    if (problem === null) return { address: text, family: isIP(text) === 6 ? 6 : 4 };
    const where = literalOf(url) === null ? `${url.hostname} is at ${text}` : text;
    const isOpenable = !allowLocal && addressProblem(text, true) === null;
    throw refusal(
      `No message is sent to ${where}: ${problem}.`,
      isOpenable ? "If that is meant, allow local addresses for this receiver." : "",
    );
  });
}

function literalOf(url: URL): string | null {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return isIP(host) === 0 ? null : host;
}

function isLocal(address: string): boolean {
  return addressProblem(address, false) !== null;
}

/** Same origin, and the path begins with all of its parts: `/a` is no beginning of `/ab`. */
function isBelow(url: URL, allowed: string): boolean {
  if (!URL.canParse(allowed)) return false;
  const { origin, pathname } = new URL(allowed);
  const folder = pathname.endsWith("/") ? pathname : `${pathname}/`;
  return url.origin === origin && (url.pathname === pathname || url.pathname.startsWith(folder));
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

function refusal(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.DESTINATION_REFUSED, message, hint });
}
