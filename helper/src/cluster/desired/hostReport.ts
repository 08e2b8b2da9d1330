/** What this host says about itself: to whoever asks it, and to the store whenever it changed. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type SyncReport, SyncReportSchema, SyncState } from "@wardline/api/wardline/v1/cluster";
import type { ErrorDetail } from "@wardline/api/wardline/v1/error";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import { toTimestamp } from "../../agent/clock.ts";
import { backOffMs, sentenceOf, waitFor } from "../leadership/waiting.ts";
import { encode } from "./records.ts";
import type { ReconcilerPorts } from "./types.ts";

/** How often a host that has to report looks whether its name is its own again. */
const LOOK_FOR_NAME_MS = 250;
const RETRY = { firstMs: 200, longestMs: 10_000 };
/** Diagnostics are for editors; a report stays small. */
const MAX_DIAGNOSTICS = 20;

export type ReportContent = Omit<SyncReport, "$typeName" | "$unknown" | "host" | "reportedAt" | "took" | "problem"> & {
  readonly problem: Failure | null;
  readonly tookMs: number | null;
};

type Ports = Pick<ReconcilerPorts, "store" | "keys" | "clock" | "log" | "hostName" | "replica" | "mayReport">;

export class HostReport {
  readonly #ports: Ports;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<() => void>();
  #report: SyncReport;
  #content = "";
  #written: SyncReport | null = null;
  #writing: Promise<void> | null = null;
  #follows = false;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#report = create(SyncReportSchema, { host: ports.hostName, state: SyncState.IDLE });
  }

  /** As it is now: a host that is cut off says so, whatever it said before. */
  get current(): SyncReport {
    if (this.#ports.replica.inTouch || !this.#follows) return this.#report;
    const problem = failureToDetail(
      new Failure({
        code: ErrorCode.STORE_UNAVAILABLE,
        message: "This host cannot reach the cluster's store. It enforces what it enforced; that may be old.",
        retryable: true,
      }),
    );
    return { ...this.#report, state: SyncState.CUT_OFF, problem };
  }

  set follows(follows: boolean) {
    if (this.#follows === follows) return;
    this.#follows = follows;
    this.tell();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** Nothing happens when only the time is new. */
  set({ problem, tookMs, ...content }: ReportContent): void {
    const detail = problem && bounded(failureToDetail(problem));
    const compared = JSON.stringify([content, problem?.code, problem?.message], (_key, value) =>
      typeof value === "bigint" ? value.toString() : value,
    );
    if (compared === this.#content) return;
    this.#content = compared;
    this.#report = create(SyncReportSchema, {
      ...content,
      host: this.#ports.hostName,
      reportedAt: toTimestamp(this.#ports.clock.wallMs()),
      ...(detail && { problem: detail }),
      ...(tookMs === null ? {} : { took: durationFromMs(Math.max(0, Math.round(tookMs))) }),
    });
    this.tell();
    // While something is done the report changes again at once.
    if (content.state !== SyncState.APPLYING || problem !== null) this.#writing ??= this.#write();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    this.#listeners.clear();
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { store, keys, clock, log, hostName, mayReport } = this.#ports;
    const { signal } = this.#stopping;
    for (let failures = 0; this.#written !== this.#report && !signal.aborted; ) {
      if (mayReport?.() === false) {
        await waitFor(clock, LOOK_FOR_NAME_MS, signal);
        continue;
      }
      const report = this.#report;
      const value = encode(SyncReportSchema, report);
      try {
        await store.transact({ compare: [], then: [{ kind: "put", key: keys.report(hostName), value }] }, { signal });
        this.#written = report;
        failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        if (failures === 0) log.warn({ problem: sentenceOf(error) }, "the report of the desired set cannot be written");
        await waitFor(clock, backOffMs(RETRY, failures++, Math.random), signal);
      }
    }
    this.#writing = null;
  }
}

function bounded(detail: ErrorDetail): ErrorDetail {
  return { ...detail, diagnostics: detail.diagnostics.slice(0, MAX_DIAGNOSTICS) };
}
