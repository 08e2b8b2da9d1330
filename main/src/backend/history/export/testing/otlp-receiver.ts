/** A collector for tests: a real HTTP(S) server that reads OTLP's protobuf by the field numbers of its specification. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

export type OtlpValue = string | number | boolean | OtlpValue[] | null;

export interface ReceivedLog {
  readonly timeMs: number;
  readonly severityText: string;
  readonly eventName: string;
  readonly body: OtlpValue;
  readonly attributes: Record<string, OtlpValue>;
  readonly resource: Record<string, OtlpValue>;
}

export interface ReceivedPoint {
  readonly name: string;
  readonly unit: string;
  /** 1 = delta. */
  readonly temporality: number;
  readonly isMonotonic: boolean;
  readonly value: number;
  readonly attributes: Record<string, OtlpValue>;
}

export class OtlpReceiver {
  readonly logs: ReceivedLog[] = [];
  readonly points: ReceivedPoint[] = [];
  readonly requests: { readonly path: string; readonly headers: IncomingMessage["headers"] }[] = [];
  /** What the next requests are answered with; 200 once it is empty. */
  readonly answers: number[] = [];
  readonly #server: Server;

  constructor(tls?: {
    readonly key: string;
    readonly cert: string;
    readonly ca?: string;
    readonly requestCert?: boolean;
  }) {
    const listener = (request: IncomingMessage, response: ServerResponse) => void this.#answer(request, response);
    this.#server = tls
      ? createTlsServer({ ...tls, rejectUnauthorized: tls.requestCert === true }, listener)
      : createServer(listener);
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const path = request.url ?? "";
    this.requests.push({ path, headers: request.headers });
    const status = this.answers.shift() ?? 200;
    if (status === 200) {
      const body = Buffer.concat(chunks);
      if (path.endsWith("/v1/logs")) this.logs.push(...readLogs(body));
      if (path.endsWith("/v1/metrics")) this.points.push(...readMetrics(body));
    }
    response.writeHead(status, { "content-type": "application/x-protobuf" }).end();
  }
}

type Fields = Map<number, (bigint | number | Uint8Array)[]>;

/** Every field of a message, by number, undecoded. */
function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields: Fields = new Map();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const list = fields.get(number) ?? [];
    fields.set(number, list);
    if (type === WireType.Varint) list.push(BigInt(reader.uint64()));
    else if (type === WireType.Bit64) list.push(fixed64(reader));
    else if (type === WireType.LengthDelimited) list.push(reader.bytes());
    else reader.skip(type);
  }
  return fields;
}

function fixed64(reader: BinaryReader): Uint8Array {
  const value = new Uint8Array(8);
  new DataView(value.buffer).setBigUint64(0, BigInt(reader.fixed64()), true);
  return value;
}

const messages = (fields: Fields, number: number) =>
  (fields.get(number) ?? []).flatMap((value) => (value instanceof Uint8Array ? [fieldsOf(value)] : []));
const one = (fields: Fields, number: number) => fields.get(number)?.at(-1);
const textOf = (fields: Fields, number: number) => {
  const value = one(fields, number);
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : "";
};
const viewOf = (value: unknown) => (value instanceof Uint8Array ? new DataView(value.buffer, value.byteOffset) : null);

/** `AnyValue` of opentelemetry/proto/common/v1/common.proto. */
function anyValue(fields: Fields): OtlpValue {
  if (fields.has(1)) return textOf(fields, 1);
  if (fields.has(2)) return one(fields, 2) === 1n;
  if (fields.has(3)) return Number(BigInt.asIntN(64, BigInt(one(fields, 3) as bigint)));
  if (fields.has(4)) return viewOf(one(fields, 4))?.getFloat64(0, true) ?? null;
  if (fields.has(5)) return messages(fields, 5).flatMap((list) => messages(list, 1).map(anyValue));
  return null;
}

function attributesOf(fields: Fields, number: number): Record<string, OtlpValue> {
  return Object.fromEntries(
    messages(fields, number).map((pair) => [textOf(pair, 1), anyValue(messages(pair, 2)[0] ?? new Map())]),
  );
}

/** `ExportLogsServiceRequest`: resource_logs 1 > scope_logs 2 > log_records 2. */
function readLogs(body: Uint8Array): ReceivedLog[] {
  return messages(fieldsOf(body), 1).flatMap((resourceLogs) => {
    const resource = attributesOf(messages(resourceLogs, 1)[0] ?? new Map(), 1);
    return messages(resourceLogs, 2).flatMap((scopeLogs) =>
      messages(scopeLogs, 2).map((log) => ({
        timeMs: Number((viewOf(one(log, 1))?.getBigUint64(0, true) ?? 0n) / 1_000_000n),
        severityText: textOf(log, 3),
        eventName: textOf(log, 12),
        body: anyValue(messages(log, 5)[0] ?? new Map()),
        attributes: attributesOf(log, 6),
        resource,
      })),
    );
  });
}

/** `ExportMetricsServiceRequest`: resource_metrics 1 > scope_metrics 2 > metrics 2 > sum 7 > data_points 1. */
function readMetrics(body: Uint8Array): ReceivedPoint[] {
  const metrics = messages(fieldsOf(body), 1).flatMap((resource) =>
    messages(resource, 2).flatMap((scope) => messages(scope, 2)),
  );
  return metrics.flatMap((metric) =>
    messages(metric, 7).flatMap((sum) =>
      messages(sum, 1).map((point) => ({
        name: textOf(metric, 1),
        unit: textOf(metric, 3),
        temporality: Number(one(sum, 2) ?? 0),
        isMonotonic: one(sum, 3) === 1n,
        value: viewOf(one(point, 4))?.getFloat64(0, true) ?? Number(viewOf(one(point, 6))?.getBigInt64(0, true) ?? 0n),
        attributes: attributesOf(point, 7),
      })),
    ),
  );
}
