/** Connections to the database, and statements that end when nobody waits for them. */
import pg, { type Pool, type PoolClient } from "pg";
import { isCancelled } from "./postgres-failure.ts";
import { SCHEMA_VERSION, schemaStatements } from "./schema.ts";

const MAX_CONNECTIONS = 6;
const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 120_000;
const IDLE_TIMEOUT_MS = 30_000;

export class Connections {
  readonly #pool: Pool;
  readonly #schema: string;
  #ready: Promise<void> | null = null;

  /** @param schema a quoted identifier */
  constructor(connectionString: string, schema: string, onProblem: (error: Error) => void) {
    this.#schema = schema;
    this.#pool = new pg.Pool({
      connectionString,
      max: MAX_CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      application_name: "wardline",
    });
    // A connection that breaks while nobody uses it is made anew; without this it would end the process.
    this.#pool.on("error", onProblem);
  }

  /** All of it or nothing. */
  async transaction<Result>(body: (client: PoolClient) => Promise<Result>): Promise<Result> {
    return await this.#withClient(async (client) => {
      await client.query("BEGIN");
      try {
        const result = await body(client);
        await client.query("COMMIT");
        return result;
      } catch (error) {
        await client.query("ROLLBACK").catch(() => {});
        throw error;
      }
    });
  }

  async query(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return await this.#withClient(async (client) => (await client.query(text, [...values])).rows);
  }

  /** `null` when the signal ended it: the database stops working on it. */
  async cancellable(
    text: string,
    values: readonly unknown[],
    signal: AbortSignal,
  ): Promise<Record<string, unknown>[] | null> {
    if (signal.aborted) return null;
    return await this.#withClient(async (client) => {
      const { rows: own } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
      const pid = own[0]?.pid ?? 0;
      const cancel = () => void this.#pool.query("SELECT pg_cancel_backend($1)", [pid]).catch(() => {});
      signal.addEventListener("abort", cancel, { once: true });
      try {
        const { rows } = await client.query(text, [...values]);
        return signal.aborted ? null : rows;
      } catch (error) {
        if (signal.aborted && isCancelled(error)) return null;
        throw error;
      } finally {
        signal.removeEventListener("abort", cancel);
      }
    });
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #withClient<Result>(body: (client: PoolClient) => Promise<Result>): Promise<Result> {
    await this.#prepare();
    const client = await this.#pool.connect();
    let isBroken = true;
    try {
      const result = await body(client);
      isBroken = false;
      return result;
    } catch (error) {
      isBroken = !(error instanceof pg.DatabaseError);
      throw error;
    } finally {
      client.release(isBroken);
    }
  }

  /** Makes the tables, once. Two consoles that come at the same time wait for each other. */
  async #prepare(): Promise<void> {
    this.#ready ??= this.#createSchema();
    try {
      await this.#ready;
    } catch (error) {
      this.#ready = null;
      throw error;
    }
  }

  async #createSchema(): Promise<void> {
    const client = await this.#pool.connect();
    try {
      await client.query("BEGIN");
      await client.query("SELECT pg_advisory_xact_lock(hashtext($1))", [`${this.#schema}.schema`]);
      await client.query(schemaStatements(this.#schema));
      const { rows } = await client.query<{ value: string }>(
        `SELECT value FROM ${this.#schema}.meta WHERE name = 'version'`,
      );
      if (Number(rows[0]?.value) > SCHEMA_VERSION) {
        throw new Error("its tables are of a newer version of Wardline, and are left as they are");
      }
      await client.query("COMMIT");
    } catch (error) {
      await client.query("ROLLBACK").catch(() => {});
      throw error;
    } finally {
      client.release();
    }
  }
}
