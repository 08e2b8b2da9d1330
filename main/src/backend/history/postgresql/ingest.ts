/** Writes batches: position, series and records in one transaction, so that nothing is lost and nothing stored twice. */
import type { FlowRecord as WireFlowRecord } from "@wardline/api/wardline/v1/flow_record";
import type { PoolClient } from "pg";
import type { IngestBatch } from "../flow-history.ts";
import { type Identity, identityOf, numbersOf } from "./rows.ts";
import { IDENTITY, NUMBERS, partOf } from "./schema.ts";

/** Numbers of series that were met lately: most records are of them. */
const MAX_KNOWN_SERIES = 200_000;
const IDENTITY_NAMES = Object.keys(IDENTITY);

interface NewRecord {
  readonly hostId: string;
  readonly hostName: string;
  readonly record: WireFlowRecord;
}

export class Ingester {
  readonly #schema: string;
  readonly #knownSeries = new Map<string, string>();
  readonly #knownParts = new Set<number>();

  constructor(schema: string) {
    this.#schema = schema;
  }

  /** Something was removed, or rolled back: numbers may not be there any more. */
  forget(): void {
    this.#knownSeries.clear();
    this.#knownParts.clear();
  }

  /** In a transaction of the client. Returns how many records are new. */
  async ingest(client: PoolClient, batches: readonly IngestBatch[], nowMs: number): Promise<number> {
    const fresh: NewRecord[] = [];
    for (const batch of batches) fresh.push(...(await this.#claim(client, batch)));
    if (fresh.length === 0) return 0;
    const part = partOf(nowMs, "record");
    await this.#createPart(client, part);
    const series = await this.#seriesOf(client, fresh);
    await this.#insert(client, part, fresh, series);
    return fresh.length;
  }

  /** Moves the position over the batches and gives the records of those that it had not reached. */
  async #claim(client: PoolClient, { hostId, hostName, journalId, batches }: IngestBatch): Promise<NewRecord[]> {
    const { rows } = await client.query<{ sequence: string }>(
      `INSERT INTO ${this.#schema}.positions VALUES ($1, $2, 0)
       ON CONFLICT (host_id, journal_id) DO UPDATE SET sequence = positions.sequence RETURNING sequence`,
      [hostId, journalId],
    );
    let position = BigInt(rows[0]?.sequence ?? "0");
    const records: NewRecord[] = [];
    for (const batch of batches) {
      if (batch.sequence <= position) continue;
      position = batch.sequence;
      for (const record of batch.records) records.push({ hostId, hostName, record });
    }
    await client.query(`UPDATE ${this.#schema}.positions SET sequence = $3 WHERE host_id = $1 AND journal_id = $2`, [
      hostId,
      journalId,
      String(position),
    ]);
    return records;
  }

  async #createPart(client: PoolClient, part: number): Promise<void> {
    if (this.#knownParts.has(part)) return;
    await createPart(client, this.#schema, part);
    this.#knownParts.add(part);
  }

  /** Number of each record's series, in order. */
  async #seriesOf(client: PoolClient, records: readonly NewRecord[]): Promise<string[]> {
    const identities = records.map(({ hostId, hostName, record }) => identityOf(hostId, hostName, record));
    const keys = identities.map(({ digest }) => digest.toString("base64"));
    const missing = new Map<string, Identity>();
    for (const [index, key] of keys.entries()) {
      if (!this.#knownSeries.has(key)) missing.set(key, identities[index]!);
    }
    if (this.#knownSeries.size + missing.size > MAX_KNOWN_SERIES) {
      this.#knownSeries.clear();
      for (const [index, key] of keys.entries()) missing.set(key, identities[index]!);
    }
    if (missing.size > 0) await this.#learn(client, [...missing.values()]);
    return keys.map((key) => this.#knownSeries.get(key)!);
  }

  async #learn(client: PoolClient, identities: readonly Identity[]): Promise<void> {
    const columns = ["digest", ...IDENTITY_NAMES];
    // Lists of lists are no columns of `unnest`: keys of policies go as JSON.
    const rows = identities.map(({ digest, values }) => [digest, ...values]);
    const arrays = columns.map((name, at) =>
      rows.map((row) => (name === "policy_keys" ? JSON.stringify(row[at]) : row[at])),
    );
    const types = ["bytea", ...Object.values(IDENTITY).map((type) => (type === "text[]" ? "text" : type))];
    const given = types.map((type, at) => `$${at + 1}::${type}[]`).join(", ");
    const chosen = columns.map((name) =>
      name === "policy_keys" ? "ARRAY(SELECT jsonb_array_elements_text(policy_keys::jsonb))" : name,
    );
    await client.query(
      `INSERT INTO ${this.#schema}.series (${columns.join(", ")})
       SELECT ${chosen.join(", ")} FROM unnest(${given}) AS given (${columns.join(", ")})
       ORDER BY digest ON CONFLICT (digest) DO NOTHING`,
      arrays,
    );
    const { rows: found } = await client.query<{ id: string; digest: Buffer }>(
      `SELECT id, digest FROM ${this.#schema}.series WHERE digest = ANY($1::bytea[])`,
      [identities.map(({ digest }) => digest)],
    );
    for (const { id, digest } of found) this.#knownSeries.set(digest.toString("base64"), id);
  }

  async #insert(
    client: PoolClient,
    part: number,
    records: readonly NewRecord[],
    series: readonly string[],
  ): Promise<void> {
    const rows = records.map(({ record }, index) => [part, series[index]!, ...numbersOf(record)]);
    const arrays = NUMBERS.map((_, at) => rows.map((row) => row[at]));
    const given = NUMBERS.map((_, at) => `$${at + 1}::bigint[]`).join(", ");
    await client.query(
      `INSERT INTO ${this.#schema}.records (${NUMBERS.join(", ")}) SELECT * FROM unnest(${given})`,
      arrays,
    );
    const startAt = NUMBERS.indexOf("start_ms");
    const starts = rows.map((row) => Number(row[startAt]));
    const ends = rows.map((row) => Number(row[startAt]) + Number(row[startAt + 1]));
    const least = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b));
    const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b));
    await client.query(
      `UPDATE ${this.#schema}.parts SET row_count = row_count + $2,
         min_start_ms = least(min_start_ms, $3), max_start_ms = greatest(max_start_ms, $4),
         min_end_ms = least(min_end_ms, $5), max_end_ms = greatest(max_end_ms, $6) WHERE part = $1`,
      [part, rows.length, least(starts), most(starts), least(ends), most(ends)],
    );
  }
}

/** Idempotent. Of two who try at once one waits. */
export async function createPart(client: PoolClient, schema: string, part: number): Promise<void> {
  const { rowCount } = await client.query(`SELECT 1 FROM ${schema}.parts WHERE part = $1`, [part]);
  if (rowCount) return;
  await client.query("SELECT pg_advisory_xact_lock(hashtext($1))", [`${schema}.parts`]);
  const most = "9223372036854775807";
  const inserted = await client.query(
    `INSERT INTO ${schema}.parts VALUES ($1, 0, ${most}, 0, ${most}, 0) ON CONFLICT DO NOTHING`,
    [part],
  );
  if (!inserted.rowCount) return;
  await client.query(
    `CREATE TABLE IF NOT EXISTS ${schema}.records_${part} PARTITION OF ${schema}.records FOR VALUES IN (${part})`,
  );
}
