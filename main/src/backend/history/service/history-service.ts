/** `wardline.console.v1.HistoryService`: checks what is asked, asks the store, names what it answers. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type CheckQueryRequest,
  type CheckQueryResponse,
  CheckQueryResponseSchema,
  type CompareServiceMapsRequest,
  type DeleteSavedQueryRequest,
  DeleteSavedQueryResponseSchema,
  type ExportRecordsRequest,
  type GetHistoryStatusResponse,
  GetHistoryStatusResponseSchema,
  type GetSeriesRequest,
  type GetServiceMapRequest,
  type GroupRecordsRequest,
  type HistoryService,
  ListSavedQueriesResponseSchema,
  type PutSavedQueryRequest,
  PutSavedQueryResponseSchema,
  type ReadRowsRequest,
  type SavedQuery,
  type SearchRecordsRequest,
  type SetRetentionRequest,
  type SetRetentionResponse,
  SetRetentionResponseSchema,
} from "@wardline/api/wardline/console/v1/history";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { completeFlowQuery, formatFlowQuery, parseFlowQuery } from "@wardline/domain/flows";
import { toWireDiagnostic } from "@wardline/domain/wire";
import type { Guard } from "../../rpc/guard.ts";
import type { SavedQueriesTable } from "../../store/saved-queries-table.ts";
import type { CollectedHosts } from "../collected-hosts.ts";
import type { LossesLog } from "../losses-log.ts";
import { exportRecords } from "./export.ts";
import { getSeries, groupRecords } from "./groups.ts";
import { historyHosts } from "./history-hosts.ts";
import { KnownFlowValues, type KnownValuesPorts } from "./known-values.ts";
import { compareMaps, getServiceMap } from "./maps.ts";
import { readText } from "./read-query.ts";
import { searchRecords } from "./records.ts";
import { fromWireRetention, type RetentionSettings, toWireRetention } from "./retention-settings.ts";
import { fromWireOrder, readRows } from "./rows.ts";
import { fromWireDimension, fromWireMeasure, toWireResolution } from "./wire.ts";

export interface HistoryServicePorts extends KnownValuesPorts {
  readonly saved: SavedQueriesTable;
  readonly retention: RetentionSettings;
  readonly collected: CollectedHosts;
  readonly lossesLog: LossesLog;
}

/** How the command line names them, and people say them. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/;
const MAX_DESCRIPTION = 500;
const MAX_PARTITIONS = 1_000;
const MAX_PROBLEMS = 50;
const MAX_COLUMNS = 50;
const MAX_COLUMN_NAME = 50;

export class HistoryServiceImpl {
  readonly #ports: HistoryServicePorts;
  readonly #known: KnownFlowValues;

  constructor(ports: HistoryServicePorts) {
    this.#ports = ports;
    this.#known = new KnownFlowValues(ports);
  }

  routes(guard: Guard): ServiceImpl<typeof HistoryService> {
    const ports = this.#ports;
    return {
      searchRecords: guard.stream((request: SearchRecordsRequest, signal) => searchRecords(ports, request, signal)),
      readRows: guard.unary((request: ReadRowsRequest, signal) => readRows(ports, request, signal)),
      groupRecords: guard.stream((request: GroupRecordsRequest, signal) => groupRecords(ports, request, signal)),
      exportRecords: guard.stream((request: ExportRecordsRequest, signal) => exportRecords(ports, request, signal)),
      getSeries: guard.unary((request: GetSeriesRequest, signal) => getSeries(ports, request, signal)),
      getServiceMap: guard.unary((request: GetServiceMapRequest, signal) => getServiceMap(ports, request, signal)),
      compareServiceMaps: guard.unary((request: CompareServiceMapsRequest, signal) =>
        compareMaps(ports, request, signal),
      ),
      checkQuery: guard.unary((request: CheckQueryRequest) => this.check(request)),
      getHistoryStatus: guard.unary(() => this.status()),
      setRetention: guard.unary((request: SetRetentionRequest) => this.setRetention(request)),
      listSavedQueries: guard.unary(() => create(ListSavedQueriesResponseSchema, { queries: ports.saved.all() })),
      putSavedQuery: guard.unary(({ query }: PutSavedQueryRequest) => {
        ports.saved.put(this.#requireSavable(query));
        return create(PutSavedQueryResponseSchema);
      }),
      deleteSavedQuery: guard.unary(({ name }: DeleteSavedQueryRequest) => {
        ports.saved.remove(name);
        return create(DeleteSavedQueryResponseSchema);
      }),
    };
  }

  async check({ text, cursor }: CheckQueryRequest): Promise<CheckQueryResponse> {
    const { query, diagnostics } = parseFlowQuery(text, { nowMs: this.#ports.clock.nowMs() });
    const known = await this.#known.get();
    return create(CheckQueryResponseSchema, {
      diagnostics: diagnostics.map(toWireDiagnostic),
      completions: completeFlowQuery(text, cursor, known).map((completion) => ({ ...completion })),
      canonical: query ? formatFlowQuery(query) : "",
    });
  }

  /** @throws Failure of the store */
  async status(): Promise<GetHistoryStatusResponse> {
    const { history, collected, clock, retention } = this.#ports;
    const state = await history.state();
    return create(GetHistoryStatusResponseSchema, {
      status: {
        backend: state.backend,
        records: BigInt(state.records),
        sizeBytes: BigInt(state.sizeBytes),
        ...(state.oldestMs === null ? {} : { oldest: timestampFromMs(state.oldestMs) }),
        retention: toWireRetention(retention.limits()),
        partitions: state.partitions.slice(0, MAX_PARTITIONS).map((partition) => ({
          id: partition.id,
          resolution: toWireResolution(partition.resolution),
          oldest: timestampFromMs(partition.oldestMs),
          newest: timestampFromMs(partition.newestMs),
          records: BigInt(partition.records),
          sizeBytes: BigInt(partition.sizeBytes),
        })),
        hosts: await historyHosts(this.#ports),
        recordsPerSecond: collected.recordsPerSecond(clock.nowMs()),
        problems: state.problems.slice(0, MAX_PROBLEMS),
      },
    });
  }

  /** @throws Failure INVALID_ARGUMENT, and of the store */
  async setRetention({ retention, dryRun }: SetRetentionRequest): Promise<SetRetentionResponse> {
    const { history, clock, retention: settings } = this.#ports;
    const limits = fromWireRetention(retention);
    if (!dryRun) settings.save(limits);
    const { removedRecords, removedBytes, oldestMs } = await history.retain(limits, clock.nowMs(), !dryRun);
    return create(SetRetentionResponseSchema, {
      retention: toWireRetention(limits),
      removedRecords: BigInt(removedRecords),
      removedBytes: BigInt(removedBytes),
      ...(oldestMs === null ? {} : { oldestAfter: timestampFromMs(oldestMs) }),
    });
  }

  #requireSavable(query: SavedQuery | undefined): SavedQuery {
    if (!query || !NAME.test(query.name)) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: `${JSON.stringify(query?.name.slice(0, 100) ?? "")} is not a name for a query.`,
        hint: "Names have letters, digits and hyphens, at most 64.",
      });
    }
    if (query.description.length > MAX_DESCRIPTION) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: `A description has ${MAX_DESCRIPTION} characters at most; this one has ${query.description.length}.`,
      });
    }
    readText(query.text, this.#ports.clock.nowMs());
    if (query.by.length > 3) {
      throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "Flows are grouped by up to three dimensions." });
    }
    if (query.columns.length > MAX_COLUMNS || query.columns.some(({ name }) => name.length > MAX_COLUMN_NAME)) {
      throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: `A view has at most ${MAX_COLUMNS} columns.` });
    }
    fromWireOrder(query.rowOrder);
    for (const dimension of query.by) fromWireDimension(dimension);
    fromWireMeasure(query.order);
    return query;
  }
}
