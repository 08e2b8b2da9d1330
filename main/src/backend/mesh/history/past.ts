/** The meshes as they were: what the service asks of the history. */
import type { GraphChange, MeshGraph } from "@wardline/domain/mesh";

export interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface PastGraph {
  /** Of the moment that was asked for, or of the newest before it of which something is known. */
  readonly graph: MeshGraph;
  readonly earliestMs: number;
  /** In between nobody looked. */
  readonly gaps: readonly Gap[];
}

export interface ChangeQuery {
  readonly fromMs: number;
  readonly toMs: number;
  /** Of a node or link; empty = of all. */
  readonly id: string;
  readonly limit: number;
}

export interface PastChanges {
  /** Newest first. */
  readonly changes: readonly GraphChange[];
  readonly total: number;
  /** `null` = nothing is kept. */
  readonly earliestMs: number | null;
  /** Per slot of equal length over the asked time. */
  readonly counts: readonly number[];
}

export interface PastSeries {
  readonly measure: string;
  readonly direction: string;
  /** NaN = not measured then. */
  readonly values: readonly number[];
}

export interface SeriesQuery {
  readonly fromMs: number;
  readonly toMs: number;
  readonly id: string;
}

export interface MeshPast {
  /** @throws Failure NOT_FOUND before the history begins, and of the store */
  at(atMs: number, signal?: AbortSignal): Promise<PastGraph>;
  /** @throws Failure of the store */
  changes(query: ChangeQuery): PastChanges;
  /** @throws Failure of the store */
  series(
    query: SeriesQuery,
    signal?: AbortSignal,
  ): Promise<{ times: readonly number[]; series: readonly PastSeries[] }>;
}
