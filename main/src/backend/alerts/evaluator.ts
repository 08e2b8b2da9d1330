/** Asks every source what holds now, and tells the book. */
import { FeedbackKind } from "@wardline/api/wardline/v1/anomaly";
import {
  type Alert,
  type AlertBook,
  type AlertRule,
  type ClusterFact,
  type DenyFact,
  type FindingFact,
  type HostFact,
  type MeshFact,
  observeClusters,
  observeDenies,
  observeFinding,
  observeHosts,
  observeMeshes,
} from "@wardline/domain/alerts";
import { Failure } from "@wardline/domain/errors";
import { type FlowQuery, parseFlowQuery } from "@wardline/domain/flows";
import { fromWireFinding } from "@wardline/domain/wire";
import type { FindingFeed, KeptFinding } from "../anomalies/ports.ts";
import type { FlowHistory, LabelResolver } from "../history/flow-history.ts";
import type { ManagedHost } from "../hosts/managed-host.ts";
import { hostNameOf, labelOf } from "../hosts/managed-host.ts";
import type { StandingFacts } from "./condition-log.ts";
import { told } from "./delivery/outcome.ts";
import type { Facts } from "./host-facts.ts";

const DENIES_EVERY_MS = 10_000;
const DENIES_LIMIT_MS = 8_000;
const MOST_DENYING_HOSTS = 1_000;
const FINDINGS_AT_ONCE = 1_000;
/** Findings of long ago that arrive now (a host that was away) are history, no news. */
const OLD_FINDING_MS = 86_400_000;

export interface EvaluatorPorts {
  readonly feed: FindingFeed;
  readonly history: FlowHistory;
  readonly labels: LabelResolver;
  readonly hosts: () => readonly ManagedHost[];
  readonly hostFacts: (nowMs: number) => Facts<HostFact>;
  readonly clusterFacts: () => Facts<ClusterFact>;
  readonly meshFacts: () => Facts<MeshFact>;
  /** Ids of the hosts that a selector means. @throws Failure */
  readonly select: (selector: string) => ReadonlySet<string>;
}

export interface Evaluation {
  /** Sentences: what could not be asked. */
  readonly problems: readonly string[];
  /** How far the findings were read. */
  readonly position: number;
  /** Whether there are more findings than one look takes. */
  readonly hasMore: boolean;
}

export class Evaluator {
  readonly #ports: EvaluatorPorts;
  readonly #denyProblems = new Map<string, string>();
  #deniesAtMs = Number.NEGATIVE_INFINITY;
  #standingFacts: StandingFacts = { hosts: null, clusters: null, meshes: null };

  constructor(ports: EvaluatorPorts) {
    this.#ports = ports;
  }

  /** What was last found of hosts and clusters. */
  get standing(): StandingFacts {
    return this.#standingFacts;
  }

  /** Everything that is asked in memory, and the findings after a position. @throws Failure of the store */
  evaluate(book: AlertBook, rules: readonly AlertRule[], position: number, nowMs: number): Evaluation {
    const problems = [...this.#denyProblems.values()];
    const enabled = rules.filter(({ enabled: isOn }) => isOn);
    const findings = this.#findings(book, enabled, position, nowMs);
    this.#standing(book, enabled, nowMs, problems);
    return { problems, ...findings };
  }

  /** Denied packets in the recorded history, every ten seconds. What cannot be asked stays as it was. */
  async evaluateDenies(
    book: AlertBook,
    rules: readonly AlertRule[],
    nowMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    if (nowMs >= this.#deniesAtMs && nowMs - this.#deniesAtMs < DENIES_EVERY_MS) return;
    this.#deniesAtMs = nowMs;
    this.#denyProblems.clear();
    for (const rule of rules) {
      if (!rule.enabled || rule.source.kind !== "denies") continue;
      try {
        const facts = await this.#denies(rule, nowMs, signal);
        if (signal.aborted) return;
        book.observeAll(rule.name, observeDenies(rule, this.#selected(rule, facts)), nowMs);
      } catch (error) {
        if (!(error instanceof Failure) && !signal.aborted && !(error instanceof DOMException)) throw error;
        const why = error instanceof Failure ? error.message : `no answer within ${DENIES_LIMIT_MS / 1000} s.`;
        this.#denyProblems.set(rule.name, `The rule "${rule.name}" could not be judged: ${why}`);
      }
    }
  }

  #findings(book: AlertBook, rules: readonly AlertRule[], position: number, nowMs: number) {
    const { feed } = this.#ports;
    // Another database than the one that was read: it begins anew.
    const from = feed.revision() < position ? 0 : position;
    const changed = feed.changedSince(from, FINDINGS_AT_ONCE);
    for (const kept of changed) {
      const fact = this.#factOf(kept, nowMs);
      if (!fact) continue;
      for (const rule of rules) {
        const observation = observeFinding(rule, fact);
        if (observation && this.#isSelected(rule, fact.hostId)) book.observe(observation, nowMs);
      }
    }
    return { position: changed.at(-1)?.revision ?? from, hasMore: changed.length === FINDINGS_AT_ONCE };
  }

  #factOf(kept: KeptFinding, nowMs: number): FindingFact | null {
    const finding = fromWireFinding(kept.finding);
    if (!finding || nowMs - finding.lastAtMs > OLD_FINDING_MS) return null;
    return factOfFinding(kept, finding, this.#ports.hosts());
  }

  #standing(book: AlertBook, rules: readonly AlertRule[], nowMs: number, problems: string[]): void {
    const { hostFacts, clusterFacts, meshFacts } = this.#ports;
    const hostRules = rules.filter(({ source }) => source.kind === "host");
    const known = hostFacts(nowMs);
    const clusters = clusterFacts();
    const meshes = meshFacts();
    this.#standingFacts = { hosts: known, clusters, meshes };
    for (const rule of hostRules) {
      try {
        const observed = observeHosts(rule, this.#selected(rule, known.facts));
        book.observeAll(rule.name, observed, nowMs, isUnknown(rule, known));
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        problems.push(`The rule "${rule.name}" could not be judged: ${error.message}`);
      }
    }
    const { facts, unknown } = clusters;
    for (const rule of rules.filter(({ source }) => source.kind === "cluster")) {
      book.observeAll(rule.name, observeClusters(rule, facts), nowMs, ({ labels }) =>
        unknown.has(labels.cluster ?? ""),
      );
    }
    for (const rule of rules.filter(({ source }) => source.kind === "mesh")) {
      const observed = observeMeshes(rule, this.#selected(rule, meshes.facts));
      book.observeAll(rule.name, observed, nowMs, ({ labels }) => meshes.unknown.has(labels.mesh ?? ""));
    }
  }

  async #denies(rule: AlertRule, nowMs: number, signal: AbortSignal): Promise<DenyFact[]> {
    const { history, labels } = this.#ports;
    if (rule.source.kind !== "denies") return [];
    const { query: text, windowSeconds } = rule.source;
    const query = denyQuery(text, nowMs - windowSeconds * 1000, null, nowMs);
    const options = { by: ["host"], order: "denied", limit: MOST_DENYING_HOSTS, labels } as const;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(DENIES_LIMIT_MS)]);
    let facts: DenyFact[] = [];
    for await (const { groups } of history.group(query, options, limit)) {
      facts = groups.map(({ values, sums }) => this.#denyFact(values[0] ?? "", sums.deniedPackets));
    }
    limit.throwIfAborted();
    return facts;
  }

  #denyFact(name: string, deniedPackets: number): DenyFact {
    const host = this.#ports.hosts().find((each) => hostNameOf(each) === name);
    return { hostId: host?.id ?? name, host: told(host ? labelOf(host) : name), deniedPackets };
  }

  #selected<Fact extends { readonly hostId: string }>(rule: AlertRule, facts: readonly Fact[]): Fact[] {
    return facts.filter(({ hostId }) => this.#isSelected(rule, hostId));
  }

  #isSelected({ hostSelector }: AlertRule, hostId: string): boolean {
    return hostSelector === "" || this.#ports.select(hostSelector).has(hostId);
  }
}

/** What is not known ends no alert. */
function isUnknown({ source }: AlertRule, { unknown, undecided }: Facts<HostFact>): (alert: Alert) => boolean {
  const isAboutReach = source.kind === "host" && source.condition === "unreachable";
  return ({ hostId }) => (isAboutReach ? undecided : unknown).has(hostId);
}

export function factOfFinding(
  { hostId, finding: wire }: KeptFinding,
  finding: Omit<FindingFact, "hostId" | "isNormal">,
  hosts: readonly ManagedHost[],
): FindingFact {
  const host = hosts.find(({ id }) => id === hostId);
  const { id, detector, severity, state, process, remote } = finding;
  return {
    ...{ id, hostId, detector, severity, state },
    host: told(host ? labelOf(host) : finding.host),
    sentence: told(finding.sentence),
    process: told(process),
    remote: told(remote),
    isNormal: wire.feedback[0]?.kind === FeedbackKind.NORMAL,
  };
}

/** @throws Failure QUERY_INVALID is never thrown: a query that does not read any more matches nothing */
export function denyQuery(text: string, sinceMs: number | null, untilMs: number | null, nowMs: number): FlowQuery {
  const where = parseFlowQuery(text, { nowMs }).query?.where ?? { kind: "not", part: { kind: "all" } };
  const denied = { kind: "field", field: "verdict", values: ["deny"] } as const;
  return { where: where.kind === "all" ? denied : { kind: "and", parts: [denied, where] }, sinceMs, untilMs };
}
