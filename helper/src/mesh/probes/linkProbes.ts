/**
 * Measures the ways to other hosts: latency, loss and path MTU, by the agent itself.
 *
 * Pace: each target once a second at a phase of its own, 64 a second in all; more than 64 targets share that. A target
 * whose answer is in doubt (later than three times its usual latency, 200 to 700 ms) is asked again at once, twice at most,
 * so that three lost in a row are known after 2.6 s. An answer later than a second is a loss. Packets are of 44 bytes (IPv4) or 64 (IPv6), but
 * for those that look for the path MTU: one at a time over all targets, five a second at most, beside the others.
 */
import { constants } from "node:os";
import type { MeshProbe } from "@wardline/api/wardline/v1/mesh";
import { socketAddressOf } from "../../linux/icmp/socketAddress.ts";
import type { ProbeTarget, ProbeView } from "../ports.ts";
import { EchoLane } from "./echoLane.ts";
import { LinkTarget } from "./linkTarget.ts";
import { MtuSurvey } from "./mtuSurvey.ts";
import { ANSWER_LIMIT_MS, LOST_UNTIL_UNREACHABLE, type ProbePorts } from "./ports.ts";
import { systemProbePorts } from "./systemProbePorts.ts";

const PROBE_EVERY_MS = 1_000;
const PACKETS_PER_SECOND = 64;
const MAX_TARGETS = 256;
/** Targets that are due together are served together: fewer wakes. */
const GRID_MS = 100;
/** The kernel stamps what it receives only some time after it was asked to. */
const FIRST_ECHO_AFTER_MS = 100;
/** Echoes while handshakes measure, to notice when they pass again; handshakes while nothing does, or while they measure. */
const PERIODS = { echoBesideHandshakes: 10, handshakeOfLost: 5, handshake: 2 } as const;

interface EchoOwner {
  readonly link: LinkTarget;
  /** `null` = a packet that looks for the path MTU. */
  readonly serial: number | null;
}

type Lane = EchoLane<EchoOwner> | { readonly problem: string };

/** Opens nothing when it is made: sockets and the timer come with the first target, and go with the last. */
export class LinkProbes implements ProbeView {
  readonly #ports: ProbePorts;
  readonly #links = new Map<string, LinkTarget>();
  readonly #lanes = new Map<4 | 6, Lane>();
  readonly #survey = new MtuSurvey();
  readonly #listeners = new Set<() => void>();
  #rejected: readonly string[] = [];
  #tokens = PACKETS_PER_SECOND;
  #tokensAtMs = 0;
  #cancelWake: (() => void) | null = null;
  #aborted = new AbortController();

  constructor(ports: ProbePorts = systemProbePorts) {
    this.#ports = ports;
  }

  /** What is measured of a target that stays goes on. Of more than 256 the first count; the rest is named by {@link problems}. */
  setTargets(targets: readonly ProbeTarget[]): void {
    const rejected: string[] = [];
    const wanted = new Map<string, readonly [ProbeTarget, Buffer]>();
    for (const target of targets) {
      const address = socketAddressOf(target.address);
      if (address === null)
        rejected.push(`${target.host} is not measured: “${target.address.slice(0, 64)}” is no address.`);
      else if (wanted.size < MAX_TARGETS) wanted.set(keyOf(target), [target, address]);
      else rejected.push(`${target.host} is not measured: there are more than ${MAX_TARGETS} targets.`);
    }
    this.#rejected = rejected.slice(0, 8);
    this.#leave((key) => !wanted.has(key));
    const [nowMs, everyMs] = [this.#nowMs(), this.#everyMs(wanted.size)];
    for (const [key, [target, address]] of wanted) {
      if (this.#links.has(key)) continue;
      const firstAtMs = nowMs + FIRST_ECHO_AFTER_MS + this.#ports.random() * everyMs;
      this.#links.set(key, new LinkTarget(target, address, firstAtMs));
    }
    if (this.#links.size === 0) this.#rest();
    else {
      // Before the first echo: see FIRST_ECHO_AFTER_MS.
      for (const link of this.#links.values()) this.#laneOf(link.family);
      this.#schedule();
    }
  }

  #leave(isUnwanted: (key: string) => boolean): void {
    for (const [key, link] of this.#links) {
      if (!isUnwanted(key)) continue;
      this.#links.delete(key);
      this.#survey.forget(link);
      for (const lane of this.#lanes.values())
        if (lane instanceof EchoLane) lane.forget((owner) => owner.link === link);
    }
  }

  #rest(): void {
    this.#cancelWake?.();
    this.#cancelWake = null;
    this.#aborted.abort();
    this.#aborted = new AbortController();
    for (const lane of this.#lanes.values()) if (lane instanceof EchoLane) lane.close();
    this.#lanes.clear();
  }

  /** Targets that nothing is known of are left out: no answer yet and not three lost, or nothing leaves this host. */
  results(): readonly MeshProbe[] {
    const nowMs = this.#nowMs();
    return [...this.#links.values()].flatMap((link) => link.result(nowMs) ?? []);
  }

  /** Sentences: what was asked for and cannot be measured, and why. At most 16. */
  problems(): readonly string[] {
    const kept = new Set([...this.#links.values()].map(({ obstacle }) => obstacle).filter((text) => text !== ""));
    return [...this.#rejected, ...[...kept].slice(0, 8).map((text) => `Links cannot be measured: ${text}.`)];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#listeners.clear();
    this.#leave(() => true);
    this.#rest();
  }

  #nowMs(): number {
    return Number(this.#ports.monotonicNs()) / 1e6;
  }

  #everyMs(count = this.#links.size): number {
    return Math.max(PROBE_EVERY_MS, (count * 1_000) / PACKETS_PER_SECOND);
  }

  #laneOf(family: 4 | 6): Lane {
    let lane = this.#lanes.get(family);
    if (lane === undefined) {
      try {
        lane = new EchoLane<EchoOwner>(this.#ports.openEchoes(family), this.#ports);
      } catch (error) {
        lane = { problem: error instanceof Error ? error.message : String(error) };
      }
      this.#lanes.set(family, lane);
    }
    return lane;
  }

  /** What happened to a target, and whether that made it reachable or unreachable. */
  #changing(link: LinkTarget, happened: () => void): void {
    const before = link.reachable;
    happened();
    if (link.reachable !== before) for (const listener of this.#listeners) listener();
  }

  #wake(): void {
    // Answers first: what came while nobody looked is no loss.
    for (const lane of this.#lanes.values()) if (lane instanceof EchoLane) this.#look(lane);
    const nowMs = this.#nowMs();
    this.#tokens = Math.min(
      PACKETS_PER_SECOND,
      this.#tokens + ((nowMs - this.#tokensAtMs) * PACKETS_PER_SECOND) / 1_000,
    );
    this.#tokensAtMs = nowMs;
    // Those first that have waited longest: none goes without where there is not enough for all.
    const links = [...this.#links.values()].toSorted((one, other) => one.nextEchoAtMs - other.nextEchoAtMs);
    for (const link of links) this.#serve(link, nowMs);
    this.#survey.follow(this.#links.values(), nowMs);
    this.#survey.step(nowMs, (link, bytes, limitMs) => this.#askSize(link, bytes, limitMs));
    this.#schedule();
  }

  #look(lane: EchoLane<EchoOwner>): void {
    lane.collect(({ link, serial }, latencyNs) => {
      const nowMs = this.#nowMs();
      if (serial === null) this.#survey.tried(link, "answered", nowMs);
      else this.#changing(link, () => link.answered(serial, nowMs, this.#wallMs(), latencyNs));
    });
    lane.expire(({ link, serial }) => {
      const nowMs = this.#nowMs();
      if (serial === null) this.#survey.tried(link, "silent", nowMs);
      else this.#changing(link, () => link.lost(serial, nowMs));
    });
  }

  #wallMs(): number {
    return Number(this.#ports.realtimeNs() / 1_000_000n);
  }

  #serve(link: LinkTarget, nowMs: number): void {
    if (nowMs >= link.doubtAtMs) {
      link.doubtAtMs = Number.POSITIVE_INFINITY;
      if (link.isMeasuredByEchoes && link.unanswered < LOST_UNTIL_UNREACHABLE) link.nextEchoAtMs = nowMs;
    }
    if (nowMs >= link.nextEchoAtMs && this.#spend()) this.#ask(link, nowMs);
    if (!link.isLeftToHandshakes) link.nextHandshakeAtMs = Number.POSITIVE_INFINITY;
    else if (link.nextHandshakeAtMs === Number.POSITIVE_INFINITY)
      link.nextHandshakeAtMs = nowMs + this.#handshakeEveryMs(link);
    if ((link.needsHandshake || nowMs >= link.nextHandshakeAtMs) && !link.isShakingHands && this.#spend())
      void this.#shakeHands(link, nowMs);
  }

  #spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  #ask(link: LinkTarget, nowMs: number): void {
    const everyMs = this.#everyMs() * (link.isMeasuredByHandshakes ? PERIODS.echoBesideHandshakes : 1);
    // At its phase, unless the process was held up for longer.
    link.nextEchoAtMs = nowMs - link.nextEchoAtMs < everyMs ? link.nextEchoAtMs + everyMs : nowMs + everyMs;
    const lane = this.#laneOf(link.family);
    if (!(lane instanceof EchoLane)) {
      this.#changing(link, () => link.keptIn(lane.problem));
      return;
    }
    const serial = link.asked();
    const owner = { link, serial };
    const errno = lane.ask({ owner, to: link.socketAddress, packetBytes: 0, limitMs: ANSWER_LIMIT_MS });
    if (errno === 0) link.doubtAtMs = nowMs + link.doubtMs;
    else this.#changing(link, () => notSent(link, serial, nowMs, errno));
  }

  #askSize(link: LinkTarget, packetBytes: number, limitMs: number): number {
    const lane = this.#laneOf(link.family);
    if (!(lane instanceof EchoLane)) return constants.errno.EPERM;
    return lane.ask({ owner: { link, serial: null }, to: link.socketAddress, packetBytes, limitMs });
  }

  async #shakeHands(link: LinkTarget, nowMs: number): Promise<void> {
    const { address, tcpPort } = link.target;
    link.nextHandshakeAtMs = Number.POSITIVE_INFINITY;
    if (tcpPort === undefined) return;
    const serial = link.handshakeBegan();
    const handshake = await this.#ports.handshake(address, tcpPort, this.#aborted.signal);
    if (this.#links.get(keyOf(link.target)) !== link) return;
    const endMs = this.#nowMs();
    this.#changing(link, () => link.handshakeEnded(serial, endMs, this.#wallMs(), handshake));
    const isInDoubt = handshake.outcome === "silent" && link.isMeasuredByHandshakes;
    link.nextHandshakeAtMs = isInDoubt ? endMs : nowMs + this.#handshakeEveryMs(link);
    this.#schedule();
  }

  #handshakeEveryMs(link: LinkTarget): number {
    return (link.isMeasuredByHandshakes ? PERIODS.handshake : PERIODS.handshakeOfLost) * this.#everyMs();
  }

  #schedule(): void {
    this.#cancelWake?.();
    const nowMs = this.#nowMs();
    let nextMs = this.#survey.soonestMs() ?? Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes.values()) {
      const soonestNs = lane instanceof EchoLane ? lane.soonestNs() : null;
      if (soonestNs !== null) nextMs = Math.min(nextMs, Number(soonestNs) / 1e6);
    }
    for (const link of this.#links.values()) {
      nextMs = Math.min(nextMs, link.nextEchoAtMs, link.nextHandshakeAtMs, link.doubtAtMs);
      if (link.needsHandshake) nextMs = nowMs;
    }
    const wakeAtMs = Math.ceil(Math.max(nextMs, nowMs + 1) / GRID_MS) * GRID_MS;
    this.#cancelWake = this.#ports.wakeIn(Math.min(wakeAtMs - nowMs, PROBE_EVERY_MS), () => this.#wake());
  }
}

function keyOf({ host, address, provider, tcpPort }: ProbeTarget): string {
  return JSON.stringify([host, address, provider, tcpPort ?? null]);
}

const REASONS: Readonly<Record<number, string>> = {
  [constants.errno.ENETUNREACH]: "This host has no route to it",
  [constants.errno.EHOSTUNREACH]: "Nobody answers for its address on the network",
  [constants.errno.EADDRNOTAVAIL]: "This host has no address to ask from",
  [constants.errno.ENODEV]: "The interface of its address is gone",
};
/** A full queue of this host: neither a loss nor a reason. */
const LATER: readonly number[] = [constants.errno.EAGAIN, constants.errno.ENOBUFS, constants.errno.ENOMEM];

function notSent(link: LinkTarget, serial: number, nowMs: number, errno: number): void {
  if (LATER.includes(errno)) link.notAsked();
  else if (errno === constants.errno.EPERM || errno === constants.errno.EACCES)
    link.keptIn("A policy or firewall of this host lets no echoes out");
  else link.refused(serial, nowMs, REASONS[errno] ?? `The kernel does not send there (error ${errno})`);
}
