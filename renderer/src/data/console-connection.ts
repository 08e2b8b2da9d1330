import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { ActivityService, type WatchActivityResponse } from "@wardline/api/wardline/console/v1/activity";
import { FleetService } from "@wardline/api/wardline/console/v1/fleet";
import { FlowService, type WatchFlowsResponse } from "@wardline/api/wardline/console/v1/flows";
import { HostService, type WatchHostsResponse } from "@wardline/api/wardline/console/v1/hosts";
import { JobService } from "@wardline/api/wardline/console/v1/jobs";
import { PolicyService, type WatchWorkspaceResponse } from "@wardline/api/wardline/console/v1/policies";
import { RolloutService } from "@wardline/api/wardline/console/v1/rollout";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { type Activity, partOfStream, reduceActivity } from "./activity.ts";
import { EMPTY_FLOW_QUERY, type FlowBuffer, type FlowQuery, reduceFlows, toWireFilter } from "./flow-buffer.ts";
import { type HostsSnapshot, reduceHosts } from "./hosts-snapshot.ts";
import { LiveStream, type StreamState } from "./live-stream.ts";

/** WatchHosts promises a message every 2 s; three missing ones are a loss. */
const HOSTS_SILENCE_MS = 7_000;
const FLOW_HISTORY = 2_000;

/** Everything the window has from the backend: unary clients, and the three streams that all views share. */
export class ConsoleConnection {
  readonly transport: Transport;
  readonly policies: Client<typeof PolicyService>;
  readonly ship: Client<typeof ShipService>;
  readonly fleet: Client<typeof FleetService>;
  readonly jobs: Client<typeof JobService>;
  readonly rollouts: Client<typeof RolloutService>;
  readonly activity: LiveStream<WatchActivityResponse, Activity>;
  /** The part of `activity` that is about files. */
  readonly workspace: {
    readonly getState: () => StreamState<WatchWorkspaceResponse>;
    readonly subscribe: (listener: () => void) => () => void;
  };
  readonly hosts: LiveStream<WatchHostsResponse, HostsSnapshot>;
  readonly flows: LiveStream<WatchFlowsResponse, FlowBuffer>;
  readonly hostClient: Client<typeof HostService>;
  #flowQuery: FlowQuery = EMPTY_FLOW_QUERY;

  constructor(transport: Transport) {
    this.transport = transport;
    this.policies = createClient(PolicyService, transport);
    this.ship = createClient(ShipService, transport);
    this.hostClient = createClient(HostService, transport);
    this.fleet = createClient(FleetService, transport);
    this.jobs = createClient(JobService, transport);
    this.rollouts = createClient(RolloutService, transport);
    const activityClient = createClient(ActivityService, transport);
    const flowClient = createClient(FlowService, transport);
    this.activity = new LiveStream({
      open: (signal) => activityClient.watchActivity({}, { signal }),
      reduce: reduceActivity,
      silenceMs: null,
    });
    this.workspace = partOfStream(this.activity, ({ workspace }) => workspace);
    this.hosts = new LiveStream({
      open: (signal) => this.hostClient.watchHosts({}, { signal }),
      reduce: (previous, message) => reduceHosts(previous, message, performance.now(), Date.now()),
      silenceMs: HOSTS_SILENCE_MS,
    });
    this.flows = new LiveStream({
      open: (signal) =>
        flowClient.watchFlows({ filter: toWireFilter(this.#flowQuery, Date.now()), history: FLOW_HISTORY }, { signal }),
      reduce: reduceFlows,
      silenceMs: null,
    });
  }

  /** Asks for other flows. The rows of the former question are dropped: they may not belong to the new one. */
  setFlowQuery(query: FlowQuery): void {
    if (JSON.stringify(query) === JSON.stringify(this.#flowQuery)) return;
    this.#flowQuery = query;
    this.flows.restart({ forget: true });
  }

  /** Tries every stream that is not live again at once. */
  retryNow(): void {
    for (const stream of [this.activity, this.hosts, this.flows]) {
      if (stream.getState().status !== "live") stream.restart({ forget: false });
    }
  }
}
