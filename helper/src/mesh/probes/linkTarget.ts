/**
 * One way to another host: what became of its probes, and whether it is reachable. Unreachable after three lost in a row and a
 * second of silence, reachable after one answer. Where echoes are refused and a port is named, handshakes with that port decide.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type MeshProbe, MeshProbeMethod, MeshProbeSchema } from "@wardline/api/wardline/v1/mesh";
import type { ProbeTarget } from "../ports.ts";
import { BURST, Bursts } from "./burst.ts";
import { ANSWER_LIMIT_MS, type Handshake, LOST_UNTIL_UNREACHABLE } from "./ports.ts";
import { ProbeWindow } from "./probeWindow.ts";

const SHORTEST_DOUBT_MS = 200;
const LONGEST_DOUBT_MS = 700;
const DOUBT_FACTOR = 3;
/** How fast a latency that was once high is forgotten. */
const DECAY = 0.9;
/** From the first question without an answer on: echoes of a row are lost many at once. */
const SILENT_MS = 1_000;
const MAX_PENDING = 64;
const QUICK_MS = 100;
const QUICK_HANDSHAKE_MS = 700;
const LOSES = "It loses echoes: many were asked close to each other to find out, and too many of those were lost.";

export class LinkTarget {
  readonly target: ProbeTarget;
  readonly socketAddress: Buffer;
  readonly #echoes = new ProbeWindow();
  readonly #handshakes = new ProbeWindow();
  readonly bursts = new Bursts();
  /** When echoes were asked that are newer than the newest that was answered. */
  readonly #pending = new Map<number, number>();
  /** A row of echoes found that it loses, and none since that it does not. */
  #isLossProven = false;
  /** The newest row said so. */
  #isRowLossy = false;
  /** Usual echoes that were answered since, in a row. */
  #usualAnswered = 0;
  /** The first echo that no row was beside or just before: who limits rows limits those with them. */
  #usualFrom = 0;
  #echoState: "unknown" | "up" | "down" | "kept in" = "unknown";
  #method = MeshProbeMethod.ICMP;
  #reachable: boolean | null = null;
  #reason = "";
  #lastAnswerAtMs: number | null = null;
  #typicalMs: number | null = null;
  #serial = 0;
  #newestAnswered = 0;
  #handshakeSerial = 0;
  #unanswered = 0;
  /** Of a handshake that began while echoes were in doubt: did it help? `null` = it goes on, or there was none. */
  #handshakeHelped: boolean | null = null;
  #lastHandshake: Handshake["outcome"] | null = null;
  nextEchoAtMs: number;
  /** The newest echo. */
  askedAtMs = Number.NEGATIVE_INFINITY;
  nextHandshakeAtMs = Number.POSITIVE_INFINITY;
  /** From then on the newest echo looks lost. */
  doubtAtMs = Number.POSITIVE_INFINITY;
  isShakingHands = false;
  pathMtuBytes: number | null = null;

  constructor(target: ProbeTarget, socketAddress: Buffer, firstEchoAtMs: number) {
    this.target = target;
    this.socketAddress = socketAddress;
    this.nextEchoAtMs = firstEchoAtMs;
  }

  get family(): 4 | 6 {
    return this.socketAddress.length === 16 ? 4 : 6;
  }

  /** `null` = nothing is known yet, or nothing can be measured. */
  get reachable(): boolean | null {
    return this.#reachable;
  }

  get isMeasuredByEchoes(): boolean {
    return this.#reachable === true && this.#method === MeshProbeMethod.ICMP;
  }

  get isMeasuredByHandshakes(): boolean {
    return this.#reachable === true && this.#method === MeshProbeMethod.TCP;
  }

  /** Serial numbers of the newest echo, and of the newest that was answered. */
  get newest(): { readonly asked: number; readonly answered: number } {
    return { asked: this.#serial, answered: this.#newestAnswered };
  }

  /** Echoes since the newest that was answered. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Echoes tell nothing of it, or nothing good, and a port is named. */
  get isLeftToHandshakes(): boolean {
    return this.target.tcpPort !== undefined && (this.#echoState === "down" || this.#echoState === "kept in");
  }

  /** An answer that takes so long is in doubt. Of a lost target it is looked for soon: one makes it reachable. */
  get doubtMs(): number {
    if (this.#reachable !== true) return SHORTEST_DOUBT_MS;
    const usual = this.#typicalMs === null ? LONGEST_DOUBT_MS : this.#typicalMs * DOUBT_FACTOR + SHORTEST_DOUBT_MS / 2;
    return Math.min(LONGEST_DOUBT_MS, Math.max(SHORTEST_DOUBT_MS, usual));
  }

  /** A row of echoes found that it loses. */
  get isLossProven(): boolean {
    return this.#isLossProven;
  }

  /** Since when nothing that was asked was answered; `null` = the newest question was. */
  get silentSinceMs(): number | null {
    return this.#pending.values().next().value ?? null;
  }

  /** Nothing is heard over it: it is unreachable, or what was asked is in doubt. */
  isSilentAt(nowMs: number): boolean {
    if (this.#reachable !== true) return true;
    const sinceMs = this.silentSinceMs;
    return sinceMs !== null && nowMs - sinceMs >= SHORTEST_DOUBT_MS;
  }

  /** The kernel sends the first packet again after a second: where answers are quick, that one is not waited for. */
  get handshakeLimitMs(): number {
    return this.#typicalMs !== null && this.#typicalMs <= QUICK_MS ? QUICK_HANDSHAKE_MS : ANSWER_LIMIT_MS;
  }

  /** Returns the serial number of the echo. */
  asked(nowMs: number, isOfBurst = false): number {
    this.askedAtMs = nowMs;
    this.#unanswered += 1;
    this.#serial += 1;
    if (this.#pending.size < MAX_PENDING) this.#pending.set(this.#serial, nowMs);
    if (isOfBurst) {
      this.bursts.asked(this.#serial, nowMs);
      this.#usualFrom = this.#serial + 2;
    }
    return this.#serial;
  }

  answered(serial: number, nowMs: number, wallMs: number, latencyNs: number | null): void {
    const isOfBurst = this.bursts.has(serial);
    this.#echoes.answered(serial, nowMs, latencyNs, isOfBurst);
    for (const each of this.#pending.keys()) if (each <= serial) this.#pending.delete(each);
    if (this.#echoState === "down") this.bursts.begin("return", nowMs);
    this.#judge(serial, isOfBurst, true, nowMs);
    this.#newestAnswered = Math.max(this.#newestAnswered, serial);
    this.#unanswered = Math.min(this.#unanswered, this.#serial - serial);
    if (this.#unanswered === 0) this.doubtAtMs = Number.POSITIVE_INFINITY;
    if (latencyNs !== null) this.#typicalMs = Math.max(latencyNs / 1e6, (this.#typicalMs ?? 0) * DECAY);
    this.#lastAnswerAtMs = wallMs;
    this.#reason = "";
    this.#echoState = "up";
    this.#handshakeHelped = null;
    this.#decide();
  }

  lost(serial: number, nowMs: number): void {
    const isOfBurst = this.bursts.has(serial);
    this.#echoes.lost(serial, nowMs, isOfBurst);
    this.#judge(serial, isOfBurst, false, nowMs);
    this.#fallSilent(nowMs);
    this.#decide();
  }

  /** Echoes of a row are not waited for longer than answers usually take; one that comes later still counts as an answer. */
  giveUpLate(nowMs: number): void {
    if (!this.bursts.isOpen) return;
    const waitMs = Math.max(BURST.shortestWaitMs, this.doubtMs);
    for (const serial of this.bursts.late(waitMs, nowMs)) this.lost(serial, nowMs);
    this.#fallSilent(nowMs);
    this.#decide();
  }

  /** What the row of echoes says, and what usual echoes say of the rows. */
  #judge(serial: number, isOfBurst: boolean, isAnswered: boolean, nowMs: number): void {
    if (!isOfBurst) {
      if (serial < this.#usualFrom) return;
      this.#usualAnswered = isAnswered ? this.#usualAnswered + 1 : 0;
      if (!this.#isLossProven || this.#usualAnswered < BURST.usualWithoutLoss) return;
      this.#isLossProven = false;
      this.#echoes.forgetBursts();
      // Where the newest row lost little too, it is the loss that ended.
      if (this.#isRowLossy) this.bursts.distrust(nowMs);
      return;
    }
    const first = this.bursts.firstSerial ?? serial;
    const verdict = this.bursts.ended(serial, isAnswered, nowMs);
    if (verdict !== "open") this.#isRowLossy = verdict === "loss";
    if (verdict === "clean" || verdict === "luck") this.#echoes.forgetOutage();
    const isChanged = this.#isLossProven ? verdict === "clean" : verdict === "loss";
    if (!isChanged) return;
    this.#isLossProven = !this.#isLossProven;
    this.#usualAnswered = 0;
    this.#echoes.beginAt(first);
  }

  #fallSilent(nowMs: number): void {
    if (this.#echoes.lostInRow < LOST_UNTIL_UNREACHABLE) return;
    const sinceMs = this.silentSinceMs;
    if (sinceMs !== null && nowMs - sinceMs < SILENT_MS) return;
    this.#echoState = "down";
    this.bursts.end();
  }

  /** The kernel did not send it: no way there, which is a loss. */
  refused(serial: number, nowMs: number, reason: string): void {
    this.#reason = reason;
    this.lost(serial, nowMs);
  }

  /** The newest was not sent after all. */
  notAsked(): void {
    this.#pending.delete(this.#serial);
    this.bursts.end();
    this.#unanswered -= 1;
  }

  /** This host lets no echo out, or has no socket for it: that says nothing of the way. */
  keptIn(reason: string): void {
    this.#unanswered = 0;
    this.#pending.clear();
    this.bursts.end();
    this.#isLossProven = false;
    this.doubtAtMs = Number.POSITIVE_INFINITY;
    this.#reason = reason;
    this.#echoState = "kept in";
    this.#decide();
  }

  handshakeBegan(): number {
    this.isShakingHands = true;
    this.#handshakeSerial += 1;
    return this.#handshakeSerial;
  }

  handshakeEnded(serial: number, nowMs: number, wallMs: number, { outcome, latencyNs }: Handshake): void {
    this.isShakingHands = false;
    this.#lastHandshake = outcome;
    const isAnswer = outcome === "answered" || outcome === "refused";
    if (isAnswer) {
      this.#handshakes.answered(serial, nowMs, latencyNs);
      if (this.#echoState !== "up") this.#lastAnswerAtMs = wallMs;
    } else if (outcome === "silent") this.#handshakes.lost(serial, nowMs);
    this.#handshakeHelped = isAnswer;
    this.#decide();
  }

  /** Echoes are gone and only a handshake can tell whether the host is. */
  get needsHandshake(): boolean {
    if (this.target.tcpPort === undefined || this.isShakingHands || this.#handshakeHelped !== null) return false;
    return (
      this.#echoState === "down" || this.#echoState === "kept in" || (this.#reachable === true && this.#unanswered >= 2)
    );
  }

  #decide(): void {
    if (this.#echoState === "up") {
      [this.#reachable, this.#method] = [true, MeshProbeMethod.ICMP];
      return;
    }
    if (this.#echoState === "unknown") return;
    if (this.target.tcpPort === undefined) {
      this.#reachable = this.#echoState === "kept in" ? null : false;
      return;
    }
    this.#decideByHandshake();
  }

  #decideByHandshake(): void {
    if (this.#handshakeHelped === null) return;
    if (this.#handshakeHelped) [this.#reachable, this.#method] = [true, MeshProbeMethod.TCP];
    else if (this.#echoState === "kept in" && this.#lastHandshake === "kept in") this.#reachable = null;
    else if (this.#isEnough) this.#reachable = false;
  }

  /** One handshake is enough beside three lost echoes; without echoes it takes as many as of those. */
  get #isEnough(): boolean {
    const isFirstWord = this.#echoState === "down" && !this.isMeasuredByHandshakes;
    return isFirstWord || this.#handshakes.lostInRow >= LOST_UNTIL_UNREACHABLE;
  }

  /** The share of echoes that were lost in the last minute; `null` = not known. */
  loss(nowMs: number): number | null {
    return this.#echoes.figures(nowMs).loss;
  }

  get typicalMs(): number | null {
    return this.#typicalMs;
  }

  /** `null` while nothing is known. */
  result(nowMs: number): MeshProbe | null {
    if (this.#reachable === null) return null;
    const isByEchoes = this.#method === MeshProbeMethod.ICMP;
    const { sent, received, loss, latencyMs, latencyP95Ms } = (isByEchoes ? this.#echoes : this.#handshakes).figures(
      nowMs,
    );
    return create(MeshProbeSchema, {
      targetHost: this.target.host,
      address: this.target.address,
      provider: this.target.provider,
      method: this.#method,
      reachable: this.#reachable,
      ...{ sent, received, problem: this.#problem },
      lossProven: isByEchoes && this.#isLossProven,
      ...(latencyMs !== null && { latencyMs }),
      ...(latencyP95Ms !== null && { latencyP95Ms }),
      ...(isByEchoes && loss !== null && { loss }),
      ...(isByEchoes && this.pathMtuBytes !== null && { pathMtuBytes: this.pathMtuBytes }),
      ...(this.#lastAnswerAtMs !== null && { lastAnswerAt: timestampFromMs(this.#lastAnswerAtMs) }),
    });
  }

  /** A sentence that does not change while nothing does. */
  get #problem(): string {
    const port = this.target.tcpPort;
    const isPortClosed = this.#lastHandshake === "refused" ? ", which refuses connections" : "";
    if (this.#reachable && this.#method === MeshProbeMethod.ICMP) return this.#isLossProven ? LOSES : "";
    const why = this.#reason === "" ? "Echoes are not answered" : this.#reason;
    if (this.#reachable) return `${why}; times are those of handshakes with port ${port}${isPortClosed}.`;
    const silent = port === undefined ? "" : `, and port ${port} does not answer`;
    const never = this.#lastAnswerAtMs === null ? " It never answered: something on the way may keep probes out." : "";
    return `${why}${silent}.${never}`;
  }

  /** Why nothing is told of it although it was asked for; empty = it is, or will be. */
  get obstacle(): string {
    return this.#reachable === null && this.#echoState === "kept in" ? this.#reason : "";
  }
}
