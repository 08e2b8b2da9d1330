/** Analyse: which single fault explains which symptoms. What explains more is asked first and takes its symptoms with it. */

import { goneHosts } from "./analyse-hosts.ts";
import { degradedLinks } from "./analyse-links.ts";
import type { Fleet } from "./fleet.ts";
import { livesSince } from "./fleet.ts";
import { isFlapping, isRecovering, type MonitorMemory } from "./memory.ts";
import { type DialledPeer, type KeptRun, MAX_EVIDENCE, MeshFault, type MeshProvider } from "./model.ts";
import { partIndex } from "./monitor-meshes.ts";
import { concerns, type Symptom, type SymptomKind } from "./symptoms.ts";
import { confirmedAfterMs, LIMITS } from "./thresholds.ts";
import { providerName } from "./words.ts";

export interface Diagnosis {
  readonly fault: MeshFault;
  readonly target: string;
  readonly provider: MeshProvider;
  /** Those affected, the one that it is about first. */
  readonly hosts: readonly string[];
  readonly cause: string;
  readonly confidence: number;
  readonly evidence: readonly string[];
  /** The first symptom, of those that it explains. */
  readonly sinceMs: number;
  /** Long enough there to be called a fault. */
  readonly isConfirmed: boolean;
  /** Keys, own and explained. */
  readonly symptoms: readonly string[];
  /** Who has to be heard from before it counts as gone. */
  readonly observers: readonly string[];
  readonly peers: readonly DialledPeer[];
  readonly parts: readonly (readonly string[])[];
}

export interface AnalysisInput {
  readonly fleet: Fleet;
  readonly memory: MonitorMemory;
  readonly symptoms: readonly Symptom[];
  /** Open ones, and those whose added way still stands: what they are about explains lost redundancy. */
  readonly standingRuns: readonly KeptRun[];
}

/** Symptoms that nothing has explained yet. */
export class Pool {
  #symptoms: readonly Symptom[];

  constructor(symptoms: readonly Symptom[]) {
    this.#symptoms = symptoms;
  }

  all(kind?: Symptom["kind"]): readonly Symptom[] {
    return kind === undefined ? this.#symptoms : this.#symptoms.filter((each) => each.kind === kind);
  }

  take(isTaken: (symptom: Symptom) => boolean): readonly Symptom[] {
    const taken = this.#symptoms.filter(isTaken);
    if (taken.length > 0) this.#symptoms = this.#symptoms.filter((each) => !isTaken(each));
    return taken;
  }
}

/** Of one look. Those that are not confirmed keep an open run open, and begin none. */
export function analyse(input: AnalysisInput): Diagnosis[] {
  const { fleet, symptoms } = input;
  const pool = new Pool(symptoms);
  const diagnoses = [...goneHosts(fleet, pool), ...storeMembers(fleet, pool)];
  diagnoses.push(...versionSplits(fleet, pool), ...daemons(fleet, pool));
  excuse(input, pool);
  diagnoses.push(...partitions(fleet, pool), ...peersDown(input, pool), ...degradedLinks(input, pool));
  diagnoses.push(...gateways(fleet, pool), ...lostRedundancy(input, pool, diagnoses));
  return diagnoses;
}

export interface DiagnosisParts
  extends Pick<Diagnosis, "fault" | "target" | "provider" | "hosts" | "cause" | "confidence"> {
  readonly primary: readonly Symptom[];
  readonly explained?: readonly Symptom[];
  readonly observers?: readonly string[];
  readonly parts?: Diagnosis["parts"];
}

/** Symptoms that began longer before are of something else, though this explains them now. Daemons notice a dead line within 10 s. */
export const SAME_INCIDENT_MS = 20_000;
/** Shares over the last minute: they say that something was wrong, not since when. */
const OVER_TIME: ReadonlySet<SymptomKind> = new Set(["peer-poor", "probe-poor"]);

export function diagnosis(fleet: Fleet, made: DiagnosisParts): Diagnosis {
  const { primary, explained = [], observers, parts = [], fault, target, provider, cause, confidence } = made;
  const startMs = Math.min(...primary.map(({ sinceMs }) => sinceMs));
  const earlier = explained
    .filter(({ kind, sinceMs }) => !OVER_TIME.has(kind) && startMs - sinceMs < SAME_INCIDENT_MS)
    .map(({ sinceMs }) => sinceMs);
  const all = [...primary, ...explained];
  return {
    ...{ fault, target, provider, cause, confidence, parts },
    hosts: [...new Set([...made.hosts, ...all.flatMap(({ host, otherHost }) => [host, otherHost])])].filter(Boolean),
    evidence: all.map(({ sentence }) => sentence).slice(0, MAX_EVIDENCE),
    sinceMs: Math.min(startMs, ...earlier),
    isConfirmed: fleet.atMs - startMs >= confirmedAfterMs(fault, isProven(primary, fleet.atMs)),
    symptoms: all.map(({ key }) => key),
    observers: observers ?? [...new Set(primary.map(({ host }) => host))],
    peers: all.flatMap(({ peer }) => (peer ? [peer] : [])),
  };
}

function isProven(primary: readonly Symptom[], atMs: number): boolean {
  return primary.some((each) => each.isProven && atMs - each.sinceMs >= confirmedAfterMs(each.fault, true));
}

function storeMembers(fleet: Fleet, pool: Pool): Diagnosis[] {
  return pool
    .take(({ kind }) => kind === "store-member")
    .map((symptom) =>
      diagnosis(fleet, {
        ...{ fault: symptom.fault, target: symptom.target, provider: symptom.provider, hosts: [symptom.host] },
        ...{ cause: symptom.sentence, confidence: 0.95, primary: [symptom], observers: [] },
      }),
    );
}

function versionSplits(fleet: Fleet, pool: Pool): Diagnosis[] {
  return pool
    .take(({ kind }) => kind === "versions")
    .map((symptom) => {
      const { parts, provider } = symptom;
      const explained = pool.take(
        (each) =>
          each.provider === provider &&
          (each.kind === "partition" ||
            (each.kind === "peer-down" && isAcross(parts, each)) ||
            (each.kind === "probe-lost" && isAcross(parts, each))),
      );
      return diagnosis(fleet, {
        ...{ fault: symptom.fault, target: symptom.target, provider, hosts: parts.flat(), parts },
        ...{ cause: symptom.sentence, confidence: 0.95, primary: [symptom], explained, observers: parts.flat() },
      });
    });
}

/** From one part to another; an end that is in no part is in none of them. */
function isAcross(parts: Diagnosis["parts"], { host, otherHost }: Symptom): boolean {
  const from = partIndex(parts, host);
  const to = partIndex(parts, otherHost);
  return from >= 0 && to >= 0 && from !== to;
}

function daemons(fleet: Fleet, pool: Pool): Diagnosis[] {
  return pool
    .take(({ kind }) => kind === "daemon")
    .map((symptom) => {
      const { host, provider, fault, target } = symptom;
      const isItsPeer = (each: Symptom) =>
        each.provider === provider && concerns(each, host) && each.kind !== "partition";
      const explained = fault === MeshFault.DAEMON_UNSUPPORTED ? [] : pool.take(isItsPeer);
      const links = explained.filter(({ kind }) => kind === "peer-down").length;
      const also = links === 0 ? "" : ` That explains ${links} ${links === 1 ? "link" : "links"} that went down.`;
      return diagnosis(fleet, {
        ...{ fault, target, provider, hosts: [host], primary: [symptom], explained },
        ...{ cause: `${symptom.sentence}${also}`, confidence: 0.95 },
      });
    });
}

/** Links of a daemon or a host that just came back have time to return; those to a host that may be gone wait for certainty. */
function excuse({ fleet, memory }: AnalysisInput, pool: Pool): void {
  const { atMs } = fleet;
  const isBack = (host: string, { provider }: Symptom) =>
    host !== "" &&
    (isRecovering(memory, `daemon/${host}/${provider}`, atMs) || isRecovering(memory, `host/${host}`, atMs));
  const isDoubtful = (each: Symptom) =>
    fleet.scope.kind === "cluster" &&
    atMs - each.sinceMs < LIMITS.suspicionMs &&
    othersOf(each).some((host) => !livesSince(fleet, host, each.sinceMs));
  const isComing = (each: Symptom) => [each.host, ...othersOf(each)].some((host) => isBack(host, each));
  pool.take((each) => each.kind !== "partition" && (isComing(each) || isDoubtful(each)));
}

function othersOf({ kind, otherHost, parts }: Symptom): readonly string[] {
  if (kind === "redundancy") return parts[0] ?? [];
  return otherHost === "" ? [] : [otherHost];
}

/** Parts that two or more links used to join. Where it was one, that link is the fault. */
function partitions(fleet: Fleet, pool: Pool): Diagnosis[] {
  return pool.all("partition").flatMap((symptom) => {
    const { parts, provider } = symptom;
    const isCrossing = (each: Symptom) => each.kind !== "partition" && isAcross(parts, each);
    const crossing = pool.all("peer-down").filter((each) => each.provider === provider && isCrossing(each));
    if (new Set(crossing.map(({ target }) => target)).size < 2) return [];
    pool.take((each) => each === symptom);
    const lonely = new Set(crossing.flatMap(({ host, otherHost }) => [host, otherHost]));
    const explained = pool.take((each) => isCrossing(each) || (each.kind === "redundancy" && lonely.has(each.host)));
    return diagnosis(fleet, {
      ...{ fault: symptom.fault, target: symptom.target, provider, hosts: parts.flat(), parts },
      cause: `${symptom.sentence} ${crossing.length} links between them are down at once.`,
      ...{ confidence: 0.9, primary: [symptom], explained, observers: parts.flat() },
    });
  });
}

function peersDown({ fleet, memory }: AnalysisInput, pool: Pool): Diagnosis[] {
  const targets = new Set(pool.all("peer-down").map(({ target }) => target));
  return [...targets].map((target) => {
    const primary = pool.take((each) => each.kind === "peer-down" && each.target === target);
    const first = primary[0]!;
    const ends = [first.host, first.otherHost];
    const { provider } = first;
    const isSamePair = (each: Symptom) =>
      each.otherHost !== "" && ends.includes(each.host) && ends.includes(each.otherHost);
    const explained = pool.take(
      (each) =>
        isSamePair(each) ||
        (each.provider === provider && (each.kind === "partition" || isLonely(each, ends) || each.target === target)),
    );
    const isUnsteady = isFlapping(memory, target, fleet.atMs);
    const torn = explained.find(({ kind }) => kind === "partition");
    const other = first.otherHost || first.peer?.uri || "a peer";
    const link = `The link of ${providerName(provider)} between ${first.host} and ${other}`;
    const cause = isUnsteady
      ? `${link} goes up and down all the time.`
      : `${link} is down, and both hosts are there.${torn ? ` ${torn.sentence}` : ""}`;
    return diagnosis(fleet, {
      ...{ fault: isUnsteady ? MeshFault.LINK_FLAPPING : MeshFault.PEER_DOWN, target, provider, hosts: ends },
      cause: first.otherHost === "" && !isUnsteady ? `${link} is down.` : cause,
      ...{ confidence: first.otherHost === "" ? 0.6 : 0.9, primary, explained, parts: torn?.parts ?? [] },
    });
  });
}

function isLonely({ kind, host }: Symptom, ends: readonly string[]): boolean {
  return kind === "redundancy" && ends.includes(host);
}

function gateways(fleet: Fleet, pool: Pool): Diagnosis[] {
  return pool
    .take(({ kind }) => kind === "gateway")
    .map((symptom) =>
      diagnosis(fleet, {
        ...{ fault: symptom.fault, target: symptom.target, provider: symptom.provider, hosts: [symptom.host] },
        ...{ cause: symptom.sentence, confidence: 0.9, primary: [symptom] },
      }),
    );
}

/** Only where nothing else is known to be wrong with that host's mesh. */
function lostRedundancy(
  { fleet, standingRuns }: AnalysisInput,
  pool: Pool,
  diagnoses: readonly Diagnosis[],
): Diagnosis[] {
  const explainers = [...diagnoses, ...standingRuns.filter(({ fault }) => fault !== MeshFault.REDUNDANCY_LOST)];
  return pool
    .take(({ kind }) => kind === "redundancy")
    .filter(({ host, parts: [lost = []] }) =>
      explainers.every(({ hosts }) => ![host, ...lost].some((name) => hosts.includes(name))),
    )
    .map((symptom) =>
      diagnosis(fleet, {
        ...{ fault: symptom.fault, target: symptom.target, provider: symptom.provider, hosts: [symptom.host] },
        ...{ cause: symptom.sentence, confidence: 0.9, primary: [symptom] },
      }),
    );
}
