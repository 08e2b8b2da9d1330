/**
 * Follows the findings of each host and keeps them, so that they can be looked up after the host has gone or forgot them.
 * Who sends more than a person could read is read slower, and its own buffers fill up.
 */

import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { WatchFindingsResponse } from "@wardline/api/wardline/agent/v1/anomaly";
import { type HostModel, HostModelSchema } from "@wardline/api/wardline/console/v1/anomalies";
import { AnomalySeverity, type Finding } from "@wardline/api/wardline/v1/anomaly";
import { Failure } from "@wardline/domain/errors";
import { agentFailure } from "../agent/agent-failure.ts";
import type { AnomalyClient } from "../agent/dialer.ts";
import { ChangeSignal } from "../async/signal.ts";
import { FORGOTTEN, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Clock, Logger } from "../ports.ts";
import type { AnomaliesTable } from "./anomalies-table.ts";
import { boundFinding, boundModel, boundSettings } from "./bounded-finding.ts";

const RETRY_MS = 2_000;
/** An agent that is older than detection is asked again after an update, which ends the connection. */
const OUTDATED_RETRY_MS = 60_000;
/** Each message is one transaction. */
const SHORTEST_INTERVAL_MS = 250;
const MAX_FINDINGS_IN_MESSAGE = 1_000;
/** Serious findings of before this connection, of which the evidence is fetched. */
const MAX_FETCHED = 50;
const CALL_TIMEOUT_MS = 15_000;

export interface AnomalyMirrorPorts {
  readonly table: AnomaliesTable;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class AnomalyMirror {
  /** Notifies after findings or models of this process changed. */
  readonly changes = new ChangeSignal();
  readonly #ports: AnomalyMirrorPorts;

  constructor(ports: AnomalyMirrorPorts) {
    this.#ports = ports;
  }

  /** Until the signal aborts. It makes no demand: a host that nobody needs is not kept connected. */
  async follow(host: ManagedHost, signal: AbortSignal): Promise<void> {
    await this.#followUntil(host, signal);
    if (signal.reason !== FORGOTTEN) return;
    this.#ports.table.forgetHost(host.id);
    this.changes.notify();
  }

  async #followUntil(host: ManagedHost, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#ports;
    while (!signal.aborted) {
      if ((await host.connection.waitForClient(signal)) === null) return;
      const { anomalies } = host.connection;
      let pauseMs = RETRY_MS;
      try {
        if (anomalies) await this.#read(host, anomalies, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (ConnectError.from(error).code === Code.Unimplemented) {
          this.#keepModel(create(HostModelSchema, { hostId: host.id, host: hostNameOf(host), isOutdated: true }));
          pauseMs = OUTDATED_RETRY_MS;
        } else {
          const { code } = error instanceof Failure ? error : agentFailure(error, hostNameOf(host));
          logger.info({ host: host.id, code }, "stream of findings ended");
        }
      }
      await clock.sleep(pauseMs, signal);
    }
  }

  /** What the host answered to a call. Returns it as kept, or `null` when it is none. */
  keep(host: ManagedHost, finding: Finding): Finding | null {
    const [kept = null] = this.#keepFindings(host, [finding]);
    return kept;
  }

  /** What the host has now, for who does not follow it. @throws what the transport throws, and Failure of the store */
  async fetch(host: ManagedHost, client: AnomalyClient): Promise<void> {
    await this.refreshModel(host, client);
    const { findings } = await client.listFindings({ limit: MAX_FINDINGS_IN_MESSAGE }, { timeoutMs: CALL_TIMEOUT_MS });
    this.#keepFindings(host, findings.slice(0, MAX_FINDINGS_IN_MESSAGE));
  }

  /** The model that the host has now, with its settings. @throws what the transport throws, and Failure of the store */
  async refreshModel(host: ManagedHost, client: AnomalyClient, signal?: AbortSignal): Promise<HostModel> {
    const options = { timeoutMs: CALL_TIMEOUT_MS, ...(signal ? { signal } : {}) };
    const { model, settings } = await client.getModel({}, options);
    const hostModel = create(HostModelSchema, { hostId: host.id, host: hostNameOf(host) });
    if (model) hostModel.model = boundModel(model);
    if (settings) hostModel.settings = boundSettings(settings);
    this.#keepModel(hostModel);
    return hostModel;
  }

  async #read(host: ManagedHost, client: AnomalyClient, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    let known = await this.refreshModel(host, client, signal);
    let expected = 1n;
    let fetched = 0;
    const ending = new AbortController();
    try {
      const both = AbortSignal.any([signal, ending.signal]);
      for await (const message of client.watchFindings({}, { signal: both })) {
        // A gap means that something was lost: the next stream begins with all of it.
        if (message.sequence !== expected++) return;
        const kept = this.#keepFindings(host, message.findings.slice(0, MAX_FINDINGS_IN_MESSAGE));
        fetched += await this.#fetchSerious(host, client, kept, MAX_FETCHED - fetched, signal);
        known = await this.#takeModel(host, client, known, message, signal);
        await clock.sleep(SHORTEST_INTERVAL_MS, signal);
      }
    } finally {
      ending.abort();
    }
  }

  #keepFindings(host: ManagedHost, findings: readonly Finding[]): Finding[] {
    const { table, clock } = this.#ports;
    const hostName = hostNameOf(host);
    const nowMs = clock.nowMs();
    const fit = findings.map((finding) => boundFinding(finding, hostName, nowMs)).filter((finding) => finding !== null);
    if (table.put(host.id, fit)) this.changes.notify();
    return fit;
  }

  /** Evidence of what is high or critical is kept here: the host may not be there any more when it is needed. */
  async #fetchSerious(
    host: ManagedHost,
    client: AnomalyClient,
    findings: readonly Finding[],
    most: number,
    signal: AbortSignal,
  ): Promise<number> {
    const { table } = this.#ports;
    const wanted = findings
      .filter(({ severity, evidence }) => severity >= AnomalySeverity.HIGH && evidence.length === 0)
      .filter(({ id }) => table.whole(host.id, id) === null)
      .slice(0, Math.max(0, most));
    for (const { id } of wanted) {
      const { finding } = await client.getFinding({ id }, { timeoutMs: CALL_TIMEOUT_MS, signal });
      // An answer about another finding would be kept as if it had been asked for.
      if (finding?.id === id) this.#keepFindings(host, [finding]);
    }
    return wanted.length;
  }

  async #takeModel(
    host: ManagedHost,
    client: AnomalyClient,
    known: HostModel,
    { model }: WatchFindingsResponse,
    signal: AbortSignal,
  ): Promise<HostModel> {
    if (!model) return known;
    boundModel(model);
    // Settings are not in the stream: they changed when the model looks otherwise.
    if (settingsKey(model) !== settingsKey(known.model)) return this.refreshModel(host, client, signal);
    const next = create(HostModelSchema, { ...known, host: hostNameOf(host), model });
    this.#keepModel(next);
    return next;
  }

  #keepModel(model: HostModel): void {
    this.#ports.table.putModel(model);
    this.changes.notify();
  }
}

function settingsKey(model: HostModel["model"]): string {
  const off = model?.detectors.filter(({ enabled }) => !enabled).map(({ detector }) => detector);
  return `${model?.targetFalseAlarmsPerDay} ${model?.reason} ${off}`;
}
