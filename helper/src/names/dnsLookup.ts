/** One question to the name servers of this host, and to its hosts file where DNS knows nothing. */
import { lookup, Resolver } from "node:dns/promises";
import { formatAddress, parseAddress } from "@wardline/domain/policy";
import type { NameAnswer, NameLookup } from "./nameResolver.ts";

/** For answers that carry no time of their own (the hosts file). */
const USUAL_TIME_TO_LIVE_MS = 60_000;
/** The name exists without records of this family, or does not exist. */
const NO_RECORD_CODES = new Set(["ENODATA", "ENOTFOUND"]);

interface TimedAddress {
  readonly address: string;
  readonly ttl: number;
}

/** `_postgres._tcp.example.org`: a name of services (RFC 2782), which stands for the addresses of its targets. */
const SERVICE_NAME = /^_[a-z0-9-]+\._(tcp|udp|sctp)\./i;
/** Of one service name; the first by priority and weight. */
const MAX_TARGETS = 16;

export const dnsLookup: NameLookup = (name, signal) => askServers(name, signal, []);

/** `servers`: addresses with ports; none = those of the system. */
export async function askServers(name: string, signal: AbortSignal, servers: readonly string[]): Promise<NameAnswer> {
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  if (servers.length > 0) resolver.setServers(servers);
  const cancel = () => resolver.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    if (SERVICE_NAME.test(name)) return await askForTargets(resolver, name);
    const records = await Promise.all([
      resolver.resolve4(name, { ttl: true }).catch(noRecords),
      resolver.resolve6(name, { ttl: true }).catch(noRecords),
    ]);
    const found = records.flat();
    return found.length > 0 ? toAnswer(found) : await Promise.race([askHostsFile(name), rejectAt(signal)]);
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

async function askForTargets(resolver: Resolver, name: string): Promise<NameAnswer> {
  const found = await resolver.resolveSrv(name).catch(noRecords);
  const usable = found.filter((target) => "name" in target && target.name !== "" && target.name !== ".");
  const ordered = usable.toSorted((one, other) => one.priority - other.priority || other.weight - one.weight);
  const targets = [...new Set(ordered.map((target) => target.name))].slice(0, MAX_TARGETS);
  const records = await Promise.all(
    targets.flatMap((target) => [
      resolver.resolve4(target, { ttl: true }).catch(noRecords),
      resolver.resolve6(target, { ttl: true }).catch(noRecords),
    ]),
  );
  return toAnswer(records.flat());
}

function noRecords(error: unknown): never[] {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (NO_RECORD_CODES.has(code)) return [];
  throw error;
}

/** The system's own lookup cannot be cancelled and may take half a minute: nobody waits longer than the signal says. */
function rejectAt(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const refuse = () => reject(new Error("the system gave no answer in time"));
    if (signal.aborted) refuse();
    else signal.addEventListener("abort", refuse, { once: true });
  });
}

/** The system's own order of sources, as programs on the host use it. */
async function askHostsFile(name: string): Promise<NameAnswer> {
  const found = await lookup(name, { all: true }).catch(noRecords);
  return toAnswer(found.map(({ address }) => ({ address, ttl: USUAL_TIME_TO_LIVE_MS / 1000 })));
}

function toAnswer(records: readonly TimedAddress[]): NameAnswer {
  const addresses = records.flatMap(({ address }) => {
    const parsed = parseAddress(address);
    return parsed.ok ? [formatAddress(parsed.bytes)] : [];
  });
  const shortestS = Math.min(...records.map(({ ttl }) => ttl), USUAL_TIME_TO_LIVE_MS / 1000);
  return { addresses: [...new Set(addresses)], timeToLiveMs: shortestS * 1000 };
}
