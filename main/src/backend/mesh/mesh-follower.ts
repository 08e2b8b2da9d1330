/**
 * Follows what each host says of its meshes. Who sends more than anybody could use is read slower, and its own buffers
 * fill up.
 */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type WatchMeshResponse, WatchMeshResponseSchema } from "@wardline/api/wardline/agent/v1/mesh";
import { Failure } from "@wardline/domain/errors";
import { agentFailure } from "../agent/agent-failure.ts";
import { noAnswer } from "../agent/dial-within.ts";
import type { MeshClient } from "../agent/dialer.ts";
import { FORGOTTEN, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Clock, Logger } from "../ports.ts";
import { boundNews } from "./bounded-observation.ts";
import type { HostMeshes } from "./host-meshes.ts";

const RETRY_MS = 2_000;
/** An agent that is older than meshes is asked again after an update, which ends the connection. */
const OUTDATED_RETRY_MS = 60_000;
/** Agents tell at once of states and every ten seconds of figures. */
const SHORTEST_INTERVAL_MS = 100;
const CALL_TIMEOUT_MS = 15_000;

export interface MeshFollowerPorts {
  readonly hosts: HostMeshes;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class MeshFollower {
  readonly #ports: MeshFollowerPorts;

  constructor(ports: MeshFollowerPorts) {
    this.#ports = ports;
  }

  /** Until the signal aborts. It makes no demand: a host that nobody needs is not kept connected. */
  async follow(host: ManagedHost, signal: AbortSignal): Promise<void> {
    const { hosts } = this.#ports;
    try {
      await this.#followUntil(host, signal);
    } finally {
      if (signal.reason === FORGOTTEN) hosts.forget(host.id);
      else hosts.leave(host.id);
    }
  }

  /** What the host says now, for who does not follow it. @throws Failure; of an older agent VERSION_MISMATCH */
  async fetch(host: ManagedHost): Promise<void> {
    await callMesh(host, async (client) => {
      try {
        const { observation, runs, settings, knowledge, coordinator, healingProblem } = await client.getMesh(
          {},
          { timeoutMs: CALL_TIMEOUT_MS },
        );
        const news = create(WatchMeshResponseSchema, { runs, knowledge, coordinator, healingProblem });
        if (observation) news.observation = observation;
        if (settings) news.settings = settings;
        this.#take(host, news, true);
      } catch (error) {
        if (isOutdated(error)) this.#ports.hosts.setOutdated(host.id, hostNameOf(host));
        throw error;
      }
    });
  }

  async #followUntil(host: ManagedHost, signal: AbortSignal): Promise<void> {
    const { logger, hosts } = this.#ports;
    while (!signal.aborted) {
      if ((await host.connection.waitForClient(signal)) === null) return;
      const { mesh } = host.connection;
      let pauseMs = RETRY_MS;
      try {
        if (mesh) await this.#read(host, mesh, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (isOutdated(error)) {
          hosts.setOutdated(host.id, hostNameOf(host));
          pauseMs = OUTDATED_RETRY_MS;
        } else {
          const { code } = error instanceof Failure ? error : agentFailure(error, hostNameOf(host));
          logger.info({ host: host.id, code }, "stream of the mesh ended");
        }
      }
      hosts.leave(host.id);
      await this.#pause(host, pauseMs, signal);
    }
  }

  /** Until it is time to try again, or at once when the connection is another one. */
  async #pause(host: ManagedHost, pauseMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const { mesh } = host.connection;
    const untilMs = clock.nowMs() + pauseMs;
    await clock.sleep(Math.min(RETRY_MS, pauseMs), signal);
    while (!signal.aborted && host.connection.mesh === mesh && clock.nowMs() < untilMs)
      await host.connection.changes.wait(host.connection.changes.version, untilMs - clock.nowMs(), signal);
  }

  async #read(host: ManagedHost, client: MeshClient, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const { connection } = host;
    const ending = new AbortController();
    // The word of a connection that was lost counts no longer, whatever its stream still does.
    const leave = connection.changes.subscribe(() => {
      if (connection.mesh !== client) ending.abort();
    });
    try {
      let expected = 1n;
      const both = AbortSignal.any([signal, ending.signal]);
      for await (const message of client.watchMesh({}, { signal: both })) {
        // A gap means that something was lost: the next stream begins with all of it.
        if (message.sequence !== expected) return;
        this.#take(host, message, expected === 1n);
        expected += 1n;
        await clock.sleep(SHORTEST_INTERVAL_MS, signal);
      }
    } finally {
      leave();
      ending.abort();
    }
  }

  #take(host: ManagedHost, message: WatchMeshResponse, isWhole: boolean): void {
    const nowMs = this.#ports.clock.nowMs();
    const hostName = hostNameOf(host);
    this.#ports.hosts.take(host.id, hostName, boundNews(message, hostName, nowMs), nowMs, isWhole);
  }
}

/** Connects where it is not connected, and calls. @throws Failure */
export async function callMesh<Result>(
  { connection }: ManagedHost,
  body: (client: MeshClient) => Promise<Result>,
): Promise<Result> {
  const release = connection.need();
  try {
    await connection.client();
    const { mesh } = connection;
    if (!mesh) throw noAnswer(connection.hostName);
    return await body(mesh);
  } catch (error) {
    throw agentFailure(error, connection.hostName);
  } finally {
    release();
  }
}

function isOutdated(error: unknown): boolean {
  return !(error instanceof Failure) && ConnectError.from(error).code === Code.Unimplemented;
}
