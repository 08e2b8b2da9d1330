import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { ActivityService, type WatchActivityResponse } from "@wardline/api/wardline/console/v1/activity";
import { AlertService } from "@wardline/api/wardline/console/v1/alerts";
import { AnomalyService } from "@wardline/api/wardline/console/v1/anomalies";
import { AskService } from "@wardline/api/wardline/console/v1/ask";
import { AuditService } from "@wardline/api/wardline/console/v1/audit";
import { ClusterService } from "@wardline/api/wardline/console/v1/cluster";
import { FleetService } from "@wardline/api/wardline/console/v1/fleet";
import { FlowService, type WatchFlowsResponse } from "@wardline/api/wardline/console/v1/flows";
import { HistoryService } from "@wardline/api/wardline/console/v1/history";
import { HostService, type WatchHostsResponse } from "@wardline/api/wardline/console/v1/hosts";
import { JobService } from "@wardline/api/wardline/console/v1/jobs";
import { MeshService, type WatchMeshResponse } from "@wardline/api/wardline/console/v1/mesh";
import { NotificationService } from "@wardline/api/wardline/console/v1/notifications";
import { PolicyService, type WatchWorkspaceResponse } from "@wardline/api/wardline/console/v1/policies";
import { RolloutService } from "@wardline/api/wardline/console/v1/rollout";
import { SettingsService } from "@wardline/api/wardline/console/v1/settings";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { SupportService } from "@wardline/api/wardline/console/v1/support";
import { type Activity, partOfStream, reduceActivity } from "./activity.ts";
import { EVERY_FLOW, type FlowBuffer, type LiveQuestion, reduceFlows, toWireQuestion } from "./flow-buffer.ts";
import { type HostsSnapshot, reduceHosts } from "./hosts-snapshot.ts";
import { LiveStream, type StreamState } from "./live-stream.ts";
import { type MeshPicture, reduceMesh } from "./mesh-picture.ts";

/** WatchHosts promises a message every 2 s; three missing ones are a loss. */
const HOSTS_SILENCE_MS = 7_000;
const FLOW_HISTORY = 2_000;
/** The list of flows moves at most that often, however many messages come. */
const FLOW_SETTLE_MS = 100;

/** Everything the window has from the backend: unary clients, and the three streams that all views share. */
export class ConsoleConnection {
  readonly transport: Transport;
  readonly policies: Client<typeof PolicyService>;
  readonly ship: Client<typeof ShipService>;
  readonly fleet: Client<typeof FleetService>;
  readonly jobs: Client<typeof JobService>;
  readonly clusters: Client<typeof ClusterService>;
  readonly rollouts: Client<typeof RolloutService>;
  readonly history: Client<typeof HistoryService>;
  readonly anomalies: Client<typeof AnomalyService>;
  readonly alerts: Client<typeof AlertService>;
  readonly mesh: Client<typeof MeshService>;
  readonly ask: Client<typeof AskService>;
  readonly settings: Client<typeof SettingsService>;
  readonly notifications: Client<typeof NotificationService>;
  readonly support: Client<typeof SupportService>;
  readonly audit: Client<typeof AuditService>;
  readonly activity: LiveStream<WatchActivityResponse, Activity>;
  /** The part of `activity` that is about files. */
  readonly workspace: {
    readonly getState: () => StreamState<WatchWorkspaceResponse>;
    readonly subscribe: (listener: () => void) => () => void;
  };
  readonly hosts: LiveStream<WatchHostsResponse, HostsSnapshot>;
  readonly flows: LiveStream<WatchFlowsResponse, FlowBuffer>;
  /** Asked for only while somebody looks at the mesh. */
  readonly topology: LiveStream<WatchMeshResponse, MeshPicture>;
  readonly hostClient: Client<typeof HostService>;
  #liveQuestion: LiveQuestion = EVERY_FLOW;

  constructor(transport: Transport) {
    this.transport = transport;
    this.policies = createClient(PolicyService, transport);
    this.ship = createClient(ShipService, transport);
    this.hostClient = createClient(HostService, transport);
    this.fleet = createClient(FleetService, transport);
    this.jobs = createClient(JobService, transport);
    this.clusters = createClient(ClusterService, transport);
    this.rollouts = createClient(RolloutService, transport);
    this.history = createClient(HistoryService, transport);
    this.anomalies = createClient(AnomalyService, transport);
    this.alerts = createClient(AlertService, transport);
    this.mesh = createClient(MeshService, transport);
    this.ask = createClient(AskService, transport);
    this.settings = createClient(SettingsService, transport);
    this.notifications = createClient(NotificationService, transport);
    this.support = createClient(SupportService, transport);
    this.audit = createClient(AuditService, transport);
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
        flowClient.watchFlows({ ...toWireQuestion(this.#liveQuestion, Date.now()), history: FLOW_HISTORY }, { signal }),
      reduce: reduceFlows,
      silenceMs: null,
      settleMs: FLOW_SETTLE_MS,
    });
    this.topology = new LiveStream({
      open: (signal) => this.mesh.watchMesh({}, { signal }),
      reduce: reduceMesh,
      silenceMs: null,
    });
  }

  /** Asks for other live flows. The rows of the former question are dropped: they may not belong to the new one. */
  askLive(change: Partial<LiveQuestion>): void {
    const question = { ...this.#liveQuestion, ...change };
    if (JSON.stringify(question) === JSON.stringify(this.#liveQuestion)) return;
    this.#liveQuestion = question;
    this.flows.restart({ forget: true });
  }

  /** Tries every stream that is not live again at once. */
  retryNow(): void {
    for (const stream of [this.activity, this.hosts, this.flows, this.topology]) {
      if (stream.getState().status !== "live") stream.restart({ forget: false });
    }
  }
}
