/**
 * A fleet with one Yggdrasil mesh and plain links between all hosts, simulated second by second: what each host would say of it, with
 * faults that somebody puts in and actions that work, fail, do nothing or are cut in two.
 */
import { create } from "@bufbuild/protobuf";
import { MemberState } from "@wardline/api/wardline/v1/cluster";
import {
  MeshObservationSchema,
  MeshPeerSchema,
  MeshProbeSchema,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import {
  HealingAction,
  type HealingHost,
  HealingOutcome,
  type HealingStoreMember,
  type HealingWorld,
  MeshProvider,
  type OrderReceipt,
  type PlannedOrder,
} from "../model.ts";

export interface SimulatedLink {
  readonly from: string;
  readonly to: string;
  readonly uri: string;
  /** The way below is cut: nothing brings it back but its repair. */
  isCut: boolean;
  /** It is down until it is peered anew. */
  isStuck: boolean;
  /** When it went up again, at the earliest. */
  upAtMs: number;
}

export interface SimulatedHost {
  readonly name: string;
  daemon: MeshProviderState;
  isGone: boolean;
  isAgentGone: boolean;
  goneAtMs: number;
  generation: string;
}

export type Effect = "works" | "fails" | "nothing" | "impossible" | "interrupted" | "unanswered";

const GONE_AFTER_MS = 12_000;
const FIGURES_EVERY_MS = 10_000;
const RECONNECT_MS = 2_000;

export class SimulatedMesh {
  readonly hosts = new Map<string, SimulatedHost>();
  readonly links: SimulatedLink[] = [];
  /** What an action does; by the order. */
  effect: (order: PlannedOrder) => Effect = () => "works";
  /** Loss that the first host measures to the second. */
  readonly losses = new Map<string, number>();
  /** Those of them that were tested for. */
  readonly proven = new Set<string>();
  /** Ways through the mesh that are measured, `FROM TO`, and whether they are there. */
  readonly paths = new Map<string, boolean>();
  storeMembers: HealingStoreMember[] = [];
  readonly hasProbes: boolean;
  readonly #told = new Map<string, { text: string; atMs: number; host: HealingHost }>();

  constructor(names: readonly string[], links: readonly (readonly [string, string])[], hasProbes = true) {
    for (const name of names) {
      const daemon = MeshProviderState.UP;
      this.hosts.set(name, { name, daemon, isGone: false, isAgentGone: false, goneAtMs: 0, generation: "0.5" });
    }
    for (const [from, to] of links) this.addLink(from, to);
    this.hasProbes = hasProbes;
  }

  addLink(from: string, to: string, atMs = 0): SimulatedLink {
    const link = { from, to, uri: uriOf(to), isCut: false, isStuck: false, upAtMs: atMs };
    this.links.push(link);
    return link;
  }

  link(from: string, to: string): SimulatedLink {
    const found = this.links.find((each) => each.from === from && each.to === to);
    if (!found) throw new Error(`no link from ${from} to ${to}`);
    return found;
  }

  host(name: string): SimulatedHost {
    const host = this.hosts.get(name);
    if (!host) throw new Error(`no host ${name}`);
    return host;
  }

  isLinkUp({ from, to, isCut, isStuck, upAtMs }: SimulatedLink, nowMs: number): boolean {
    const works = (name: string) => {
      const { daemon, isGone } = this.host(name);
      return daemon === MeshProviderState.UP && !isGone;
    };
    const isMixed = this.host(from).generation !== this.host(to).generation;
    return !isCut && !isStuck && nowMs >= upAtMs && works(from) && works(to) && !isMixed;
  }

  /** What is known now: hosts tell changes at once and figures every 10 s. */
  world(nowMs: number): HealingWorld {
    const hosts = [...this.hosts.values()].map((host) => this.#tellOf(host, nowMs));
    return { hosts, storeMembers: this.storeMembers };
  }

  #tellOf(host: SimulatedHost, nowMs: number): HealingHost {
    const isSilent = host.isGone || host.isAgentGone;
    const before = this.#told.get(host.name);
    const isOut = isSilent && nowMs - host.goneAtMs >= GONE_AFTER_MS;
    const member = isOut ? MemberState.GONE : MemberState.HEALTHY;
    if (isSilent) {
      const never = { host: host.name, observation: null, receivedAtMs: 0 };
      return { ...(before?.host ?? never), member };
    }
    const text = this.#signOf(host, nowMs);
    if (before && before.text === text && nowMs - before.atMs < FIGURES_EVERY_MS) return { ...before.host, member };
    const observation = this.#observe(host, nowMs);
    const told = { host: host.name, observation, receivedAtMs: nowMs, member };
    this.#told.set(host.name, { text, atMs: nowMs, host: told });
    return told;
  }

  /** Differs when what the host would say does. */
  #signOf({ name, daemon, generation }: SimulatedHost, nowMs: number): string {
    const links = this.links.filter(({ from, to }) => from === name || to === name);
    const up = links.map((link) => (this.isLinkUp(link, nowMs) ? link.uri : `${link.uri} down`));
    const probes = [...this.hosts.values()].map((other) => {
      const way = `${name} ${other.name}`;
      return [other.isGone, this.losses.get(way), this.proven.has(way), this.paths.get(way)];
    });
    return `${daemon} ${generation} ${up} ${probes}`;
  }

  #observe({ name, daemon, generation }: SimulatedHost, nowMs: number) {
    const isUp = daemon === MeshProviderState.UP;
    const peers = this.links.flatMap((link) => {
      const up = this.isLinkUp(link, nowMs);
      if (link.from === name) {
        const key = up ? keyOf(link.to) : "";
        return create(MeshPeerSchema, { key, uri: link.uri, up, configured: true });
      }
      if (link.to !== name || !up) return [];
      return create(MeshPeerSchema, { key: keyOf(link.from), up, inbound: true });
    });
    const report = create(MeshProviderReportSchema, {
      ...{ provider: MeshProvider.YGGDRASIL, state: daemon, generation, peers: isUp ? peers : [] },
      capabilities: isUp ? ["peers", "add-peer", "remove-peer", "restart"] : [],
      self: { key: keyOf(name) },
    });
    const probes = this.hasProbes ? this.#probes(name) : [];
    return create(MeshObservationSchema, { host: name, providers: [report], probes });
  }

  #probes(name: string) {
    return [...this.hosts.values()].flatMap((other) => {
      if (other.name === name) return [];
      const reachable = !other.isGone;
      const loss = reachable ? (this.losses.get(`${name} ${other.name}`) ?? 0) : 1;
      const path = this.paths.get(`${name} ${other.name}`);
      const direct = create(MeshProbeSchema, {
        ...{ targetHost: other.name, address: other.name, provider: MeshProvider.IP, reachable, loss },
        ...{ sent: 60, received: Math.round(60 * (1 - loss)), ...(reachable ? { latencyMs: 1 } : {}) },
        lossProven: reachable && this.proven.has(`${name} ${other.name}`),
      });
      if (path === undefined) return direct;
      const through = create(MeshProbeSchema, {
        ...{ targetHost: other.name, address: `200::${other.name}`, provider: MeshProvider.YGGDRASIL },
        ...{ reachable: path, sent: 60, received: 60 },
      });
      return [direct, through];
    });
  }

  /** `null` = no answer ever comes. */
  carryOut(order: PlannedOrder, nowMs: number): OrderReceipt | null {
    const host = this.host(order.host);
    if (host.isGone || host.isAgentGone) return null;
    const effect = this.effect(order);
    if (effect === "unanswered") return null;
    const outcome = OUTCOMES[effect];
    const acts = effect === "works" || effect === "interrupted";
    if (acts && !order.dryRun) this.#act(order, nowMs);
    return {
      orderId: order.id,
      outcome: order.dryRun ? HealingOutcome.DONE : outcome,
      sentence: "",
      evidence: [],
      atMs: nowMs,
    };
  }

  #act({ action, host, peerUri }: PlannedOrder, nowMs: number): void {
    const link = this.links.find((each) => each.from === host && each.uri === peerUri);
    if (action === HealingAction.RESTART_DAEMON) {
      this.host(host).daemon = MeshProviderState.UP;
      for (const each of this.links) if (each.from === host || each.to === host) each.upAtMs = nowMs + RECONNECT_MS;
    } else if (action === HealingAction.REPEER && link) {
      link.isStuck = false;
    } else if (action === HealingAction.ADD_PEER && !link) {
      this.addLink(host, nameOf(peerUri), nowMs + 1_000);
    } else if (action === HealingAction.REMOVE_PEER && link) {
      this.links.splice(this.links.indexOf(link), 1);
    }
  }
}

const OUTCOMES: Readonly<Record<Exclude<Effect, "unanswered">, HealingOutcome>> = {
  works: HealingOutcome.DONE,
  nothing: HealingOutcome.DONE,
  fails: HealingOutcome.FAILED,
  impossible: HealingOutcome.NOT_POSSIBLE,
  interrupted: HealingOutcome.INTERRUPTED,
};

export const keyOf = (name: string): string => `${name}.`.padEnd(64, "0");
export const uriOf = (name: string): string => `tls://${name}:443`;
const nameOf = (uri: string): string => uri.slice("tls://".length, uri.lastIndexOf(":"));
