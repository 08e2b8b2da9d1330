/**
 * The tables of `mesh.db`: a file of its own, so that what is recorded by the minute is neither copied before each migration of
 * the console's data nor waited for by who writes there, and can be left out of a backup.
 */
import type { GraphChange, GraphLink } from "@wardline/domain/mesh";
import type { Logger } from "../../ports.ts";
import { Store } from "../../store/store.ts";
import { MESH_MIGRATIONS } from "./mesh-migrations.ts";
import type { ChangeQuery, Gap } from "./past.ts";

export const MESH_FILE = "mesh.db";
export const LINKS_OF_BLOCK = 256;

export interface Keyframe {
  readonly number: number;
  readonly atMs: number;
  readonly afterDelta: number;
}

export interface FigureRow {
  readonly block: number;
  readonly atMs: number;
  readonly wire: Uint8Array;
}

const KEYFRAME = "number, at_ms AS atMs, after_delta AS afterDelta";

export class MeshTables {
  readonly #store: Store;

  /** @throws Failure when the file cannot be opened */
  constructor(stateDir: string, logger: Logger) {
    this.#store = new Store({ stateDir, logger, fileName: MESH_FILE, migrations: MESH_MIGRATIONS });
    // The last moments may be lost with the power: what the meshes do now matters more than a wait for the disk.
    this.#store.database.pragma("synchronous = NORMAL");
  }

  close(): void {
    this.#store.close();
  }

  transaction(body: () => void): void {
    this.#store.transaction(body);
  }

  beginSpan(atMs: number): void {
    this.#store.run("INSERT INTO spans (from_ms, to_ms) VALUES (?, ?) ON CONFLICT DO NOTHING", atMs, atMs);
  }

  extendSpan(fromMs: number, toMs: number): void {
    this.#store.run("UPDATE spans SET to_ms = ? WHERE from_ms = ? AND to_ms < ?", toMs, fromMs, toMs);
  }

  spans(): Gap[] {
    return this.#store.all<Gap>("SELECT from_ms AS fromMs, to_ms AS toMs FROM spans ORDER BY from_ms");
  }

  beginKeyframe(atMs: number): number {
    const sql = `INSERT INTO keyframes (at_ms, after_delta)
      VALUES (?, coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'deltas'), 0))`;
    return this.#store.run(sql, atMs).lastInsertRowid;
  }

  addPart(keyframe: number, part: number, wire: Uint8Array): void {
    this.#store.run("INSERT INTO keyframe_parts (keyframe, part, wire) VALUES (?, ?, ?)", keyframe, part, wire);
  }

  completeKeyframe(number: number): void {
    this.#store.run("UPDATE keyframes SET is_complete = 1 WHERE number = ?", number);
  }

  /** The newest at or before a time. */
  keyframeAt(atMs: number): Keyframe | null {
    const sql = `SELECT ${KEYFRAME} FROM keyframes WHERE is_complete = 1 AND at_ms <= ? ORDER BY at_ms DESC, number DESC`;
    return this.#store.get<Keyframe>(`${sql} LIMIT 1`, atMs) ?? null;
  }

  /** The oldest that is newer than a time. */
  keyframeAfter(atMs: number): Keyframe | null {
    const sql = `SELECT ${KEYFRAME} FROM keyframes WHERE is_complete = 1 AND at_ms > ? ORDER BY at_ms, number LIMIT 1`;
    return this.#store.get<Keyframe>(sql, atMs) ?? null;
  }

  parts(keyframe: number): Uint8Array[] {
    const sql = "SELECT wire FROM keyframe_parts WHERE keyframe = ? ORDER BY part";
    return this.#store.all<{ wire: Uint8Array }>(sql, keyframe).map(({ wire }) => wire);
  }

  addDelta(atMs: number, wire: Uint8Array): void {
    this.#store.run("INSERT INTO deltas (at_ms, wire) VALUES (?, ?)", atMs, wire);
  }

  deltas(afterNumber: number, untilMs: number): { atMs: number; wire: Uint8Array }[] {
    const sql = "SELECT at_ms AS atMs, wire FROM deltas WHERE number > ? AND at_ms <= ? ORDER BY number";
    return this.#store.all(sql, afterNumber, untilMs);
  }

  addChange({ atMs, kind, id, sentence }: GraphChange): void {
    const sql = "INSERT INTO changes (at_ms, kind, subject, sentence) VALUES (?, ?, ?, ?)";
    this.#store.run(sql, atMs, kind, id, sentence);
  }

  /** Newest first. */
  changes({ fromMs, toMs, id, limit }: ChangeQuery): GraphChange[] {
    const { where, values } = conditionOf(id, fromMs, toMs);
    const sql = `SELECT at_ms AS atMs, kind, subject AS id, sentence FROM changes WHERE ${where} ORDER BY at_ms DESC, number DESC`;
    return this.#store.all<GraphChange>(`${sql} LIMIT ?`, ...values, limit);
  }

  /** How many in each slot, by its number from 0. */
  changeCounts({ fromMs, toMs, id }: Omit<ChangeQuery, "limit">, slots: number): Map<number, number> {
    const { where, values } = conditionOf(id, fromMs, toMs);
    // Numbers are bound as REAL: without the cast every change would be in a slot of its own, with a fraction for a number.
    const slot = "CAST((at_ms - ?) * ? / (? - ?) AS INTEGER)";
    const sql = `SELECT ${slot} AS slot, count(*) AS count FROM changes WHERE ${where} GROUP BY slot`;
    const rows = this.#store.all<{ slot: number; count: number }>(sql, fromMs, slots, toMs, fromMs, ...values);
    return new Map(rows.map(({ slot, count }) => [Math.min(slots - 1, slot), count]));
  }

  /** Gives numbers to links that have none yet. */
  nameLinks(links: readonly Pick<GraphLink, "id" | "a" | "b">[], nowMs: number): Map<string, number> {
    const numbers = new Map<string, number>();
    this.#store.transaction(() => {
      for (const { id, a, b } of links) {
        const row = this.#store.get<{ number: number }>(
          `INSERT INTO link_names (id, a, b, last_ms) VALUES (?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET last_ms = excluded.last_ms RETURNING number`,
          ...[id, a, b, nowMs],
        );
        if (row) numbers.set(id, row.number);
      }
    });
    return numbers;
  }

  /** Those that are there are kept. */
  touchLinks(numbers: readonly number[], nowMs: number): void {
    const sql = "UPDATE link_names SET last_ms = ? WHERE number IN (SELECT value FROM json_each(?))";
    this.#store.run(sql, nowMs, JSON.stringify(numbers));
  }

  linkNames(): Map<string, number> {
    const rows = this.#store.all<{ number: number; id: string }>("SELECT number, id FROM link_names");
    return new Map(rows.map(({ number, id }) => [id, number]));
  }

  /** A link by its id, or all links of a node by the node's. */
  linksOf(id: string): { number: number; a: string; b: string }[] {
    const sql =
      "SELECT number, a, b FROM link_names WHERE id = ? UNION SELECT number, a, b FROM link_names WHERE a = ?";
    return this.#store.all(`${sql} UNION SELECT number, a, b FROM link_names WHERE b = ? LIMIT 2000`, id, id, id);
  }

  addFigures(rows: readonly FigureRow[]): void {
    const sql = "INSERT OR REPLACE INTO figures (block, at_ms, wire) VALUES (?, ?, ?)";
    this.#store.transaction(() => {
      for (const { block, atMs, wire } of rows) this.#store.run(sql, block, atMs, wire);
    });
  }

  /** After all its blocks. */
  addSample(atMs: number): void {
    this.#store.run("INSERT OR REPLACE INTO samples (at_ms) VALUES (?)", atMs);
  }

  sampleTimes(fromMs: number, toMs: number): number[] {
    const sql = "SELECT at_ms AS atMs FROM samples WHERE at_ms >= ? AND at_ms < ? ORDER BY at_ms";
    return this.#store.all<{ atMs: number }>(sql, fromMs, toMs).map(({ atMs }) => atMs);
  }

  /** The newest sample at or before a time; `null` = none since the other time. */
  sampleAt(atMs: number, sinceMs: number): number | null {
    const sql = "SELECT max(at_ms) AS atMs FROM samples WHERE at_ms <= ? AND at_ms >= ?";
    return this.#store.get<{ atMs: number | null }>(sql, atMs, sinceMs)?.atMs ?? null;
  }

  figuresOfSample(atMs: number): FigureRow[] {
    const blocks = this.#store.get<{ most: number | null }>("SELECT max(number) AS most FROM link_names")?.most ?? 0;
    const sql = `WITH RECURSIVE blocks(block) AS (SELECT 0 UNION ALL SELECT block + 1 FROM blocks WHERE block < ?)
      SELECT f.block, f.at_ms AS atMs, f.wire FROM blocks JOIN figures f ON f.block = blocks.block AND f.at_ms = ?`;
    return this.#store.all<FigureRow>(sql, Math.floor(blocks / LINKS_OF_BLOCK), atMs);
  }

  figuresOfBlock(block: number, fromMs: number, toMs: number, limit: number): FigureRow[] {
    const sql =
      "SELECT block, at_ms AS atMs, wire FROM figures WHERE block = ? AND at_ms >= ? AND at_ms < ? ORDER BY at_ms";
    return this.#store.all<FigureRow>(`${sql} LIMIT ?`, block, fromMs, toMs, limit);
  }

  /** Pages in use, not the size of the file: what was deleted is written over. */
  usedBytes(): number {
    const value = (name: string) => Number(this.#store.database.pragma(name, { simple: true }));
    return (value("page_count") - value("freelist_count")) * value("page_size");
  }

  /** Everything that is needed for no time from then on. Returns whether links lost their numbers. */
  forgetBefore(cutMs: number): boolean {
    return this.#store.transaction(() => {
      const keyframe = this.keyframeAt(cutMs);
      if (keyframe) {
        const older = "(SELECT number FROM keyframes WHERE number < ?)";
        this.#store.run(`DELETE FROM keyframe_parts WHERE keyframe IN ${older}`, keyframe.number);
        this.#store.run("DELETE FROM keyframes WHERE number < ?", keyframe.number);
        this.#store.run("DELETE FROM deltas WHERE number <= ?", keyframe.afterDelta);
      }
      this.#store.run("DELETE FROM changes WHERE at_ms < ?", cutMs);
      this.#store.run("DELETE FROM samples WHERE at_ms < ?", cutMs);
      const most = this.#store.get<{ most: number | null }>("SELECT max(block) AS most FROM figures")?.most ?? -1;
      for (let block = 0; block <= most; block++)
        this.#store.run("DELETE FROM figures WHERE block = ? AND at_ms < ?", block, cutMs);
      this.#store.run("DELETE FROM spans WHERE to_ms < ?", cutMs);
      return this.#store.run("DELETE FROM link_names WHERE last_ms < ?", cutMs).changes > 0;
    });
  }
}

function conditionOf(id: string, fromMs: number, toMs: number) {
  const time = "at_ms >= ? AND at_ms < ?";
  if (id === "") return { where: time, values: [fromMs, toMs] };
  return { where: `subject = ? AND ${time}`, values: [id, fromMs, toMs] };
}
