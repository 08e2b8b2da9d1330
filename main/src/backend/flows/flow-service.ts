import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type FlowFilter,
  type FlowService,
  type QueryFlowsRequest,
  QueryFlowsResponseSchema,
  type WatchFlowsRequest,
  WatchFlowsResponseSchema,
} from "@wardline/api/wardline/console/v1/flows";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import type { Flow } from "@wardline/api/wardline/v1/flow";
import { connectionsThat } from "@wardline/domain/flows";
import type { ChangeSignal } from "../async/signal.ts";
import type { EndpointBook } from "../history/service/endpoint-book.ts";
import type { HostRegistry } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import { type Guard, pageSize, safeNumber } from "../rpc/guard.ts";
import type { CountedSecond, FlowsTable } from "../store/flows-table.ts";
import { ArrivalRate } from "./arrival-rate.ts";
import { type FlowQuestion, flowQuestion } from "./flow-question.ts";
import { FlowTail } from "./flow-tail.ts";
import { LossesOfReader, type LossesTable } from "./losses.ts";
import { type RecordedFlows, recordedFlows } from "./recorded-batches.ts";

/** At most ten messages a second. */
const BATCH_INTERVAL_MS = 100;
const BATCH_SIZE = 1000;
/** Names that changed show on flows that come later than this; looking at the inventory for every message would cost more. */
const NAMES_KEPT_MS = 2_000;
/** A message at least this often, so that the rate and the silent hosts are never old. */
const HEARTBEAT_MS = 1000;
/** How soon flows show that another process has stored. */
const POLL_INTERVAL_MS = 250;
const MAX_HISTORY = 10_000;
/** Between two pieces of what a reader is behind: others get their turn. */
const CATCH_UP_MS = 5;
const RATE_WINDOW_S = 5;
/** Stored flows that a question looks through for its newest answers; the history has a search for more. */
const MAX_SEARCHED = 20_000;
const SEARCHED_AT_ONCE = 2_000;

export interface FlowServicePorts {
  readonly registry: HostRegistry;
  readonly flows: FlowsTable;
  readonly losses: LossesTable;
  readonly clock: Clock;
  readonly stored: ChangeSignal;
  /** Names of addresses, and who has which label. */
  readonly book: Pick<EndpointBook, "facts" | "known">;
}

export class FlowServiceImpl {
  readonly #ports: FlowServicePorts;

  constructor(ports: FlowServicePorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof FlowService> {
    return {
      watchFlows: guard.stream((request: WatchFlowsRequest, signal) => this.watch(request, signal)),
      queryFlows: guard.unary((request: QueryFlowsRequest) => this.query(request)),
    };
  }

  /** Stored flows for work that goes through all of them. @throws Failure INVALID_ARGUMENT */
  recorded(filter: FlowFilter | undefined, signal: AbortSignal): Promise<RecordedFlows> {
    return recordedFlows(this.#ports.flows, filter, signal);
  }

  /** The newest that match, below an id (0 = from the newest). @throws Failure QUERY_INVALID, INVALID_ARGUMENT */
  async query(request: QueryFlowsRequest) {
    const { flows, clock, book } = this.#ports;
    const limit = pageSize(request.limit, 200, 1000);
    const beforeId = safeNumber(request.beforeId, "The id");
    const question = await flowQuestion(request.query, clock.nowMs(), book);
    if (!question) {
      const { flows: found, total } = flows.query(request.filter, limit, beforeId);
      return create(QueryFlowsResponseSchema, { flows: found, total: BigInt(total) });
    }
    const upToId = beforeId > 0 ? beforeId - 1 : flows.newestId();
    const found = connectionsThat(question.isWanted)(this.#newest(request.filter, question, limit, upToId));
    return create(QueryFlowsResponseSchema, {
      flows: found.slice(-limit).reverse(),
      total: BigInt(found.length),
    });
  }

  /** The newest matching flows (oldest of them first), then new ones in batches. */
  async *watch(request: WatchFlowsRequest, signal: AbortSignal) {
    const { flows, losses, clock, stored, registry, book } = this.#ports;
    const question = await flowQuestion(request.query, clock.nowMs(), book);
    const wanted = question ? connectionsThat(question.isWanted) : (found: readonly Flow[]) => found;
    const lost = new LossesOfReader(losses, registry);
    const limit = Math.min(request.history, MAX_HISTORY);
    let newestId = flows.newestId();
    const tail = new FlowTail(flows, request.filter, question !== null, newestId);
    const rate = new ArrivalRate(this.#storedPerSecond(), newestId, clock.nowMs());
    let passed = 0n;
    let behindSeconds = 0;
    let sequence = 0n;
    let nameOf = book.known().nameOf;
    let namedAtMs = clock.nowMs();
    const message = (batch: readonly Flow[], passedSeconds: readonly CountedSecond[] = []) => {
      if (clock.nowMs() - namedAtMs > NAMES_KEPT_MS) {
        question?.refresh();
        if (batch.length > 0) nameOf = book.known().nameOf;
        namedAtMs = clock.nowMs();
      }
      return create(WatchFlowsResponseSchema, {
        sequence: ++sequence,
        flows: [...batch],
        names: namesOf(batch, nameOf),
        losses: lost.now(0n),
        ratePerSecond: rate.perSecond(newestId, clock.nowMs()),
        silentHostIds: this.#silentHostIds(),
        passed,
        passedSeconds: passedSeconds.map(toWireSecond),
        behindSeconds,
      });
    };

    const former = this.#newest(request.filter, question, limit, newestId);
    const history = limit > 0 ? wanted(former).slice(-limit) : [];
    for (let start = 0; start === 0 || start < history.length; start += BATCH_SIZE) {
      yield message(history.slice(start, start + BATCH_SIZE));
    }
    let sentAtMs = clock.nowMs();
    while (!signal.aborted) {
      const seen = stored.version;
      newestId = flows.newestId();
      const piece = tail.next(newestId);
      passed += BigInt(piece.passed);
      behindSeconds = ageSeconds(piece.flows, clock.nowMs());
      const kept = wanted(piece.flows);
      if (kept.length > 0 || piece.passed > 0 || clock.nowMs() - sentAtMs >= HEARTBEAT_MS) {
        sentAtMs = clock.nowMs();
        yield message(kept, question ? [] : piece.passedSeconds);
        // Whoever is behind gets the next piece as soon as it has taken this one.
        await clock.sleep(piece.isMore ? CATCH_UP_MS : BATCH_INTERVAL_MS, signal);
      } else if (piece.isMore) await clock.sleep(0, signal);
      if (!piece.isMore) await stored.wait(seen, POLL_INTERVAL_MS, signal);
    }
  }

  /** Stored flows up to an id, oldest first: enough of them that as many as wanted answer the question, if there are. */
  #newest(
    filter: FlowFilter | undefined,
    question: FlowQuestion | null,
    limit: number,
    lastId: number,
  ): readonly Flow[] {
    if (limit === 0) return [];
    const { flows } = this.#ports;
    if (!question) return flows.before(filter, lastId + 1, limit).reverse();
    const found: Flow[] = [];
    let matching = 0;
    for (let beforeId = lastId + 1; matching < limit && found.length < MAX_SEARCHED; ) {
      const page = flows.before(filter, beforeId, SEARCHED_AT_ONCE);
      found.push(...page);
      matching += page.filter(question.isWanted).length;
      if (page.length < SEARCHED_AT_ONCE) break;
      beforeId = Number(page.at(-1)?.id ?? 0n);
    }
    return found.reverse();
  }

  /** Over the last five seconds of the flows' own time. */
  #storedPerSecond(): number {
    const { flows, clock } = this.#ports;
    return flows.countSince((clock.nowMs() - RATE_WINDOW_S * 1000) * 1000) / RATE_WINDOW_S;
  }

  #silentHostIds(): string[] {
    const { hosts } = this.#ports.registry;
    return hosts.filter((host) => host.connection.state.reachability !== Reachability.CONNECTED).map((host) => host.id);
  }
}

function toWireSecond({ second, allowed, denied, observed }: CountedSecond) {
  return { unixSeconds: BigInt(second), allowed: BigInt(allowed), denied: BigInt(denied), observed: BigInt(observed) };
}

/** Of the newest of them; 0 when there are none, or a host's clock is ahead. */
function ageSeconds(flows: readonly Flow[], nowMs: number): number {
  const newestMs = flows.reduce((newest, { time }) => Math.max(newest, time ? timestampMs(time) : 0), 0);
  return newestMs === 0 ? 0 : Math.max(0, nowMs - newestMs) / 1_000;
}

/** Of the addresses that the flows themselves have no name for. */
function namesOf(flows: readonly Flow[], nameOf: (address: string) => string): Record<string, string> {
  const names = new Map<string, string>();
  const add = (address: string, known: string) => {
    if (known !== "" || names.has(address)) return;
    const name = nameOf(address);
    if (name !== "") names.set(address, name);
  };
  for (const flow of flows) {
    add(flow.sourceAddress, flow.sourceName);
    add(flow.destinationAddress, flow.destinationName);
  }
  return Object.fromEntries(names);
}
