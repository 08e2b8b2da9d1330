/** Sends log records and metrics to an OpenTelemetry collector, by OTLP over HTTP in protobuf. */
import { hostname } from "node:os";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import type { ReadableLogRecord, SdkLogRecord } from "@opentelemetry/sdk-logs";
import { LoggerProvider } from "@opentelemetry/sdk-logs";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { CONSOLE_VERSION } from "../../version.ts";
import { FlowMetrics } from "./flow-metrics.ts";
import { type ExportedRecord, FLOW_EVENT_NAME, logFieldsOf } from "./log-records.ts";

export interface OtlpTarget {
  /** Base address; the paths of the signals are added. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** PEM. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;
const MAX_MESSAGE = 300;
/** Metrics that a collector did not take, to be sent again. */
const MAX_WAITING_METRICS = 20;

export class OtlpSender {
  readonly #target: OtlpTarget;
  readonly #logs: OTLPLogExporter;
  readonly #metricExporter: OTLPMetricExporter;
  readonly #metrics: FlowMetrics;
  readonly #provider: LoggerProvider;
  readonly #emitted: ReadableLogRecord[] = [];
  #waiting: ResourceMetrics[] = [];

  constructor(target: OtlpTarget) {
    this.#target = target;
    const resource: Resource = resourceFromAttributes({
      "service.name": "wardline",
      "service.version": CONSOLE_VERSION,
      "service.instance.id": hostname(),
    });
    this.#logs = new OTLPLogExporter(optionsFor(target, "v1/logs"));
    this.#metricExporter = new OTLPMetricExporter(optionsFor(target, "v1/metrics"));
    this.#metrics = new FlowMetrics(resource);
    const collect = (record: SdkLogRecord) => void this.#emitted.push(record);
    this.#provider = new LoggerProvider({
      resource,
      processors: [{ onEmit: collect, forceFlush: () => Promise.resolve(), shutdown: () => Promise.resolve() }],
    });
  }

  /** All of them, or it throws. @throws Failure DELIVERY_FAILED */
  async sendRecords(records: readonly ExportedRecord[]): Promise<void> {
    if (records.length === 0) return;
    const logger = this.#provider.getLogger("wardline", CONSOLE_VERSION);
    for (const record of records) {
      const { timestampMs, ...fields } = logFieldsOf(record);
      logger.emit({ ...fields, timestamp: timestampMs, eventName: FLOW_EVENT_NAME });
    }
    await this.#deliver(this.#logs, this.#emitted.splice(0));
    for (const record of records) this.#metrics.add(record);
  }

  /** Sums of what was sent since the last time. What the collector does not take is sent with the next. @throws Failure DELIVERY_FAILED */
  async sendMetrics(): Promise<void> {
    const collected = await this.#metrics.collect();
    if (collected) this.#waiting.push(collected);
    this.#waiting = this.#waiting.slice(-MAX_WAITING_METRICS);
    while (this.#waiting[0]) {
      await this.#deliver(this.#metricExporter, this.#waiting[0]);
      this.#waiting.shift();
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([
      this.#provider.shutdown(),
      this.#logs.shutdown(),
      this.#metricExporter.shutdown(),
      this.#metrics.shutdown(),
    ]);
  }

  async #deliver<Items>(
    exporter: { export(items: Items, done: (result: { code: number; error?: Error }) => void): void },
    items: Items,
  ): Promise<void> {
    const { code, error } = await new Promise<{ code: number; error?: Error }>((resolve) =>
      exporter.export(items, resolve),
    );
    if (code === 0) return;
    const detail = (error?.message ?? "it did not say why").slice(0, MAX_MESSAGE);
    throw new Failure({
      code: ErrorCode.DELIVERY_FAILED,
      message: `The collector at ${this.#target.url.origin} did not take the flows: ${detail}`,
      hint: "Its address, its certificate and the headers are the usual causes.",
      retryable: true,
    });
  }
}

function optionsFor({ url, headers, ca, cert, key, timeoutMs }: OtlpTarget, path: string) {
  const base = url.href.endsWith("/") ? url.href : `${url.href}/`;
  const tls = { ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) };
  return {
    url: new URL(path, base).href,
    headers: { ...headers },
    timeoutMillis: timeoutMs ?? TIMEOUT_MS,
    concurrencyLimit: 2,
    httpAgentOptions: { keepAlive: true, ...tls },
    userAgent: `wardline/${CONSOLE_VERSION}`,
  };
}
