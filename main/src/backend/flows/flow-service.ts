import { create } from "@bufbuild/protobuf";
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
import type { ChangeSignal } from "../async/signal.ts";
import type { HostRegistry } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import { type Guard, pageSize, safeNumber } from "../rpc/guard.ts";
import type { FlowsTable } from "../store/flows-table.ts";
import { connectionsThat, flowQuestion } from "./flow-question.ts";
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
/** A reader that is further behind than this jumps, and is told how much it missed. */
const MAX_LAG = 20_000;
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
  /** What the inventory knows at this moment: names of addresses. */
  readonly names: () => (address: string) => string;
}

export class FlowServiceImpl {
  readonly #ports: FlowServicePorts;

  constructor(ports: FlowServicePorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof FlowService> {
    return {
      watchFlows: guard.stream((request: WatchFlowsRequest, signal) => this.watch(request, signal)),
      queryFlows: guard.unary((request: QueryFlowsRequest) => {
        const limit = pageSize(request.limit, 200, 1000);
        const { flows, total } = this.#ports.flows.query(request.filter, limit, safeNumber(request.beforeId, "The id"));
        return create(QueryFlowsResponseSchema, { flows, total: BigInt(total) });
      }),
    };
  }

  /** Stored flows for work that goes through all of them. @throws Failure INVALID_ARGUMENT */
  recorded(filter: FlowFilter | undefined, signal: AbortSignal): Promise<RecordedFlows> {
    return recordedFlows(this.#ports.flows, filter, signal);
  }

  /** The newest matching flows (oldest of them first), then new ones in batches. */
  async *watch(request: WatchFlowsRequest, signal: AbortSignal) {
    const { flows, losses, clock, stored, registry } = this.#ports;
    const isWanted = flowQuestion(request.query, clock.nowMs());
    const wanted = isWanted ? connectionsThat(isWanted) : (found: readonly Flow[]) => found;
    const lost = new LossesOfReader(losses, registry);
    const limit = Math.min(request.history, MAX_HISTORY);
    let lastId = flows.newestId();
    let missed = 0n;
    let sequence = 0n;
    let nameOf = this.#ports.names();
    let namedAtMs = clock.nowMs();
    const message = (batch: readonly Flow[]) => {
      if (batch.length > 0 && clock.nowMs() - namedAtMs > NAMES_KEPT_MS) {
        nameOf = this.#ports.names();
        namedAtMs = clock.nowMs();
      }
      return create(WatchFlowsResponseSchema, {
        sequence: ++sequence,
        flows: [...batch],
        names: namesOf(batch, nameOf),
        losses: lost.now(missed),
        ratePerSecond: this.#ratePerSecond(),
        silentHostIds: this.#silentHostIds(),
      });
    };

    const former = this.#newest(request.filter, isWanted, limit, lastId);
    const history = limit > 0 ? wanted(former).slice(-limit) : [];
    for (let start = 0; start === 0 || start < history.length; start += BATCH_SIZE) {
      yield message(history.slice(start, start + BATCH_SIZE));
    }
    let sentAtMs = clock.nowMs();
    while (!signal.aborted) {
      const seen = stored.version;
      const newestId = flows.newestId();
      if (newestId - lastId > MAX_LAG) {
        missed += BigInt(newestId - MAX_LAG - lastId);
        lastId = newestId - MAX_LAG;
      }
      const batch = newestId > lastId ? flows.between(request.filter, lastId, newestId, BATCH_SIZE) : [];
      const isFull = batch.length === BATCH_SIZE;
      lastId = isFull ? Number(batch.at(-1)?.id ?? newestId) : newestId;
      const kept = wanted(batch);
      if (kept.length > 0 || clock.nowMs() - sentAtMs >= HEARTBEAT_MS) {
        sentAtMs = clock.nowMs();
        yield message(kept);
        await clock.sleep(BATCH_INTERVAL_MS, signal);
      }
      if (!isFull) await stored.wait(seen, POLL_INTERVAL_MS, signal);
    }
  }

  /** Stored flows up to an id, oldest first: enough of them that as many as wanted answer the question, if there are. */
  #newest(
    filter: FlowFilter | undefined,
    isWanted: ((flow: Flow) => boolean) | null,
    limit: number,
    lastId: number,
  ): Flow[] {
    if (limit === 0) return [];
    const { flows } = this.#ports;
    if (!isWanted) return flows.before(filter, lastId + 1, limit).reverse();
    const found: Flow[] = [];
    let matching = 0;
    for (let beforeId = lastId + 1; matching < limit && found.length < MAX_SEARCHED; ) {
      const page = flows.before(filter, beforeId, SEARCHED_AT_ONCE);
      found.push(...page);
      matching += page.filter(isWanted).length;
      if (page.length < SEARCHED_AT_ONCE) break;
      beforeId = Number(page.at(-1)?.id ?? 0n);
    }
    return found.reverse();
  }

  #ratePerSecond(): number {
    const { flows, clock } = this.#ports;
    return flows.countSince((clock.nowMs() - RATE_WINDOW_S * 1000) * 1000) / RATE_WINDOW_S;
  }

  #silentHostIds(): string[] {
    const { hosts } = this.#ports.registry;
    return hosts.filter((host) => host.connection.state.reachability !== Reachability.CONNECTED).map((host) => host.id);
  }
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
