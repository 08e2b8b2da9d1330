import { join } from "node:path";
import type { Database, Statement } from "better-sqlite3";
import type { Logger } from "../ports.ts";
import { databaseFailure, openDatabase } from "./database.ts";
import type { Migration } from "./migrations.ts";

const MAX_STATEMENTS = 200;

export interface StoreOptions {
  /** Directory of `console.db`; made when it is missing, mode 0700. */
  readonly stateDir: string;
  readonly logger: Logger;
  readonly migrations?: readonly Migration[];
  /** Another database than `console.db` in the same directory. */
  readonly fileName?: string;
}

/** The open database with prepared statements kept. Table modules are the only users. */
export class Store {
  readonly path: string;
  readonly database: Database;
  readonly #statements = new Map<string, Statement>();

  constructor(options: StoreOptions) {
    this.path = join(options.stateDir, options.fileName ?? "console.db");
    const { logger, migrations } = options;
    this.database = openDatabase(migrations ? { path: this.path, logger, migrations } : { path: this.path, logger });
  }

  /** One row or `undefined`. Values are as SQLite gives them: the caller names the row type of its own query. */
  get<Row>(sql: string, ...values: unknown[]): Row | undefined {
    return this.#run(() => this.#statement(sql).get(...values) as Row | undefined);
  }

  all<Row>(sql: string, ...values: unknown[]): Row[] {
    return this.#run(() => this.#statement(sql).all(...values) as Row[]);
  }

  /** Number of changed rows and the id of the last inserted one. */
  run(sql: string, ...values: unknown[]): { changes: number; lastInsertRowid: number } {
    const result = this.#run(() => this.#statement(sql).run(...values));
    return { changes: result.changes, lastInsertRowid: Number(result.lastInsertRowid) };
  }

  /** All or nothing; takes the write lock at once so that two processes queue instead of failing half-way. */
  transaction<Result>(body: () => Result): Result {
    return this.#run(() => (this.database.inTransaction ? body() : this.database.transaction(body).immediate()));
  }

  /** Changes when another process (or connection) has committed something. */
  dataVersion(): number {
    return Number(this.#run(() => this.database.pragma("data_version", { simple: true })));
  }

  close(): void {
    this.#statements.clear();
    this.database.close();
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      // Flow filters make many shapes of one query; the kept ones are bounded.
      if (this.#statements.size >= MAX_STATEMENTS) this.#statements.clear();
      statement = this.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #run<Result>(body: () => Result): Result {
    try {
      return body();
    } catch (error) {
      throw databaseFailure(error, this.path);
    }
  }
}
