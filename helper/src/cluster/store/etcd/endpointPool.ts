/**
 * The endpoints of one store. One is used until it fails, each process beginning with another, so that clients spread over
 * the members and do not rush together. Who failed is asked again in the background, with growing pauses.
 */
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Auth, KV, Lease, Maintenance, Watch } from "@wardline/api/etcdserverpb/rpc";
import { bootMs, type Clock } from "../../../agent/clock.ts";
import type { EtcdStoreOptions } from "../etcdStore.ts";
import { invalid } from "../storeFailure.ts";
import { Connection } from "./connection.ts";

const MAX_ENDPOINTS = 16;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const MAX_REQUEST_BYTES = 2 * 1024 * 1024;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;
/** How long one that answers "not now" is asked after the others. */
const BUSY_MS = 1000;

export class Endpoint {
  readonly url: string;
  readonly connection: Connection;
  readonly kv: Client<typeof KV>;
  readonly lease: Client<typeof Lease>;
  readonly watch: Client<typeof Watch>;
  readonly maintenance: Client<typeof Maintenance>;
  readonly auth: Client<typeof Auth>;
  /** Why it cannot be reached; empty = it can, or nobody has tried. */
  problem = "";
  failures = 0;
  busyUntilMs = 0;
  cancelProbe: (() => void) | null = null;

  constructor(url: string, options: Pick<EtcdStoreOptions, "tls" | "verifyServer">) {
    this.url = url;
    this.connection = new Connection(url, options);
    const transport = createGrpcTransport({
      baseUrl: this.connection.authority,
      sessionManager: this.connection,
      acceptCompression: [],
      readMaxBytes: MAX_ANSWER_BYTES,
      writeMaxBytes: MAX_REQUEST_BYTES,
    });
    this.kv = createClient(KV, transport);
    this.lease = createClient(Lease, transport);
    this.watch = createClient(Watch, transport);
    this.maintenance = createClient(Maintenance, transport);
    this.auth = createClient(Auth, transport);
  }
}

export class EndpointPool {
  readonly all: readonly Endpoint[];
  readonly #clock: Clock;
  readonly #log: EtcdStoreOptions["log"];
  #current: number;
  #closed = false;
  readonly #waiting = new Set<() => void>();

  constructor(options: EtcdStoreOptions & { readonly clock: Clock }) {
    this.all = readEndpoints(options).map((url) => new Endpoint(url, options));
    this.#clock = options.clock;
    this.#log = options.log;
    this.#current = Math.floor(Math.random() * this.all.length);
  }

  get current(): Endpoint {
    return this.all[this.#current]!;
  }

  /** Who may be asked, the best first; empty while none can be reached. */
  candidates(): Endpoint[] {
    const now = bootMs(this.#clock);
    const rotated = [...this.all.slice(this.#current), ...this.all.slice(0, this.#current)];
    const reachable = rotated.filter(({ problem }) => problem === "");
    return [
      ...reachable.filter(({ busyUntilMs }) => busyUntilMs <= now),
      ...reachable.filter(({ busyUntilMs }) => busyUntilMs > now),
    ];
  }

  /** Resolves when one that could not be reached can be, or after the time. */
  waitForOne(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, limitMs);
      this.#waiting.add(done);
    });
  }

  succeeded(endpoint: Endpoint): void {
    endpoint.failures = 0;
    endpoint.busyUntilMs = 0;
    this.#current = this.all.indexOf(endpoint);
  }

  busy(endpoint: Endpoint): void {
    endpoint.busyUntilMs = bootMs(this.#clock) + BUSY_MS;
  }

  unreachable(endpoint: Endpoint, problem: string): void {
    if (endpoint.problem !== "" || this.#closed) return;
    // Another connection may be up already; only what was opened anew says how things are.
    this.#log.warn({ endpoint: endpoint.url, problem }, "An endpoint of the store cannot be reached.");
    endpoint.problem = problem || "unreachable";
    this.#probeLater(endpoint);
  }

  problems(): string {
    return this.all.map(({ url, problem }) => `${url}: ${problem || "answers"}`).join("; ");
  }

  close(): void {
    this.#closed = true;
    for (const endpoint of this.all) {
      endpoint.cancelProbe?.();
      endpoint.connection.close();
    }
    for (const done of this.#waiting) done();
  }

  #probeLater(endpoint: Endpoint): void {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** endpoint.failures, LONGEST_PAUSE_MS) * (0.5 + Math.random());
    endpoint.failures += 1;
    endpoint.cancelProbe = this.#clock.schedule(pauseMs, () => void this.#probe(endpoint));
  }

  async #probe(endpoint: Endpoint): Promise<void> {
    try {
      await endpoint.connection.open();
    } catch (error) {
      if (this.#closed) return;
      endpoint.problem = error instanceof Error ? error.message : String(error);
      this.#probeLater(endpoint);
      return;
    }
    this.#log.info({ endpoint: endpoint.url }, "An endpoint of the store can be reached again.");
    endpoint.problem = "";
    for (const done of this.#waiting) done();
  }
}

function readEndpoints({ endpoints, tls }: EtcdStoreOptions): string[] {
  if (endpoints.length < 1 || endpoints.length > MAX_ENDPOINTS) {
    throw invalid(`A store has 1 to ${MAX_ENDPOINTS} endpoints, not ${endpoints.length}.`);
  }
  const origins = endpoints.map((text) => {
    const url = URL.parse(text);
    const plain = url?.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
    if (url === null || !plain || !["http:", "https:"].includes(url.protocol)) {
      throw invalid(`"${text.slice(0, 100)}" is no endpoint: it has to be like https://10.0.0.1:2379.`);
    }
    return url.origin;
  });
  if (new Set(origins).size < origins.length) throw invalid("An endpoint is listed twice.");
  const secure = origins.filter((origin) => origin.startsWith("https:")).length;
  if (secure > 0 && secure < origins.length) throw invalid("Some endpoints use TLS and others do not.");
  if (secure > 0 && tls === undefined) throw invalid("Endpoints with TLS need the certificate of who signed theirs.");
  return origins;
}
