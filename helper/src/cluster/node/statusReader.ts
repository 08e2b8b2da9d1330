/** The cluster as this node sees it now, in one message. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ClusterStatus,
  ClusterStatusSchema,
  type StoreEndpoint,
  StoreKind,
} from "@wardline/api/wardline/v1/cluster";
import { bootMs, type Clock, toTimestamp } from "../../agent/clock.ts";
import type { NodeConfiguration } from "./configFile.ts";
import type { ClusterParts } from "./parts.ts";

const SHOWN_TERMS = 50;
/** Endpoints are asked only while somebody looks, and not more often than this. */
const ENDPOINTS_FRESH_MS = 2_000;
const ENDPOINTS_TIMEOUT_MS = 1_500;
/** Older than this and it is said to be. */
const STALE_AFTER_MS = 5_000;

export class ClusterStatusReader {
  readonly #parts: ClusterParts;
  readonly #clock: Clock;
  #endpoints: readonly StoreEndpoint[] = [];
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;

  constructor(parts: ClusterParts, clock: Clock) {
    this.#parts = parts;
    this.#clock = clock;
  }

  /** @param configuration `null` = this node is alone */
  async read(configuration: NodeConfiguration | null, problems: readonly string[]): Promise<ClusterStatus> {
    await this.#askEndpoints();
    return this.known(configuration, problems);
  }

  /** The same without asking anybody: the endpoints are those of the last question. */
  known(configuration: NodeConfiguration | null, problems: readonly string[]): ClusterStatus {
    const { membership, leadership, replica, session, plan } = this.#parts;
    const { head = null, documents = new Map() } = replica.state ?? {};
    const readAtMs = Math.max(0, Math.min(membership.readAtMs() ?? 0, replica.readAtMs));
    const isWritable = session.current() !== null && session.problem === null && replica.inTouch;
    const terms = leadership.terms().slice(0, SHOWN_TERMS);
    const [newest] = terms;
    const status = create(ClusterStatusSchema, {
      clusterName: configuration?.clusterName ?? "",
      trustDomain: configuration?.trustDomain ?? "",
      self: plan.ports.hostName,
      store: plan.store.kind === "etcd" ? StoreKind.ETCD : StoreKind.EMBEDDED,
      endpoints: [...this.#endpoints],
      storeWritable: isWritable,
      readAt: toTimestamp(readAtMs),
      stale: !isWritable && this.#clock.wallMs() - readAtMs > STALE_AFTER_MS,
      members: [...membership.members()],
      terms: [...terms],
      documentCounts: countByKind(documents.values()),
      lease: durationFromMs(plan.leaseMs),
      heartbeatInterval: durationFromMs(membership.heartbeatIntervalMs()),
      problems: [...problems, ...this.#problems()],
    });
    if (newest !== undefined && newest.endedAt === undefined) status.currentTerm = newest;
    if (head !== null) status.head = head;
    return status;
  }

  #problems(): string[] {
    const { membership, session, duties, plan } = this.#parts;
    const { refusal } = membership;
    const own = [session.problem, refusal === null ? null : refusal.message].filter((each) => each !== null);
    const unique = new Set([
      ...own,
      ...membership.problems(),
      ...duties.problems(),
      ...(plan.links?.problems() ?? []),
      ...plan.ports.discovery.problems,
    ]);
    return [...unique];
  }

  /** What was answered last when it is fresh enough; two callers wait for one question. */
  async #askEndpoints(): Promise<void> {
    const nowMs = bootMs(this.#clock);
    if (nowMs - this.#askedAtMs < ENDPOINTS_FRESH_MS) return;
    this.#asking ??= this.#parts.store
      .endpoints({ timeoutMs: ENDPOINTS_TIMEOUT_MS })
      .then((endpoints) => {
        this.#endpoints = endpoints;
        this.#askedAtMs = bootMs(this.#clock);
      })
      .finally(() => {
        this.#asking = null;
      });
    await this.#asking;
  }
}

function countByKind(documents: Iterable<{ readonly key: string; readonly deleted: boolean }>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { key, deleted } of documents) {
    if (deleted) continue;
    const kind = key.slice(0, Math.max(0, key.indexOf("/")));
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
