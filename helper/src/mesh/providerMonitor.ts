/** One mesh, looked at each second where it is there and every 10 s where it is not. Whatever its adapter does, the loop goes on. */
import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import {
  type MeshProvider,
  type MeshProviderReport,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import type { Logger } from "pino";
import { toTimestamp } from "../agent/clock.ts";
import type { MeshProviderAdapter, MeshProviderPlan } from "./ports.ts";

export interface MonitorTiming {
  readonly presentMs: number;
  readonly absentMs: number;
  /** More than an adapter's own limit: this one is for adapters that do not keep it. */
  readonly readLimitMs: number;
  /** Where nothing goes over the mesh at the same time, a daemon that has not answered for so long is silent. */
  readonly silentLimitMs: number;
}

export const USUAL_TIMING: MonitorTiming = {
  ...{ presentMs: 1_000, absentMs: 10_000, readLimitMs: 2_500 },
  silentLimitMs: 600,
};
/** How often it is looked whether a mesh has fallen silent while its daemon does not answer. */
const HURRY_EVERY_MS = 100;

export interface MonitorPorts {
  readonly plan: MeshProviderPlan;
  readonly timing: MonitorTiming;
  readonly log: Logger;
  readonly wallMs: () => number;
  readonly onReport: (report: MeshProviderReport) => void;
  /** Its adapter was loaded. */
  readonly onPresent: () => void;
  /** Whether nothing that goes over this mesh is answered now; false where nothing is known of that. */
  readonly isSilent: () => boolean;
}

export class ProviderMonitor {
  readonly #ports: MonitorPorts;
  readonly #ended = new AbortController();
  #adapter: MeshProviderAdapter | null = null;
  #report: MeshProviderReport;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;

  constructor(ports: MonitorPorts) {
    this.#ports = ports;
    const { provider } = ports.plan;
    this.#report = create(MeshProviderReportSchema, { provider, state: MeshProviderState.ABSENT });
  }

  get provider(): MeshProvider {
    return this.#ports.plan.provider;
  }

  get report(): MeshProviderReport {
    return this.#report;
  }

  /** `null` = it is not on this host. */
  get adapter(): MeshProviderAdapter | null {
    return this.#adapter;
  }

  /** Looks for the first time and goes on. Resolves after the first look. Never rejects. */
  async start(): Promise<void> {
    await this.look();
    this.#next();
  }

  /** Looks now, or waits for the look that goes on. Never rejects. */
  look(): Promise<void> {
    if (this.#ended.signal.aborted) return Promise.resolve();
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async close(): Promise<void> {
    this.#ended.abort();
    if (this.#timer) clearTimeout(this.#timer);
    await this.#looking;
    await this.#adapter?.close?.();
  }

  #next(): void {
    if (this.#ended.signal.aborted) return;
    const { presentMs, absentMs } = this.#ports.timing;
    const isAbsent = this.#report.state === MeshProviderState.ABSENT;
    this.#timer = setTimeout(() => void this.look().then(() => this.#next()), isAbsent ? absentMs : presentMs);
    this.#timer.unref();
  }

  async #lookOnce(): Promise<void> {
    const report = await this.#read().catch((error: unknown) => {
      this.#ports.log.error({ err: error }, "a mesh could not be looked at");
      const { provider } = this.#ports.plan;
      const detail = "The agent failed while it looked at it; the agent's log on that host says more.";
      return create(MeshProviderReportSchema, { provider, state: MeshProviderState.UNSUPPORTED, detail });
    });
    if (this.#ended.signal.aborted) return;
    this.#report = stamped(report, this.#report, toTimestamp(this.#ports.wallMs()));
    this.#ports.onReport(this.#report);
  }

  async #read(): Promise<MeshProviderReport> {
    const { plan, timing } = this.#ports;
    if (!plan.isPresent()) {
      return create(MeshProviderReportSchema, { provider: plan.provider, state: MeshProviderState.ABSENT });
    }
    if (this.#adapter === null) {
      this.#adapter = await plan.load();
      this.#adapter.onNews?.(() => void this.look());
      this.#ports.onPresent();
    }
    const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(timing.readLimitMs)]);
    const late = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => late.reject(new Error("it took too long")), { once: true });
    const hurry = new AbortController();
    const startedAtMs = performance.now();
    const hurrying = setInterval(() => {
      if (performance.now() - startedAtMs >= timing.silentLimitMs && this.#ports.isSilent()) hurry.abort();
    }, HURRY_EVERY_MS).unref();
    try {
      return await Promise.race([this.#adapter.read(AbortSignal.any([signal, hurry.signal])), late.promise]);
    } finally {
      clearInterval(hurrying);
    }
  }
}

/** A state begins when it was not there before; an answer is what a mesh that is up gives. */
function stamped(report: MeshProviderReport, before: MeshProviderReport, now: Timestamp): MeshProviderReport {
  const isSame = report.state === before.state && before.since !== undefined;
  const measuredAt = report.state === MeshProviderState.UP ? now : before.measuredAt;
  return { ...report, since: isSame ? before.since! : now, ...(measuredAt ? { measuredAt } : {}) };
}
