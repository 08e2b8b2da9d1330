/** The picture of all meshes, made of what hosts say, one word at a time. What a word does not touch is not looked at. */
import { type MeshObservation, MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { DeltaLog } from "./delta-log.ts";
import type { GraphLink, GraphNode, MeshDelta, MeshGraph } from "./graph.ts";
import {
  changeKey,
  endAlarms,
  forgetNeighbours,
  judgeOrder,
  LATE,
  newHost,
  raiseAlarm,
  refresh,
  takeObservation,
} from "./hosts.ts";
import { hostNameProblem, plainText } from "./identity.ts";
import { MESH_LIMITS, MESH_LIVENESS } from "./limits.ts";
import { Picture } from "./picture.ts";
import type { HostRecord, LinkRecord, NodeRecord } from "./records.ts";
import { figuresOf, type MeshFigures } from "./summary.ts";

export interface MeshHost {
  /** As it calls itself in observations. */
  readonly name: string;
  /** Of the console; empty in an agent. */
  readonly hostId: string;
  readonly groups: readonly string[];
}

/** What came of one call. `refused` is a sentence where the observation was not taken, empty where it was. */
export interface MeshUpdate {
  readonly delta: MeshDelta;
  readonly refused: string;
}

export interface HeardObservation {
  readonly observation: MeshObservation;
  /** The host whose connection it came over; that of the observation unless given. */
  readonly spokenBy?: string;
}

/**
 * All times are milliseconds of one clock of the caller that does not go back: a monotonic one that was set to the wall clock
 * once. One that does go back is held at the newest time seen. Nothing throws for what hosts say.
 */
export class MeshTopologyBuilder {
  readonly #picture = new Picture();
  readonly #hosts = new Map<string, HostRecord>();
  readonly #log = new DeltaLog();
  #nowMs = 0;
  #graph: MeshGraph | null = null;
  #figures: MeshFigures | null = null;

  /** A host that is managed, before or after it says something. A name that none can have is left out. */
  hostKnown({ name, hostId, groups }: MeshHost, atMs: number): MeshDelta {
    return this.#update(atMs, (nowMs) => {
      const host = hostNameProblem(name) === "" ? this.#host(name, nowMs) : undefined;
      if (host === undefined) return;
      host.hostId = hostId;
      host.groups = groups;
      this.#picture.markNode(host.node);
    });
  }

  /** `spokenBy`: the host whose connection it came over; a word about another host is refused and told as a problem. */
  observe(observation: MeshObservation, receivedAtMs: number, spokenBy: string = observation.host): MeshUpdate {
    let refused = "";
    const delta = this.#update(receivedAtMs, (nowMs) => {
      refused = this.#hear(observation, spokenBy, nowMs);
    });
    return { delta, refused };
  }

  /** Many at once: the whole is looked at once and not after each. `refused` are sentences, of what is wrong and not only late. */
  observeAll(
    heard: Iterable<HeardObservation>,
    receivedAtMs: number,
  ): { delta: MeshDelta; refused: readonly string[] } {
    const refused: string[] = [];
    const delta = this.#update(receivedAtMs, (nowMs) => {
      for (const { observation, spokenBy = observation.host } of heard) {
        const problem = this.#hear(observation, spokenBy, nowMs);
        if (problem !== "" && problem !== LATE) refused.push(problem);
      }
    });
    return { delta, refused };
  }

  /** Its own word counts no longer: the connection ended, or its lease did. Its node stays. */
  hostGone(name: string, atMs: number): MeshDelta {
    return this.#update(atMs, (nowMs) => {
      const host = this.#hosts.get(name);
      if (host === undefined) return;
      host.isGone = true;
      this.#picture.markNode(host.node);
      refresh(this.#picture, host, nowMs);
    });
  }

  /** No longer managed: its node goes, or stays as one that is known from others. */
  forgetHost(name: string, atMs: number): MeshDelta {
    return this.#update(atMs, (nowMs) => {
      const host = this.#hosts.get(name);
      if (host === undefined) return;
      host.isGone = true;
      refresh(this.#picture, host, nowMs);
      for (const provider of host.providers.keys()) {
        forgetNeighbours(this.#picture, host, provider, () => true);
        changeKey(this.#picture, host, provider, "");
        this.#picture.markStructure(provider);
      }
      this.#picture.dropNode(host.node);
      this.#hosts.delete(name);
    });
  }

  /** Lets words expire, flapping end and lost links go. Call it about once a second. */
  tick(nowMs: number): MeshDelta {
    return this.#update(nowMs, (now) => {
      for (const host of this.#hosts.values()) {
        const hasEnded = endAlarms(host, now);
        if (hasEnded || isWaitedFor(host)) this.#picture.markNode(host.node);
        refresh(this.#picture, host, now);
      }
      this.#picture.settleFlaps();
      this.#forgetLost(now);
    });
  }

  /** Does not change any more. Cheap when nothing changed since the last call. */
  topology(): MeshGraph {
    if (this.#graph !== null) return this.#graph;
    const nodes = new Map<string, GraphNode>();
    for (const [id, { node }] of this.#picture.nodes) if (node !== null) nodes.set(id, node);
    const links = new Map<string, GraphLink>();
    for (const [id, { link }] of this.#picture.links) links.set(id, link);
    this.#graph = { revision: this.#picture.revision, atMs: this.#nowMs, nodes, links };
    return this.#graph;
  }

  /** What changed since `topology()` had this revision; `null` = too long ago: take the topology whole. */
  changesSince(revision: number): MeshDelta | null {
    return this.#log.since(revision, this.#picture.revision, this.#nowMs);
  }

  /** Counts, partitions, single points, version mix, problems. Cheap when nothing changed since the last call. */
  figures(): MeshFigures {
    this.#figures ??= figuresOf(this.#picture, this.#hosts.values());
    return this.#figures;
  }

  /** The newest that was taken; `undefined` = none. */
  observation(name: string): MeshObservation | undefined {
    return this.#hosts.get(name)?.observation;
  }

  #hear(observation: MeshObservation, spokenBy: string, nowMs: number): string {
    const problem = hostNameProblem(observation.host) || hostNameProblem(spokenBy);
    if (problem !== "") return problem;
    if (spokenBy !== observation.host)
      return this.#refuse(spokenBy, `${spokenBy} spoke for ${observation.host}.`, nowMs);
    const host = this.#host(observation.host, nowMs);
    if (host === undefined) return `There is room for ${MESH_LIMITS.nodes} nodes.`;
    const order = judgeOrder(host, observation);
    if (order.isNews) {
      takeObservation(this.#picture, host, observation, nowMs);
      return "";
    }
    return order.alarm === "" ? order.why : this.#refuse(host.name, order.alarm, nowMs);
  }

  #refuse(name: string, why: string, nowMs: number): string {
    const host = this.#hosts.get(name);
    if (host === undefined) return why;
    raiseAlarm(host, plainText(why), nowMs);
    this.#picture.markNode(host.node);
    return why;
  }

  /** `undefined` = there is no room for one more. */
  #host(name: string, nowMs: number): HostRecord | undefined {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    if (this.#picture.nodes.size >= MESH_LIMITS.nodes) {
      this.#picture.isFull = true;
      return undefined;
    }
    const host = this.#picture.addHostNode(name, (node) => newHost(name, node, nowMs));
    this.#hosts.set(name, host);
    // Its name is what probes of others know it by.
    changeKey(this.#picture, host, MeshProvider.IP, name);
    return host;
  }

  #forgetLost(nowMs: number): void {
    for (const record of [...this.#picture.lostLinks]) {
      const { link, provider, a, b } = record;
      if (nowMs - link.sinceMs < MESH_LIVENESS.lostMs || isStillTold(record)) continue;
      for (const [end, other] of [
        [a, b],
        [b, a],
      ] as const) {
        if (end.host)
          forgetNeighbours(
            this.#picture,
            end.host,
            provider,
            (key) => this.#picture.nodeOfKey(provider, key) === other,
          );
      }
    }
  }

  #update(atMs: number, work: (nowMs: number) => void): MeshDelta {
    if (Number.isFinite(atMs) && atMs > this.#nowMs) this.#nowMs = Math.round(atMs);
    this.#picture.begin(this.#nowMs);
    work(this.#nowMs);
    const delta = this.#picture.settle((provider) => this.#partakers(provider));
    if (delta.revision !== delta.fromRevision) {
      this.#graph = null;
      this.#figures = null;
      this.#log.add(delta);
    }
    return delta;
  }

  *#partakers(provider: MeshProvider): Generator<NodeRecord> {
    for (const { node, providers } of this.#hosts.values()) {
      const record = providers.get(provider);
      if (record?.isFresh && record.reading?.state === MeshProviderState.UP) yield node;
    }
  }
}

/** Known, and silent so far: it does not stay initializing. */
function isWaitedFor({ receivedAtMs, isGone }: HostRecord): boolean {
  return receivedAtMs === null && !isGone;
}

/** A daemon still has it on its list, as one that is down. */
function isStillTold({ provider, a, b, link }: LinkRecord): boolean {
  const tells = (end: NodeRecord, other: NodeRecord, isObserved: boolean): boolean => {
    if (!isObserved) return false;
    const key = other.host === null ? other.key : (other.host.providers.get(provider)?.key ?? "");
    return end.host?.providers.get(provider)?.neighbours.get(key)?.lostAtMs === null;
  };
  return tells(a, b, link.aToB.isObserved) || tells(b, a, link.bToA.isObserved);
}
