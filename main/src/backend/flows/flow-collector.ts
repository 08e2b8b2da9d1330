/** Reads the flows of one host into the queue of the writer, whenever this process is the one that writes. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Flow, FlowLosses } from "@wardline/api/wardline/v1/flow";
import { agentFailure } from "../agent/agent-failure.ts";
import { boundFlow } from "../agent/bounded-status.ts";
import type { AgentClient } from "../agent/dialer.ts";
import { BoundedQueue } from "../async/bounded-queue.ts";
import { hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Clock, Logger } from "../ports.ts";
import type { FlowSource, FlowWriter } from "./flow-writer.ts";

/** Held while the disk is slow; beyond that the oldest are dropped and counted. */
const QUEUE_CAPACITY = 20_000;
const HISTORY = 10_000;
const RETRY_MS = 1_000;
/** Another machine may not fill the store and the time of everybody: beyond this its own buffers do. */
const REMOTE_FLOWS_PER_SECOND = 10_000;

export interface FlowCollectorPorts {
  readonly host: ManagedHost;
  readonly writer: FlowWriter;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class FlowCollector {
  readonly #ports: FlowCollectorPorts;
  readonly #queue = new BoundedQueue<Flow>(QUEUE_CAPACITY);
  #agentLosses: FlowLosses | null = null;
  /** Until when what was read is within the allowed rate. */
  #paidUntilMs = 0;

  constructor(ports: FlowCollectorPorts) {
    this.#ports = ports;
  }

  /** Collects whenever this process writes and the agent answers, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { writer } = this.#ports;
    const leave = writer.add(this.#source());
    try {
      while (!signal.aborted) {
        const seen = writer.changes.version;
        if (writer.isWriting) await this.#collectWhileWriting(signal);
        else await writer.changes.wait(seen, 60_000, signal);
      }
    } finally {
      leave();
    }
  }

  #source(): FlowSource {
    const { host } = this.#ports;
    return {
      hostId: host.id,
      queue: this.#queue,
      origin: () => {
        const startedAt = host.connection.state.status?.info?.startedAt;
        return { hostId: host.id, agentEpochMs: startedAt ? timestampMs(startedAt) : 0 };
      },
      losses: () => this.#agentLosses,
    };
  }

  async #collectWhileWriting(signal: AbortSignal): Promise<void> {
    const { writer } = this.#ports;
    const ended = new AbortController();
    const stop = writer.changes.subscribe(() => {
      if (!writer.isWriting) ended.abort();
    });
    try {
      await this.#collect(AbortSignal.any([signal, ended.signal]));
    } finally {
      stop();
    }
  }

  async #collect(signal: AbortSignal): Promise<void> {
    const { host, clock, logger } = this.#ports;
    while (!signal.aborted) {
      const client = await host.connection.waitForClient(signal);
      if (!client) break;
      try {
        await this.#read(client, signal);
      } catch (error) {
        const failure = agentFailure(error, hostNameOf(host));
        if (!signal.aborted) logger.info({ host: host.id, code: failure.code }, "flow stream ended");
      }
      await clock.sleep(RETRY_MS, signal);
    }
  }

  /** Ends at a gap in the numbers: the next stream begins with the agent's history, which fills it. */
  async #read(client: AgentClient, signal: AbortSignal): Promise<void> {
    let expected = 1n;
    for await (const message of client.watchFlows({ history: HISTORY }, { signal })) {
      if (message.sequence !== expected++) return;
      const hostName = hostNameOf(this.#ports.host);
      for (const flow of message.flows) {
        boundFlow(flow);
        // A host tells of itself only, whatever name it puts into its flows.
        flow.host = hostName;
      }
      this.#queue.push(message.flows);
      if (message.losses) this.#agentLosses = message.losses;
      this.#ports.writer.notify();
      if (!this.#ports.host.local) await this.#keepPace(message.flows.length, signal);
    }
  }

  async #keepPace(count: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const nowMs = clock.nowMs();
    this.#paidUntilMs = Math.max(this.#paidUntilMs, nowMs - 1_000) + (count / REMOTE_FLOWS_PER_SECOND) * 1_000;
    if (this.#paidUntilMs > nowMs) await clock.sleep(this.#paidUntilMs - nowMs, signal);
  }
}
