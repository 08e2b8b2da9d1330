/** Links that are there and poor: in one direction, in both, or all those of one host. */
import { type AnalysisInput, type Diagnosis, diagnosis, type Pool } from "./analyse.ts";
import type { Fleet } from "./fleet.ts";
import { isFlapping } from "./memory.ts";
import { MeshFault, MeshProvider } from "./model.ts";
import type { Symptom } from "./symptoms.ts";
import { confirmedAfterMs, isFineLoss, LIMITS } from "./thresholds.ts";
import { list, providerName, providerSlug, targetOf } from "./words.ts";

const ASYMMETRY_MS = confirmedAfterMs(MeshFault.ASYMMETRIC_LOSS);
const KINDS: readonly Symptom["kind"][] = ["probe-lost", "probe-poor", "peer-poor"];

export function degradedLinks(input: AnalysisInput, pool: Pool): Diagnosis[] {
  const poor = pool.take(({ kind }) => KINDS.includes(kind));
  const pairs = new Map<string, Symptom[]>();
  for (const each of poor) {
    const name = each.otherHost === "" ? each.target : [each.host, each.otherHost].sort().join(" ");
    pairs.set(name, [...(pairs.get(name) ?? []), each]);
  }
  const common = commonHost([...pairs.values()]);
  if (common !== null) return [poorHost(input.fleet, common, poor)];
  return [...pairs.values()].map((symptoms) => poorPair(input, symptoms));
}

/** The one host that all poor links have in common, where there are several of them. */
function commonHost(pairs: readonly (readonly Symptom[])[]): string | null {
  if (pairs.length < 2) return null;
  const [first] = pairs;
  const isEverywhere = (host: string) =>
    host !== "" && pairs.every((pair) => pair.some((each) => each.host === host || each.otherHost === host));
  return [first![0]!.host, first![0]!.otherHost].find(isEverywhere) ?? null;
}

function poorHost(fleet: Fleet, host: string, primary: readonly Symptom[]): Diagnosis {
  const { provider } = primary[0]!;
  const others = [...new Set(primary.flatMap((each) => [each.host, each.otherHost]))].filter((each) => each !== host);
  return diagnosis(fleet, {
    ...{ fault: MeshFault.LINK_DEGRADED, target: targetOf("links", providerSlug(provider), host), provider },
    ...{ hosts: [host], primary, confidence: 0.7 },
    cause: `All that is poor leads to ${host}: the ways between it and ${list(others.filter(Boolean))}.`,
  });
}

/** The plain network first: what runs over it suffers with it. */
function poorPair({ fleet, memory }: AnalysisInput, symptoms: readonly Symptom[]): Diagnosis {
  const rank = ({ provider, kind }: Symptom) => (provider === MeshProvider.IP ? 0 : 2) + (kind === "peer-poor" ? 0 : 1);
  const primary = [...symptoms].sort((a, b) => rank(a) - rank(b));
  const { provider, target, host, otherHost } = primary[0]!;
  const other = otherHost || "its peer";
  const way = `The way over ${providerName(provider)} between ${host} and ${other}`;
  const common = { target, provider, hosts: [host, otherHost], primary };
  if (isFlapping(memory, target, fleet.atMs)) {
    const cause = `${way} goes up and down all the time.`;
    return diagnosis(fleet, { ...common, fault: MeshFault.LINK_FLAPPING, cause, confidence: 0.9 });
  }
  const good = fineDirection(fleet, primary);
  // One end tests and tells before the other: which of the directions is fine is known when both had the time.
  const isTold = fleet.atMs - Math.min(...primary.map(({ sinceMs }) => sinceMs)) >= ASYMMETRY_MS;
  if (good !== null && isTold) {
    const cause = `${way} loses in one direction only: from ${good.to} to ${good.from} it does, back it does not.`;
    return diagnosis(fleet, { ...common, fault: MeshFault.ASYMMETRIC_LOSS, cause, confidence: 0.8 });
  }
  const isLost = primary.every(({ kind }) => kind === "probe-lost");
  const cause = isLost ? `${way} is broken, and both hosts are there.` : `${way} is poor.`;
  return diagnosis(fleet, { ...common, fault: MeshFault.LINK_DEGRADED, cause, confidence: isLost ? 0.9 : 0.8 });
}

interface FineDirection {
  readonly from: string;
  readonly to: string;
}

/** The direction that was measured and is fine, where the other one loses. */
function fineDirection(fleet: Fleet, symptoms: readonly Symptom[]): FineDirection | null {
  const lossy = symptoms.filter(({ kind, loss }) => kind === "probe-lost" || (kind === "probe-poor" && loss !== null));
  const first = lossy[0];
  if (!first || lossy.some(({ host }) => host !== first.host)) return null;
  const back = fleet.watched
    .find(({ host }) => host === first.otherHost)
    ?.observation?.probes.find(
      ({ targetHost, provider, sent }) =>
        targetHost === first.host && provider === first.provider && sent >= LIMITS.fewestEchoes,
    );
  return back?.reachable && isFineLoss(back.loss) ? { from: first.otherHost, to: first.host } : null;
}
