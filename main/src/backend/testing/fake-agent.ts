/**
 * An agent in memory that speaks the real contract through a router transport: it applies, waits for confirmation, rolls
 * back and streams, and nothing is enforced.
 */
import { once } from "node:events";
import { chmodSync } from "node:fs";
import { createServer, type Http2Server } from "node:http2";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createClient,
  createRouterTransport,
  type ServiceImpl,
} from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  AgentService,
  type ApplyRequest,
  type SetQuarantineRequest,
  type WatchFlowsResponse,
  WatchFlowsResponseSchema,
} from "@wardline/api/wardline/agent/v1/agent";
import { AnomalyService } from "@wardline/api/wardline/agent/v1/anomaly";
import { ClusterService } from "@wardline/api/wardline/agent/v1/cluster";
import { MeshService } from "@wardline/api/wardline/agent/v1/mesh";
import { RecordService } from "@wardline/api/wardline/agent/v1/records";
import type { Flow } from "@wardline/api/wardline/v1/flow";
import {
  BackendKind,
  Emergency,
  type Generation,
  GenerationSchema,
  type HostStatus,
  HostStatusSchema,
  type PendingConfirmation,
  PendingConfirmationSchema,
  type Quarantine,
  QuarantineSchema,
  Role,
} from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { compile, readPolicyFiles, stateDigest } from "@wardline/domain/policy";
import { failureToConnectError, toWireDiagnostic } from "@wardline/domain/wire";
import type { AgentDialer, AgentLink, DialOptions } from "../agent/dialer.ts";
import { ChangeSignal } from "../async/signal.ts";
import type { FakeClusterNode } from "./fake-cluster.ts";

interface Applied {
  readonly generation: Generation;
  readonly files: readonly { path: string; text: string }[];
}

const NOTHING: Applied = { generation: create(GenerationSchema), files: [] };

export class FakeAgent implements AgentDialer {
  readonly address = "fake agent";
  readonly changes = new ChangeSignal();
  hostName = "alpha";
  addresses: string[] = ["10.0.0.1"];
  role = Role.OPERATOR;
  backend = BackendKind.OBSERVE;
  /** Something took its programs away. */
  isDetached = false;
  apiMin = 1;
  apiMax = 1;
  /** Dialling fails with this while it is set. */
  dialFailure: Failure | null = null;
  /** The next apply fails with this. */
  applyFailure: Failure | null = null;
  /** The next apply takes effect and its answer is lost. */
  loseNextApplyAnswer = false;
  /** How many links were ever opened, and the number of the link of each confirm. */
  dials = 0;
  readonly confirmedOver: number[] = [];
  readonly applied: ApplyRequest[] = [];
  quarantines: Quarantine[] = [];
  emergency = Emergency.NONE;
  /** What answers for the cluster; `null` as in an agent that is older than clusters. */
  cluster: FakeClusterNode | null = null;
  /** What answers for findings and for flow records; `null` as in an agent that is older than these. */
  anomalies: Partial<ServiceImpl<typeof AnomalyService>> | null = null;
  records: Partial<ServiceImpl<typeof RecordService>> | null = null;
  /** What answers for meshes; `null` as in an agent that is older than these. */
  mesh: Partial<ServiceImpl<typeof MeshService>> | null = null;
  /** What the enforced policies have denied, on the counter of the first decision that denies. */
  deniedPackets = 0;
  /** Every flow message since the start; a stream sends what it has not sent yet. */
  readonly flowMessages: WatchFlowsResponse[] = [];
  #enforced = NOTHING;
  #previous = NOTHING;
  #pending: PendingConfirmation | null = null;
  #nextGeneration = 1n;
  readonly #links = new Set<AbortController>();

  dial(_options?: DialOptions): Promise<AgentLink> {
    if (this.dialFailure) return Promise.reject(this.dialFailure);
    const number = ++this.dials;
    const closing = new AbortController();
    this.#links.add(closing);
    const transport = createRouterTransport((router) => this.#register(router, number, closing.signal));
    return Promise.resolve({
      client: createClient(AgentService, transport),
      cluster: createClient(ClusterService, transport),
      anomalies: createClient(AnomalyService, transport),
      mesh: createClient(MeshService, transport),
      records: createClient(RecordService, transport),
      close: () => {
        this.#links.delete(closing);
        closing.abort();
      },
    });
  }

  /** Listens on a Unix socket that everybody may open, as a process of its own would. */
  async serve(path: string): Promise<Http2Server> {
    const closing = new AbortController().signal;
    const handler = connectNodeAdapter({
      routes: (router) => this.#register(router, ++this.dials, closing),
    });
    const server = createServer(handler);
    server.listen(path);
    await once(server, "listening");
    chmodSync(path, 0o777);
    return server;
  }

  #register(router: ConnectRouter, linkNumber: number, closing: AbortSignal): void {
    router.service(AgentService, this.routes(linkNumber, closing));
    if (this.cluster) router.service(ClusterService, this.cluster.routes(closing));
    if (this.anomalies) router.service(AnomalyService, this.anomalies);
    if (this.mesh) router.service(MeshService, this.mesh);
    if (this.records) router.service(RecordService, this.records);
  }

  /** Ends every open stream, as when the agent dies. */
  dropConnections(): void {
    for (const link of this.#links) link.abort();
    this.#links.clear();
  }

  pushFlows(flows: readonly Flow[], sequence?: bigint): void {
    const next = sequence ?? BigInt(this.flowMessages.length + 1);
    this.flowMessages.push(create(WatchFlowsResponseSchema, { sequence: next, flows: [...flows] }));
    this.changes.notify();
  }

  /** What the agent does by itself when nobody confirms. */
  expire(): void {
    this.#leavePending();
  }

  status(): HostStatus {
    const status = create(HostStatusSchema, {
      info: {
        name: this.hostName,
        addresses: this.addresses,
        backend: this.backend,
        agentVersion: "0.1.0",
        startedAt: timestampFromMs(1_700_000_000_000),
      },
      attached: this.backend !== BackendKind.OBSERVE && !this.isDetached,
      enforced: this.#enforced.generation,
      observedAt: timestampFromMs(Date.now() + 1),
      quarantines: this.quarantines,
      emergency: this.emergency,
      counters: this.#counters(),
    });
    if (this.#pending) status.pending = this.#pending;
    return status;
  }

  routes(linkNumber: number, closing: AbortSignal): Partial<ServiceImpl<typeof AgentService>> {
    return {
      handshake: () => ({
        agentVersion: "0.1.0",
        apiMin: this.apiMin,
        apiMax: this.apiMax,
        role: this.role,
        actor: "test (1000)",
      }),
      watchStatus: (_request, context) => this.watchStatus(AbortSignal.any([closing, context.signal])),
      watchFlows: (_request, context) => this.#watchFlows(AbortSignal.any([closing, context.signal])),
      getStatus: () => ({ status: this.status() }),
      getEnforcedState: () => ({
        state: { files: [...this.#enforced.files] },
        generation: this.#enforced.generation,
      }),
      check: ({ state }) => this.#check(state?.files ?? []),
      apply: (request) => this.#apply(request),
      confirm: (request) => {
        if (this.#pending?.generation?.number !== request.generation) {
          throw failureToConnectError(new Failure({ code: ErrorCode.NOTHING_PENDING, message: "nothing waits" }));
        }
        this.confirmedOver.push(linkNumber);
        this.#pending = null;
        this.changes.notify();
        return { generation: this.#enforced.generation };
      },
      setQuarantine: (request) => this.#setQuarantine(request),
      rollback: () => {
        this.#leavePending();
        return { generation: this.#enforced.generation };
      },
    };
  }

  /** Every status that is sent; tests of hostile agents send others. */
  protected async *watchStatus(signal: AbortSignal): AsyncGenerator<{ sequence: bigint; status: HostStatus }> {
    for (let sequence = 1n; !signal.aborted; sequence++) {
      const seen = this.changes.version;
      yield { sequence, status: this.status() };
      await this.changes.wait(seen, 2000, signal);
    }
  }

  async *#watchFlows(signal: AbortSignal) {
    for (let next = 0; !signal.aborted; ) {
      const seen = this.changes.version;
      // Messages that come while one is on its way belong to the stream too.
      while (next < this.flowMessages.length && !signal.aborted) yield this.flowMessages[next++]!;
      await this.changes.wait(seen, 2000, signal);
    }
  }

  #counters() {
    const { files } = this.#enforced;
    if (this.deniedPackets === 0 || files.length === 0) return [];
    const { decisions } = compile(readPolicyFiles(files).world, this.hostName);
    const denying = decisions.find(({ verdict, reason }) => verdict === "deny" && reason !== "builtin");
    return denying ? [{ decisionId: denying.id, packets: BigInt(this.deniedPackets), bytes: 0n }] : [];
  }

  #check(files: readonly { path: string; text: string }[]) {
    const reading = readPolicyFiles(files);
    return {
      diagnostics: reading.diagnostics.map(toWireDiagnostic),
      programDigest: reading.ok ? compile(reading.world, this.hostName).digest : "",
      stateDigest: stateDigest(files),
    };
  }

  #apply(request: ApplyRequest) {
    if (this.applyFailure) throw failureToConnectError(this.applyFailure);
    if (this.#pending) {
      throw failureToConnectError(new Failure({ code: ErrorCode.CONFIRMATION_PENDING, message: "one waits already" }));
    }
    const enforced = this.#enforced.generation.number;
    if (request.baseGeneration !== enforced) {
      const message = `Generation ${enforced} is enforced, not ${request.baseGeneration}.`;
      throw failureToConnectError(new Failure({ code: ErrorCode.GENERATION_CONFLICT, message }));
    }
    this.applied.push(request);
    const files = request.state?.files ?? [];
    this.#previous = this.#enforced;
    this.#enforced = {
      files,
      generation: create(GenerationSchema, {
        number: this.#nextGeneration++,
        programDigest: request.expectedProgramDigest,
        stateDigest: stateDigest(files),
        mode: request.mode,
        appliedAt: timestampFromMs(Date.now()),
      }),
    };
    this.#pending = create(PendingConfirmationSchema, {
      generation: this.#enforced.generation,
      previous: this.#previous.generation,
    });
    if (request.confirmWithin) this.#pending.remaining = request.confirmWithin;
    this.changes.notify();
    if (this.loseNextApplyAnswer) {
      this.loseNextApplyAnswer = false;
      throw new ConnectError("connection lost", Code.Unavailable);
    }
    return { generation: this.#enforced.generation, pending: this.#pending };
  }

  #setQuarantine({ subjectKey, lifted, managementCidrs, managementPorts, reason }: SetQuarantineRequest) {
    const others = this.quarantines.filter((quarantine) => quarantine.subjectKey !== subjectKey);
    const quarantine = create(QuarantineSchema, { subjectKey, managementCidrs, managementPorts, reason });
    this.quarantines = lifted ? others : [...others, quarantine];
    this.changes.notify();
    return { status: this.status() };
  }

  #leavePending(): void {
    this.#enforced = this.#previous;
    this.#pending = null;
    this.changes.notify();
  }
}
