/**
 * Measures the ways to other hosts: latency, loss and path MTU, by the agent itself.
 *
 * Pace: each target once a second at a phase of its own, 64 a second in all; more than 64 targets share that. A target
 * whose answer is in doubt (later than three times its usual latency, 200 to 700 ms) is asked 20 times in a second (`burst.ts`; 60 a
 * second over all targets, beside the others), and what else leads to its host once: a way that is gone is known after a second of
 * silence. Where such a row may not begin it is asked again at once, twice at most. An answer later than a second is a loss.
 * Packets are of 44 bytes (IPv4) or 64 (IPv6), but for those that look for the path MTU: one at a time over all targets, five a
 * second at most, beside the others.
 */
import { constants } from "node:os";
import type { MeshProbe, MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { socketAddressOf } from "../../linux/icmp/socketAddress.ts";
import type { ProbeTarget, ProbeView } from "../ports.ts";
import { BURST } from "./burst.ts";
import { EchoLane } from "./echoLane.ts";
import { LinkTarget } from "./linkTarget.ts";
import { MtuSurvey } from "./mtuSurvey.ts";
import { ANSWER_LIMIT_MS, LOST_UNTIL_UNREACHABLE, type ProbePorts } from "./ports.ts";
import { systemProbePorts } from "./systemProbePorts.ts";

const PROBE_EVERY_MS = 1_000;
const PACKETS_PER_SECOND = 64;
const BURST_PACKETS_PER_SECOND = 60;
const MAX_TARGETS = 256;
/** Targets that are due together are served together: fewer wakes. */
const GRID_MS = 100;
/** What else leads to a host whose echo is in doubt is asked at once, unless it was a moment ago. */
const ASKED_LATELY_MS = 200;
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
  readonly #doubters = new Set<(provider: MeshProvider, isRefused: boolean) => void>();
  #burstTokens = BURST_PACKETS_PER_SECOND;
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

  /** An echo is in doubt, so that {@link isSilent} may have changed, or the kernel knows no way for it any more. */
  onDoubt(listener: (provider: MeshProvider, isRefused: boolean) => void): () => void {
    this.#doubters.add(listener);
    return () => this.#doubters.delete(listener);
  }

  /** Whether nothing that goes over this mesh is answered now, on any of its ways that were there; false = there is none. */
  isSilent(provider: MeshProvider): boolean {
    // What was answered while this process was held up is no silence.
    for (const lane of this.#lanes.values()) if (lane instanceof EchoLane) this.#look(lane);
    const nowMs = this.#nowMs();
    const known = [...this.#links.values()].filter(({ target, reachable }) => {
      return target.provider === provider && reachable !== null;
    });
    return known.length > 0 && known.every((link) => link.isSilentAt(nowMs));
  }

  close(): void {
    this.#listeners.clear();
    this.#doubters.clear();
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

  /** What happened to a target, and whether that made it reachable, unreachable or lossy, or ended that. */
  #changing(link: LinkTarget, happened: () => void): void {
    const [reachable, isLossProven] = [link.reachable, link.isLossProven];
    happened();
    const isSame = link.reachable === reachable && link.isLossProven === isLossProven;
    if (!isSame) for (const listener of this.#listeners) listener();
  }

  #wake(): void {
    // Answers first: what came while nobody looked is no loss.
    for (const lane of this.#lanes.values()) if (lane instanceof EchoLane) this.#look(lane);
    const nowMs = this.#nowMs();
    const passedS = (nowMs - this.#tokensAtMs) / 1_000;
    this.#tokens = Math.min(PACKETS_PER_SECOND, this.#tokens + passedS * PACKETS_PER_SECOND);
    this.#burstTokens = Math.min(BURST_PACKETS_PER_SECOND, this.#burstTokens + passedS * BURST_PACKETS_PER_SECOND);
    this.#tokensAtMs = nowMs;
    // Those first that have waited longest: none goes without where there is not enough for all.
    const links = [...this.#links.values()].toSorted((one, other) => one.nextEchoAtMs - other.nextEchoAtMs);
    for (const link of links) {
      this.#changing(link, () => link.giveUpLate(nowMs));
      this.#serve(link, nowMs);
    }
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
      this.#doubt(link, nowMs);
    }
    // As long as it loses it is looked at closely now and then: how else would it be known that it does no longer?
    if (link.isLossProven && link.isMeasuredByEchoes) link.bursts.begin("check", nowMs);
    if (nowMs >= link.bursts.nextAtMs && this.#burstTokens >= 1) {
      this.#burstTokens -= 1;
      this.#askNow(link, nowMs, true);
    }
    if (nowMs >= link.nextEchoAtMs && this.#spend()) this.#ask(link, nowMs);
    if (!link.isLeftToHandshakes) link.nextHandshakeAtMs = Number.POSITIVE_INFINITY;
    else if (link.nextHandshakeAtMs === Number.POSITIVE_INFINITY)
      link.nextHandshakeAtMs = nowMs + this.#handshakeEveryMs(link);
    if ((link.needsHandshake || nowMs >= link.nextHandshakeAtMs) && !link.isShakingHands && this.#spend())
      void this.#shakeHands(link, nowMs);
  }

  #doubt(link: LinkTarget, nowMs: number): void {
    for (const doubter of this.#doubters) doubter(link.target.provider, false);
    if (!link.isMeasuredByEchoes) return;
    if (link.isLossProven || !link.bursts.begin("doubt", nowMs)) {
      if (!link.bursts.isOpen && link.unanswered < LOST_UNTIL_UNREACHABLE) link.nextEchoAtMs = nowMs;
      return;
    }
    for (const other of this.#links.values()) {
      const isSame = other !== link && other.target.host === link.target.host && other.isMeasuredByEchoes;
      if (isSame && nowMs - other.askedAtMs >= ASKED_LATELY_MS) other.nextEchoAtMs = nowMs;
    }
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
    this.#askNow(link, nowMs, false);
  }

  #askNow(link: LinkTarget, nowMs: number, isOfBurst: boolean): void {
    const lane = this.#laneOf(link.family);
    if (!(lane instanceof EchoLane)) {
      this.#changing(link, () => link.keptIn(lane.problem));
      return;
    }
    const serial = link.asked(nowMs, isOfBurst);
    const owner = { link, serial };
    const errno = lane.ask({ owner, to: link.socketAddress, packetBytes: 0, limitMs: ANSWER_LIMIT_MS });
    if (errno === 0) link.doubtAtMs = link.bursts.isOpen ? Number.POSITIVE_INFINITY : nowMs + link.doubtMs;
    else {
      const wasThere = link.isMeasuredByEchoes;
      this.#changing(link, () => notSent(link, serial, nowMs, errno));
      const isRefused = wasThere && REASONS[errno] !== undefined;
      if (isRefused) for (const doubter of this.#doubters) doubter(link.target.provider, true);
    }
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
    const handshake = await this.#ports.handshake(address, tcpPort, this.#aborted.signal, link.handshakeLimitMs);
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
    let gridMs: number = GRID_MS;
    let nextMs = this.#survey.soonestMs() ?? Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes.values()) {
      const soonestNs = lane instanceof EchoLane ? lane.soonestNs() : null;
      if (soonestNs !== null) nextMs = Math.min(nextMs, Number(soonestNs) / 1e6);
    }
    for (const link of this.#links.values()) {
      nextMs = Math.min(nextMs, link.nextEchoAtMs, link.nextHandshakeAtMs, link.doubtAtMs, link.bursts.nextAtMs);
      if (link.bursts.isOpen) [gridMs, nextMs] = [BURST.everyMs, Math.min(nextMs, nowMs + BURST.everyMs)];
      if (link.needsHandshake) nextMs = nowMs;
    }
    const wakeAtMs = Math.ceil(Math.max(nextMs, nowMs + 1) / gridMs) * gridMs;
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
