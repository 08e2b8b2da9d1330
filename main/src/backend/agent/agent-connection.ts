/**
 * The console's link to one agent: connects, shakes hands, follows the status, and connects again when it is lost. What
 * it knows is always a whole state with the reason when there is no connection.
 */

import type { HandshakeResponse } from "@wardline/api/wardline/agent/v1/agent";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { type HostStatus, Role } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { ChangeSignal } from "../async/signal.ts";
import type { Clock, Logger } from "../ports.ts";
import type { SshSession } from "../ssh/ssh-session.ts";
import { API_MAX, API_MIN, CONSOLE_VERSION } from "../version.ts";
import { agentFailure } from "./agent-failure.ts";
import type { AgentClient, AgentDialer, AgentLink } from "./dialer.ts";

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;
const HANDSHAKE_TIMEOUT_MS = 5000;
/** The agent sends a status at least every 2 s. */
const STATUS_SILENCE_MS = 7000;

export interface AgentState {
  readonly reachability: Reachability;
  /** Why it is not connected; `null` when it is, and during the first attempt. */
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
}

/** Waits between attempts: doubling, capped, and never the same for everybody. */
export function retryDelayMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempt, 10));
  return ceiling * (0.5 + random() / 2);
}

export class AgentConnection {
  readonly changes = new ChangeSignal();
  readonly #options: AgentConnectionOptions;
  readonly #closing = new AbortController();
  #retryNow = new AbortController();
  #attempt = new AbortController();
  #link: AgentLink | null = null;
  #state: AgentState;
  #running: Promise<void> | null = null;

  constructor(options: AgentConnectionOptions) {
    this.#options = options;
    const { status = null, lastHeardAtMs = 0, role = Role.UNSPECIFIED, actor = "" } = options.remembered ?? {};
    const reachability = Reachability.CONNECTING;
    this.#state = { reachability, problem: null, status, lastHeardAtMs, role, actor };
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

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#link?.close();
    await this.#running;
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

  /** The client of the connection that stands, after waiting for an attempt that is under way. @throws Failure */
  async client(waitMs = HANDSHAKE_TIMEOUT_MS): Promise<AgentClient> {
    const limit = AbortSignal.any([AbortSignal.timeout(waitMs), this.#closing.signal]);
    while (this.#state.reachability === Reachability.CONNECTING && !limit.aborted) {
      await this.changes.wait(this.changes.version, waitMs, limit);
    }
    if (this.#link && this.#state.reachability === Reachability.CONNECTED) return this.#link.client;
    throw this.#state.problem ?? agentFailure(new Error("no connection yet"), this.hostName);
  }

  /** Waits for a connection for as long as it takes; `null` when the signal aborts first. */
  async waitForClient(signal: AbortSignal): Promise<AgentClient | null> {
    while (!signal.aborted && !this.#closing.signal.aborted) {
      if (this.#link && this.#state.reachability === Reachability.CONNECTED) return this.#link.client;
      await this.changes.wait(this.changes.version, 60_000, AbortSignal.any([signal, this.#closing.signal]));
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
  async withFreshClient<Result>(call: (client: AgentClient) => Promise<Result>): Promise<Result> {
    const link = await this.#options.dialer.dial();
    try {
      return await call(link.client);
    } catch (error) {
      throw agentFailure(error, this.hostName);
    } finally {
      link.close();
    }
  }

  /** Runs a call over the standing connection. @throws Failure */
  async call<Result>(body: (client: AgentClient) => Promise<Result>): Promise<Result> {
    const client = await this.client();
    try {
      return await body(client);
    } catch (error) {
      throw agentFailure(error, this.hostName);
    }
  }

  async #run(): Promise<void> {
    const { clock, logger, dialer, random = Math.random } = this.#options;
    let attempt = 0;
    while (!this.#closing.signal.aborted) {
      try {
        await this.#session(() => {
          attempt = 0;
        });
      } catch (error) {
        this.#lose(agentFailure(error, this.hostName));
      }
      if (this.#closing.signal.aborted) break;
      const problem = this.#state.problem;
      if (attempt === 0) logger.warn({ agent: dialer.address, problem: problem?.message }, "agent not connected");
      this.#retryNow = new AbortController();
      const wake = AbortSignal.any([this.#retryNow.signal, this.#closing.signal]);
      await clock.sleep(retryDelayMs(attempt++, random), wake);
    }
  }

  /** One connection from dialling to its end; always ends in an error. */
  async #session(onConnected: () => void): Promise<never> {
    this.#attempt = new AbortController();
    const signal = AbortSignal.any([this.#attempt.signal, this.#closing.signal]);
    const link = await this.#options.dialer.dial({ signal });
    try {
      const greeting = await link.client.handshake(
        { clientName: "wardline-console", clientVersion: CONSOLE_VERSION, apiMin: API_MIN, apiMax: API_MAX },
        { timeoutMs: HANDSHAKE_TIMEOUT_MS, signal },
      );
      requireCommonVersion(greeting);
      this.#link = link;
      this.#set({ role: greeting.role, actor: greeting.actor });
      await this.#followStatus(link.client, onConnected);
      throw new Failure({
        code: ErrorCode.AGENT_UNREACHABLE,
        message: `The agent on ${this.hostName} ended the connection.`,
        hint: "The console connects again by itself. What the host enforces stays as it is.",
        retryable: true,
      });
    } finally {
      this.#link = null;
      link.close();
    }
  }

  async #followStatus(client: AgentClient, onConnected: () => void): Promise<void> {
    const { statusSilenceMs = STATUS_SILENCE_MS, logger, dialer } = this.#options;
    const silence = new AbortController();
    const restart = () => setTimeout(() => silence.abort(), statusSilenceMs);
    let timer = restart();
    try {
      const signal = AbortSignal.any([silence.signal, this.#closing.signal]);
      let expected = 1n;
      for await (const message of client.watchStatus({}, { signal })) {
        clearTimeout(timer);
        timer = restart();
        // A gap means that a status was lost: the next connection begins with a whole one.
        if (message.sequence !== expected++) return;
        if (!message.status) continue;
        if (this.#state.reachability !== Reachability.CONNECTED) {
          onConnected();
          logger.info({ agent: dialer.address, host: message.status.info?.name }, "agent connected");
        }
        this.#set({
          reachability: Reachability.CONNECTED,
          problem: null,
          status: message.status,
          lastHeardAtMs: this.#options.clock.nowMs(),
        });
      }
    } catch (error) {
      if (!silence.signal.aborted) throw error;
      throw new Failure({
        code: ErrorCode.AGENT_UNREACHABLE,
        message: `The agent on ${this.hostName} has sent nothing for ${statusSilenceMs / 1000} s.`,
        hint: "The console connects again by itself. What the host enforces stays as it is.",
        retryable: true,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  #lose(problem: Failure): void {
    if (this.#closing.signal.aborted) return;
    this.#set({ reachability: reachabilityOf(problem, this.#state.reachability), problem });
  }

  #set(change: Partial<AgentState>): void {
    this.#state = { ...this.#state, ...change };
    this.changes.notify();
  }
}

function requireCommonVersion(greeting: HandshakeResponse): void {
  if (greeting.apiMin <= API_MAX && greeting.apiMax >= API_MIN) return;
  const agentIsNewer = greeting.apiMin > API_MAX;
  throw new Failure({
    code: ErrorCode.VERSION_MISMATCH,
    message: `The agent (version ${greeting.agentVersion}) and this console (version ${CONSOLE_VERSION}) share no API revision: it speaks ${greeting.apiMin} to ${greeting.apiMax}, the console ${API_MIN} to ${API_MAX}.`,
    hint: agentIsNewer ? "Update the console." : "Update the agent. What it enforces stays enforced meanwhile.",
  });
}

function reachabilityOf(problem: Failure, before: Reachability): Reachability {
  if (problem.code === ErrorCode.VERSION_MISMATCH) return Reachability.VERSION_MISMATCH;
  if (problem.code === ErrorCode.PERMISSION_DENIED || problem.code === ErrorCode.UNAUTHENTICATED) {
    return Reachability.PERMISSION_DENIED;
  }
  if (before === Reachability.CONNECTED || before === Reachability.LOST) return Reachability.LOST;
  return Reachability.NO_AGENT;
}
