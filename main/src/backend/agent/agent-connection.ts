/**
 * The console's link to one agent: connects, shakes hands, follows the status, and connects again when it is lost. What
 * it knows is always a whole state with the reason when there is no connection.
 *
 * A remote host is connected on demand: while somebody needs it (a window that shows hosts, a call), and a while longer.
 */
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { type HostStatus, Role } from "@wardline/api/wardline/v1/host";
import type { Failure } from "@wardline/domain/errors";
import { ChangeSignal } from "../async/signal.ts";
import type { Clock, Logger } from "../ports.ts";
import type { SshSession } from "../ssh/ssh-session.ts";
import { agentFailure } from "./agent-failure.ts";
import { type FollowOptions, followAgent } from "./agent-session.ts";
import type { ConnectSlots } from "./connect-slots.ts";
import { Demand } from "./demand.ts";
import { dialWithin, noAnswer } from "./dial-within.ts";
import type {
  AgentClient,
  AgentDialer,
  AgentLink,
  AnomalyClient,
  ClusterClient,
  MeshClient,
  RecordClient,
} from "./dialer.ts";
import { needsPerson, reachabilityOf, retryDelayMs } from "./reachability.ts";

const LOCAL_WAIT_MS = 5_000;
/** A login over a slow line, by way of another machine; and with a person who has to find a passphrase. */
const REMOTE_WAIT_MS = 20_000;
const INTERACTIVE_WAIT_MS = 180_000;
/** An attempt that has just failed is not repeated for a call. */
const FRESH_PROBLEM_MS = 3_000;
const IDLE_AFTER_MS = 60_000;

export interface AgentState {
  readonly reachability: Reachability;
  /** Why it is not connected; `null` when it is, when nobody needs it, and during the first attempt. */
  readonly problem: Failure | null;
  /** Last known; `null` when there never was one. */
  readonly status: HostStatus | null;
  /** Console clock; 0 = never. */
  readonly lastHeardAtMs: number;
  readonly role: Role;
  readonly actor: string;
}

export interface AgentConnectionOptions {
  readonly dialer: AgentDialer;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What was known when the console last ran. */
  readonly remembered?: Pick<AgentState, "status" | "lastHeardAtMs" | "role" | "actor"> | null;
  /** 0 to 1; spreads the reconnects of many consoles. */
  readonly random?: () => number;
  readonly statusSilenceMs?: number;
  /** What the host is called until its agent says its name; the dialer's address when absent. */
  readonly nameBefore?: () => string;
  /** What has to be known of a new link before the host counts as connected. It must end soon, and never throws. */
  readonly onLink?: (link: AgentLink) => Promise<void>;
  /** Present for a remote host: it is connected only while it is needed, and one of many. */
  readonly onDemand?: OnDemandOptions;
}

export interface OnDemandOptions {
  readonly slots: ConnectSlots;
  /** How long it stays connected after nobody needs it any more. */
  readonly idleAfterMs?: number;
  /** Whether a person sits there at each call (the command line): then each attempt may ask. */
  readonly isInteractive?: boolean;
}

export class AgentConnection {
  readonly changes = new ChangeSignal();
  readonly #options: AgentConnectionOptions;
  readonly #closing = new AbortController();
  readonly #demand: Demand | null;
  #retryNow = new AbortController();
  /** Ends the attempt or the connection that is under way. */
  #attempt = new AbortController();
  #endedAttempts = 0;
  #lastEndedAtMs = 0;
  /** Whether the next attempt is one that a person waits for, and whether the one under way is. */
  #asksNext = false;
  #underWay: "no" | "silent" | "asking" = "no";
  #link: AgentLink | null = null;
  #state: AgentState;
  #running: Promise<void> | null = null;

  constructor(options: AgentConnectionOptions) {
    this.#options = options;
    const { status = null, lastHeardAtMs = 0, role = Role.UNSPECIFIED, actor = "" } = options.remembered ?? {};
    const { onDemand } = options;
    const reachability = onDemand ? Reachability.IDLE : Reachability.CONNECTING;
    this.#state = { reachability, problem: null, status, lastHeardAtMs, role, actor };
    this.#demand = onDemand ? new Demand(onDemand.idleAfterMs ?? IDLE_AFTER_MS, () => this.#attempt.abort()) : null;
  }

  get state(): AgentState {
    return this.#state;
  }

  /** Name of the host as its agent last reported it, or what it is called before it ever did. */
  get hostName(): string {
    const { nameBefore, dialer } = this.#options;
    return this.#state.status?.info?.name || (nameBefore?.() ?? dialer.address);
  }

  /** The SSH connection that carries the standing link; `null` without one. */
  get session(): SshSession | null {
    return this.#link?.session ?? null;
  }

  /** The cluster, over the standing link; `null` without one. */
  get cluster(): ClusterClient | null {
    return this.#state.reachability === Reachability.CONNECTED ? (this.#link?.cluster ?? null) : null;
  }

  /** Findings and the model, over the standing link; `null` without one. */
  get anomalies(): AnomalyClient | null {
    return this.#state.reachability === Reachability.CONNECTED ? (this.#link?.anomalies ?? null) : null;
  }

  /** The meshes and their healing, over the standing link; `null` without one. */
  get mesh(): MeshClient | null {
    return this.#state.reachability === Reachability.CONNECTED ? (this.#link?.mesh ?? null) : null;
  }

  /** The journal of flow records, over the standing link; `null` without one. */
  get records(): RecordClient | null {
    return this.#state.reachability === Reachability.CONNECTED ? (this.#link?.records ?? null) : null;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#link?.close();
    this.#demand?.close();
    await this.#running;
  }

  /** Keeps the host connected until the returned function is called. The local one always is. */
  need(): () => void {
    if (!this.#demand) return () => {};
    // At once, so that nobody takes a host for idle that is about to be connected.
    if (this.#state.reachability === Reachability.IDLE) this.#set({ reachability: Reachability.CONNECTING });
    return this.#demand.add();
  }

  /** Tries at once instead of after the back-off. */
  retryNow(): void {
    this.#retryNow.abort();
  }

  /** Leaves the connection that stands, or the attempt, and begins anew: the way to the host has changed. */
  reconnect(): void {
    this.#attempt.abort();
    this.#link?.close();
    this.retryNow();
  }

  /** Connects now for a person who waits: passphrases and codes may be asked for. How it ended is the state. */
  async connect(signal: AbortSignal): Promise<AgentState> {
    const release = this.need();
    try {
      if (this.#state.reachability === Reachability.CONNECTED) return this.#state;
      this.#asksNext = true;
      // An attempt that may not ask would fail for want of an answer.
      if (this.#demand && this.#underWay === "silent") this.#attempt.abort();
      await this.#oneAttempt(INTERACTIVE_WAIT_MS, signal);
      return this.#state;
    } finally {
      this.#asksNext = false;
      release();
    }
  }

  /** The client of the connection that stands, after waiting for an attempt that is under way. @throws Failure */
  async client(waitMs?: number): Promise<AgentClient> {
    const release = this.need();
    try {
      const { onDemand } = this.#options;
      const usualMs = onDemand ? (onDemand.isInteractive ? INTERACTIVE_WAIT_MS : REMOTE_WAIT_MS) : LOCAL_WAIT_MS;
      if (this.#isWorthTrying()) await this.#oneAttempt(waitMs ?? usualMs, this.#closing.signal);
      if (this.#link && this.#state.reachability === Reachability.CONNECTED) return this.#link.client;
      throw this.#state.problem ?? noAnswer(this.hostName);
    } finally {
      release();
    }
  }

  /**
   * Waits for a connection for as long as it takes; `null` when the signal aborts first. It makes no demand: what only
   * follows a host must not keep it connected.
   */
  async waitForClient(signal: AbortSignal): Promise<AgentClient | null> {
    const limit = AbortSignal.any([signal, this.#closing.signal]);
    while (!limit.aborted) {
      if (this.#link && this.#state.reachability === Reachability.CONNECTED) return this.#link.client;
      await this.changes.wait(this.changes.version, 60_000, limit);
    }
    return null;
  }

  /** Waits a moment for the status to tell of a generation that is known from elsewhere already. */
  async waitForGeneration(number: bigint, waitMs: number): Promise<void> {
    const limit = AbortSignal.any([AbortSignal.timeout(waitMs), this.#closing.signal]);
    while ((this.#state.status?.enforced?.number ?? 0n) !== number && !limit.aborted) {
      await this.changes.wait(this.changes.version, waitMs, limit);
    }
  }

  /** Runs a call over a connection of its own, opened now: confirming must prove that the host can still be reached. */
  withFreshClient<Result>(call: (client: AgentClient) => Promise<Result>): Promise<Result> {
    return this.withFreshLink(({ client }) => call(client));
  }

  /** As {@link withFreshClient}, with the link. */
  async withFreshLink<Result>(call: (link: AgentLink) => Promise<Result>): Promise<Result> {
    const isInteractive = this.#options.onDemand?.isInteractive ?? false;
    const link = await this.#dial(this.#closing.signal, isInteractive);
    try {
      return await call(link);
    } catch (error) {
      throw agentFailure(error, this.hostName);
    } finally {
      link.close();
    }
  }

  /** Runs a call over the standing connection. @throws Failure */
  async call<Result>(body: (client: AgentClient) => Promise<Result>): Promise<Result> {
    const release = this.need();
    try {
      return await body(await this.client());
    } catch (error) {
      throw agentFailure(error, this.hostName);
    } finally {
      release();
    }
  }

  #isWorthTrying(): boolean {
    const { reachability } = this.#state;
    if (reachability === Reachability.CONNECTING || reachability === Reachability.IDLE) return true;
    if (!this.#demand || reachability === Reachability.CONNECTED) return false;
    // Nothing has changed for a person's problem, unless a person is there now.
    if (needsPerson(reachability)) return this.#options.onDemand?.isInteractive ?? false;
    return this.#options.clock.nowMs() - this.#lastEndedAtMs > FRESH_PROBLEM_MS;
  }

  /** Waits until an attempt that runs or begins now has ended, one way or the other. */
  async #oneAttempt(waitMs: number, signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([AbortSignal.timeout(waitMs), signal, this.#closing.signal]);
    const ended = this.#endedAttempts;
    this.retryNow();
    for (;;) {
      const seen = this.changes.version;
      const { reachability } = this.#state;
      if (reachability === Reachability.CONNECTED || limit.aborted) return;
      if (this.#endedAttempts !== ended && reachability !== Reachability.CONNECTING) return;
      await this.changes.wait(seen, waitMs, limit);
    }
  }

  async #run(): Promise<void> {
    const { clock, logger, dialer, random = Math.random, onDemand } = this.#options;
    const closing = this.#closing.signal;
    let attempt = 0;
    while (!closing.aborted) {
      if (this.#demand && !(await this.#needed(closing))) break;
      try {
        await this.#session(() => {
          attempt = 0;
        });
      } catch (error) {
        this.#end(error);
      }
      if (closing.aborted) break;
      const { problem, reachability } = this.#state;
      // Left because nobody needs it, or to begin anew.
      if (!problem) continue;
      if (attempt === 0) logger.warn({ agent: dialer.address, problem: problem.message }, "agent not connected");
      this.#retryNow = new AbortController();
      const wake = AbortSignal.any([this.#retryNow.signal, closing]);
      const delayMs = retryDelayMs(attempt++, random, onDemand !== undefined);
      if (this.#demand && needsPerson(reachability)) await aborted(wake);
      else await clock.sleep(delayMs, wake);
    }
  }

  /** Waits until the host is needed; false when this is closed first. */
  async #needed(closing: AbortSignal): Promise<boolean> {
    if (!this.#demand?.isNeeded) {
      if (!this.#state.problem) this.#set({ reachability: Reachability.IDLE });
      await this.#demand?.wait(closing);
    }
    if (closing.aborted) return false;
    // A problem stays in view until the attempt has shown whether it still holds.
    if (!this.#state.problem) this.#set({ reachability: Reachability.CONNECTING });
    return true;
  }

  /** One connection from dialling to its end; always ends in an error. */
  async #session(onConnected: () => void): Promise<never> {
    const { clock, statusSilenceMs, onDemand } = this.#options;
    this.#attempt = new AbortController();
    const signal = AbortSignal.any([this.#attempt.signal, this.#closing.signal]);
    const giveBack = (await onDemand?.slots.take(signal)) ?? (() => {});
    const isInteractive = this.#asksNext || (onDemand?.isInteractive ?? false);
    this.#underWay = isInteractive ? "asking" : "silent";
    const link = await this.#dial(signal, isInteractive).catch((error) => {
      giveBack();
      throw error;
    });
    const options: FollowOptions = {
      signal,
      clock,
      hostName: () => this.hostName,
      ...(statusSilenceMs === undefined ? {} : { statusSilenceMs }),
      onGreeting: ({ role, actor }) => {
        this.#link = link;
        this.#set({ role, actor });
      },
      onStatus: (status) => {
        giveBack();
        if (this.#state.reachability !== Reachability.CONNECTED) onConnected();
        this.#heard(status);
      },
    };
    try {
      const learning = this.#options.onLink?.(link) ?? Promise.resolve();
      return await followAgent(link, options, learning);
    } finally {
      giveBack();
      this.#link = null;
      link.close();
    }
  }

  #heard(status: HostStatus): void {
    const { logger, dialer, clock } = this.#options;
    if (this.#state.reachability !== Reachability.CONNECTED) {
      logger.info({ agent: dialer.address, host: status.info?.name }, "agent connected");
    }
    const lastHeardAtMs = clock.nowMs();
    this.#set({ reachability: Reachability.CONNECTED, problem: null, status, lastHeardAtMs });
  }

  #dial(signal: AbortSignal, isInteractive: boolean): Promise<AgentLink> {
    const limitMs = isInteractive ? INTERACTIVE_WAIT_MS : REMOTE_WAIT_MS;
    return dialWithin(this.#options.dialer, { signal, isInteractive }, limitMs, this.hostName);
  }

  #end(error: unknown): void {
    this.#underWay = "no";
    if (this.#closing.signal.aborted) return;
    this.#endedAttempts++;
    this.#lastEndedAtMs = this.#options.clock.nowMs();
    // Ended by us: nobody needs it any more, or the way to it has changed.
    if (this.#attempt.signal.aborted) {
      const isIdle = this.#demand?.isNeeded === false;
      this.#set({ reachability: isIdle ? Reachability.IDLE : Reachability.CONNECTING, problem: null });
      return;
    }
    const problem = agentFailure(error, this.hostName);
    this.#set({ reachability: reachabilityOf(problem, this.#state.reachability), problem });
  }

  #set(change: Partial<AgentState>): void {
    this.#state = { ...this.#state, ...change };
    this.changes.notify();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
