/** wardline.console.v1.AnomalyService: findings of all hosts, from what is kept here and from the hosts themselves. */
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/anomalies";
import { AnomalySeverity, type Finding } from "@wardline/api/wardline/v1/anomaly";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { fromWireSettings } from "@wardline/domain/wire";
import { agentFailure } from "../agent/agent-failure.ts";
import { noAnswer } from "../agent/dial-within.ts";
import type { AnomalyClient } from "../agent/dialer.ts";
import type { FlowHistory } from "../history/flow-history.ts";
import { type HostRegistry, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Workspace } from "../policies/workspace.ts";
import type { Clock } from "../ports.ts";
import { boundedReason, type Guard, pageSize } from "../rpc/guard.ts";
import type { AnomaliesTable, AnomalyFilter, AnomalyPosition } from "./anomalies-table.ts";
import type { AnomalyMirror } from "./anomaly-mirror.ts";
import { backtest } from "./backtest.ts";
import { boundModel } from "./bounded-finding.ts";
import { AnomalyFeed, positionOf } from "./finding-feed.ts";
import { draftPolicy } from "./policy-draft.ts";
import type { KeptFinding } from "./ports.ts";

const USUAL_PAGE = 100;
const MAX_PAGE = 1_000;
const MAX_TEXT_LENGTH = 500;
const MAX_CHAIN = 50;
const READ_TIMEOUT_MS = 15_000;
const WRITE_TIMEOUT_MS = 40_000;
/** The agent gives itself ten minutes. */
const TRAIN_TIMEOUT_MS = 610_000;

export interface AnomalyServicePorts {
  readonly registry: HostRegistry;
  readonly table: AnomaliesTable;
  readonly mirror: AnomalyMirror;
  readonly workspace: Workspace;
  readonly history: FlowHistory;
  readonly clock: Clock;
}

export class AnomalyServiceImpl {
  /** What has changed, for the activity stream and for alerts. */
  readonly feed: AnomalyFeed;
  readonly #ports: AnomalyServicePorts;

  constructor(ports: AnomalyServicePorts) {
    this.#ports = ports;
    const { table, mirror, registry } = ports;
    this.feed = new AnomalyFeed(table, mirror.changes, () => new Set(registry.hosts.map(({ id }) => id)));
  }

  routes(guard: Guard): ServiceImpl<typeof wire.AnomalyService> {
    return {
      getAnomaly: guard.unary((request: wire.GetAnomalyRequest) => this.get(request)),
      searchAnomalies: guard.unary((request: wire.SearchAnomaliesRequest) => this.search(request)),
      giveAnomalyFeedback: guard.unary((request: wire.GiveAnomalyFeedbackRequest) => this.giveFeedback(request)),
      trainHost: guard.unary((request: wire.TrainHostRequest) => this.train(request)),
      configureHost: guard.unary((request: wire.ConfigureHostRequest) => this.configure(request)),
      backtest: guard.stream((request: wire.BacktestRequest, signal) => this.backtest(request, signal)),
    };
  }

  /** Asks hosts now, for a process that does not follow them. What could not be asked, by host id. */
  async refresh(hostIds: readonly string[]): Promise<ReadonlyMap<string, Failure>> {
    const problems = new Map<string, Failure>();
    const ask = async (host: ManagedHost) => {
      try {
        await this.#call(host, (client) => this.#ports.mirror.fetch(host, client));
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        problems.set(host.id, error);
      }
    };
    await Promise.all(this.#ports.registry.select(hostIds).map(ask));
    return problems;
  }

  /** Keeps a host connected and what it finds up to date, for a process that stays for that. */
  async follow(host: ManagedHost, signal: AbortSignal): Promise<void> {
    const release = host.connection.need();
    try {
      await this.#ports.mirror.follow(host, signal);
    } finally {
      release();
    }
  }

  /** With evidence: kept here, or asked from the host; without it when the host cannot be asked. @throws Failure NOT_FOUND */
  async get({ hostId, findingId }: wire.GetAnomalyRequest): Promise<wire.GetAnomalyResponse> {
    const { table } = this.#ports;
    const kept = table.find(hostId, findingId);
    const whole = table.whole(hostId, findingId) ?? (await this.#askWhole(hostId, findingId, kept));
    const finding = whole ?? kept?.finding;
    if (!finding) throw unknownFinding(findingId);
    const draft = this.#draft(finding);
    return create(wire.GetAnomalyResponseSchema, {
      anomaly: { hostId, finding },
      chain: this.#chain(hostId, finding).map((other) => ({ hostId: other.hostId, finding: other.finding })),
      policyDraft: draft?.text ?? "",
      policyDraftName: draft?.name ?? "",
    });
  }

  /** @throws Failure INVALID_ARGUMENT */
  search(request: wire.SearchAnomaliesRequest): wire.SearchAnomaliesResponse {
    const limit = pageSize(request.limit, USUAL_PAGE, MAX_PAGE);
    const filter = filterOf(request);
    const { table } = this.#ports;
    const found = table.search(filter, readToken(request.pageToken), limit + 1);
    const page = found.slice(0, limit);
    const last = page.at(-1);
    return create(wire.SearchAnomaliesResponseSchema, {
      anomalies: page.map(({ hostId, finding }) => ({ hostId, finding })),
      total: BigInt(table.count(filter)),
      nextPageToken: found.length > limit && last ? writeToken(positionOf(last)) : "",
    });
  }

  /** @throws Failure of the host */
  async giveFeedback({ hostId, findingId, kind, reason }: wire.GiveAnomalyFeedbackRequest) {
    const host = this.#ports.registry.byId(hostId);
    const given = { findingId, kind, reason: boundedReason(reason) };
    const { finding } = await this.#call(host, (client) => client.giveFeedback(given, { timeoutMs: WRITE_TIMEOUT_MS }));
    const kept = finding ? this.#ports.mirror.keep(host, finding) : null;
    if (kept?.id !== findingId) throw noAnswer(hostNameOf(host));
    return create(wire.GiveAnomalyFeedbackResponseSchema, { anomaly: { hostId, finding: kept } });
  }

  /** @throws Failure of the host */
  async train({ hostId, days, leaveOutFindings }: wire.TrainHostRequest): Promise<wire.TrainHostResponse> {
    const host = this.#ports.registry.byId(hostId);
    const response = create(wire.TrainHostResponseSchema);
    const model = await this.#call(host, async (client) => {
      const answer = await client.train({ days, leaveOutFindings }, { timeoutMs: TRAIN_TIMEOUT_MS });
      await this.#ports.mirror.refreshModel(host, client);
      return answer.model;
    });
    if (model) response.model = boundModel(model);
    return response;
  }

  /** @throws Failure INVALID_ARGUMENT, and of the host */
  async configure({ hostId, settings }: wire.ConfigureHostRequest): Promise<wire.ConfigureHostResponse> {
    if (!settings) throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "The settings are missing." });
    fromWireSettings(settings);
    const host = this.#ports.registry.byId(hostId);
    const response = create(wire.ConfigureHostResponseSchema);
    const model = await this.#call(host, async (client) => {
      const answer = await client.configure({ settings }, { timeoutMs: WRITE_TIMEOUT_MS });
      await this.#ports.mirror.refreshModel(host, client);
      return answer.model;
    });
    if (model) response.model = boundModel(model);
    return response;
  }

  backtest(request: wire.BacktestRequest, signal: AbortSignal): AsyncGenerator<wire.BacktestResponse> {
    return backtest(this.#ports, request, signal);
  }

  async #askWhole(hostId: string, findingId: string, kept: KeptFinding | null): Promise<Finding | null> {
    const host = this.#ports.registry.find(hostId);
    if (!host) return null;
    try {
      const answer = await this.#call(host, (client) =>
        client.getFinding({ id: findingId }, { timeoutMs: READ_TIMEOUT_MS }),
      );
      const finding = answer.finding?.id === findingId ? this.#ports.mirror.keep(host, answer.finding) : null;
      return finding;
    } catch (error) {
      // What is kept here is shown without its evidence.
      if (kept && error instanceof Failure) return null;
      throw error;
    }
  }

  /** The other findings of its movement, in order: those that the leader named, as far as they are known here. */
  #chain(hostId: string, { id, chainFindingIds }: Finding): KeptFinding[] {
    return chainFindingIds
      .slice(0, MAX_CHAIN)
      .filter((other) => other !== id)
      .flatMap((other) =>
        this.#ports.table.findById(other).filter((found) => found.hostId !== hostId || found.finding.id !== id),
      )
      .slice(0, MAX_CHAIN);
  }

  #draft(finding: Finding) {
    const { reading, files } = this.#ports.workspace.snapshot();
    const { inventory, policies } = reading.world;
    return draftPolicy(finding, { files, inventory, policies });
  }

  async #call<Result>(host: ManagedHost, body: (client: AnomalyClient) => Promise<Result>): Promise<Result> {
    const { connection } = host;
    const release = connection.need();
    try {
      await connection.client();
      const { anomalies } = connection;
      if (!anomalies) throw noAnswer(connection.hostName);
      return await body(anomalies);
    } catch (error) {
      throw agentFailure(error, connection.hostName);
    } finally {
      release();
    }
  }
}

function filterOf(request: wire.SearchAnomaliesRequest): AnomalyFilter {
  if (request.text.length > MAX_TEXT_LENGTH) {
    throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "The text to look for is too long." });
  }
  const { hostIds, detectors, minSeverity, since, until, text } = request;
  return {
    ...{ hostIds, detectors, text },
    minSeverity: minSeverity || AnomalySeverity.LOW,
    sinceMs: since ? timestampMs(since) : null,
    untilMs: until ? timestampMs(until) : null,
  };
}

function writeToken({ detectedAtMs, hostId, findingId }: AnomalyPosition): string {
  return Buffer.from(JSON.stringify([detectedAtMs, hostId, findingId])).toString("base64url");
}

function readToken(token: string): AnomalyPosition | null {
  if (token === "") return null;
  try {
    const [detectedAtMs, hostId, findingId] = JSON.parse(Buffer.from(token, "base64url").toString()) as unknown[];
    if (typeof detectedAtMs === "number" && typeof hostId === "string" && typeof findingId === "string") {
      return { detectedAtMs, hostId, findingId };
    }
  } catch {
    // Said below.
  }
  throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "That is no page of a search." });
}

function unknownFinding(id: string): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `There is no finding ${JSON.stringify(id.slice(0, 100))} of that host here.`,
    hint: "List them: wardline anomaly list",
  });
}
