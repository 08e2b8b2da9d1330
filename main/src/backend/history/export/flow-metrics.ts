/** Sums of exported records as metrics, since the last time that they were collected. */
import type { Counter } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import { AggregationTemporality, MeterProvider, MetricReader, type ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { bytesOf, type FlowRecord, protocolName } from "@wardline/domain/flows";

/** Collected when we say so, and not by a timer: sums belong to the records that were delivered. */
class ManualReader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

export class FlowMetrics {
  readonly #reader: ManualReader;
  readonly #provider: MeterProvider;
  readonly #connections: Counter;
  readonly #denied: Counter;
  readonly #packets: Counter;
  readonly #bytes: Counter;
  readonly #records: Counter;

  constructor(resource: Resource) {
    // What was sent before a restart is not counted again.
    this.#reader = new ManualReader({ aggregationTemporalitySelector: () => AggregationTemporality.DELTA });
    this.#provider = new MeterProvider({ resource, readers: [this.#reader] });
    const meter = this.#provider.getMeter("wardline");
    this.#connections = meter.createCounter("wardline.flow.connections", {
      unit: "{connection}",
      description: "Connections that began.",
    });
    this.#denied = meter.createCounter("wardline.flow.denied_packets", {
      unit: "{packet}",
      description: "Packets that policies denied.",
    });
    this.#packets = meter.createCounter("wardline.flow.packets", {
      unit: "{packet}",
      description: "Packets of allowed connections.",
    });
    this.#bytes = meter.createCounter("wardline.flow.io", { unit: "By", description: "Bytes of allowed connections." });
    this.#records = meter.createCounter("wardline.flow.records", { unit: "{record}", description: "Flow records." });
  }

  add(record: FlowRecord): void {
    const { host, protocol, verdict, direction } = record;
    const shared = {
      "host.name": host,
      "network.transport": protocolName(protocol),
      "wardline.verdict": verdict,
    };
    const opened = { ...shared, "wardline.direction": direction };
    const { sent, received } = bytesOf(record);
    this.#records.add(1, opened);
    if (record.started > 0) this.#connections.add(record.started, opened);
    if (record.deniedPackets > 0) this.#denied.add(record.deniedPackets, opened);
    if (record.packets > 0) this.#packets.add(record.packets, opened);
    if (sent > 0) this.#bytes.add(sent, { ...shared, "network.io.direction": "transmit" });
    if (received > 0) this.#bytes.add(received, { ...shared, "network.io.direction": "receive" });
  }

  /** `null` when nothing was added since the last time. */
  async collect(): Promise<ResourceMetrics | null> {
    const { resourceMetrics } = await this.#reader.collect();
    const hasPoints = resourceMetrics.scopeMetrics.some(({ metrics }) =>
      metrics.some(({ dataPoints }) => dataPoints.length > 0),
    );
    return hasPoints ? resourceMetrics : null;
  }

  async shutdown(): Promise<void> {
    await this.#provider.shutdown();
  }
}
