/** What goes, and what it becomes: whole days of arrival become sums of the next resolution, and go for good at the end. */
import type { PoolClient } from "pg";
import type { HistoryResolution, RetentionLimits } from "../flow-history.ts";
import { createPart } from "./ingest.ts";
import { BUCKET_MS, DAY_MS, dayOf, partOf, RESOLUTIONS, resolutionOf } from "./schema.ts";

export interface PartInfo {
  readonly part: number;
  readonly rows: number;
  readonly sizeBytes: number;
  readonly minStartMs: number;
  readonly maxStartMs: number;
  readonly minEndMs: number;
  readonly maxEndMs: number;
}

/** Finest and oldest first. */
export async function listParts(client: Pick<PoolClient, "query">, schema: string): Promise<PartInfo[]> {
  const { rows } = await client.query(
    `SELECT p.*, coalesce(pg_total_relation_size(to_regclass($1 || '.records_' || p.part)), 0) AS size_bytes
     FROM ${schema}.parts p ORDER BY p.part`,
    [schema],
  );
  const parts = rows.map((row) => ({
    part: Number(row.part),
    rows: Number(row.row_count),
    sizeBytes: Number(row.size_bytes),
    minStartMs: Number(row.min_start_ms),
    maxStartMs: Number(row.max_start_ms),
    minEndMs: Number(row.min_end_ms),
    maxEndMs: Number(row.max_end_ms),
  }));
  const rank = (part: number) => RESOLUTIONS.indexOf(resolutionOf(part));
  return parts.sort((a, b) => rank(a.part) - rank(b.part) || a.part - b.part);
}

export interface Removal {
  readonly info: PartInfo;
  /** `null` = gone for good. */
  readonly becomes: HistoryResolution | null;
}

/** @param parts finest and oldest first */
export function planRetention(parts: readonly PartInfo[], limits: RetentionLimits, nowMs: number): Removal[] {
  const days = { record: limits.recordDays, minute: limits.minuteDays, hour: limits.hourDays, day: limits.dayDays };
  const removals: Removal[] = [];
  const kept: PartInfo[] = [];
  for (const info of parts) {
    const resolution = resolutionOf(info.part);
    const isOld = dayOf(info.part) + DAY_MS + days[resolution] * DAY_MS <= nowMs;
    if (isOld) removals.push({ info, becomes: coarserStillKept(resolution, info.part, days, nowMs) });
    else kept.push(info);
  }
  let rows = kept.reduce((sum, info) => sum + info.rows, 0);
  let bytes = kept.reduce((sum, info) => sum + info.sizeBytes, 0);
  for (const info of kept) {
    if (rows <= limits.maxRecords && bytes <= limits.maxBytes) break;
    // What arrives now stays: without it nothing could be written.
    if (dayOf(info.part) + DAY_MS > nowMs && resolutionOf(info.part) === "record") continue;
    removals.push({ info, becomes: coarserStillKept(resolutionOf(info.part), info.part, days, nowMs) });
    rows -= info.rows;
    bytes -= info.sizeBytes;
  }
  return removals;
}

function coarserStillKept(
  resolution: HistoryResolution,
  part: number,
  days: Record<HistoryResolution, number>,
  nowMs: number,
): HistoryResolution | null {
  const next = RESOLUTIONS.slice(RESOLUTIONS.indexOf(resolution) + 1);
  return next.find((coarser) => dayOf(part) + DAY_MS + days[coarser] * DAY_MS > nowMs) ?? null;
}

/** In a transaction of the client: sums are there exactly when what they are made of is gone. */
export async function removePart(client: PoolClient, schema: string, { info, becomes }: Removal): Promise<void> {
  if (becomes !== null) await rollUp(client, schema, info.part, becomes);
  await client.query(`DROP TABLE IF EXISTS ${schema}.records_${info.part}`);
  await client.query(`DELETE FROM ${schema}.parts WHERE part = $1`, [info.part]);
}

/** Sums of what a host that lies has said have no bound; a column has, and a part that cannot be rolled up would stay forever. */
const summed = (column: string): string => `least(sum(${column}), 9223372036854775807)`;

async function rollUp(client: PoolClient, schema: string, from: number, becomes: HistoryResolution): Promise<void> {
  const into = partOf(dayOf(from), becomes);
  const bucketMs = BUCKET_MS[becomes];
  await createPart(client, schema, into);
  await client.query(
    `INSERT INTO ${schema}.records (part, series, start_ms, length_ms, first_ms, last_ms, records, started, ended, denied,
       packets, out_bytes, in_bytes, pid, generation, folded)
     SELECT $2, series, start_ms / $3 * $3, $3, min(first_ms), max(last_ms), ${summed("records")}, ${summed("started")},
       ${summed("ended")}, ${summed("denied")}, ${summed("packets")}, ${summed("out_bytes")}, ${summed("in_bytes")}, CASE WHEN min(pid) = max(pid) THEN min(pid) ELSE 0 END,
       max(generation), max(folded)
     FROM ${schema}.records WHERE part = $1 GROUP BY series, start_ms / $3`,
    [from, into, bucketMs],
  );
  await client.query(
    `UPDATE ${schema}.parts SET (row_count, min_start_ms, max_start_ms, min_end_ms, max_end_ms) =
       (SELECT count(*), coalesce(min(start_ms), 0), coalesce(max(start_ms), 0), coalesce(min(start_ms + length_ms), 0),
          coalesce(max(start_ms + length_ms), 0) FROM ${schema}.records WHERE part = $1) WHERE part = $1`,
    [into],
  );
}
