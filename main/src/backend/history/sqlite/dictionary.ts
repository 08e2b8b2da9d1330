/** Texts, addresses, decisions and series of a file that is being written: each once, by number. */
import type { Database, Statement } from "better-sqlite3";
import { addressKey } from "./address-range.ts";
import { IDENTITY_COLUMNS } from "./layout.ts";
import type { PackedDecision } from "./packed-layout.ts";

interface Decision {
  readonly wire: Uint8Array;
  readonly policy_keys: string;
  readonly summary: string;
}

export class Dictionary {
  readonly #texts = new Map<string, number>([["", 0]]);
  readonly #addresses = new Map<string, number>();
  readonly #decisions = new Map<string, number>();
  readonly #series = new Map<string, number>();
  readonly #insertText: Statement;
  readonly #insertAddress: Statement;
  readonly #insertDecision: Statement;
  readonly #insertSeries: Statement;
  #textLength = 0;
  /** Numbers are not used again: those of a host that was forgotten leave holes. */
  readonly #next: { texts: number; addresses: number; decisions: number; series: number };

  /** Reads what the file has. */
  constructor(database: Database) {
    for (const [id, text] of rows<[number, string]>(database, "SELECT id, text FROM texts")) this.#know(text, id);
    for (const [id, text] of rows<[number, string]>(database, "SELECT id, text FROM addresses")) {
      this.#addresses.set(text, id);
    }
    for (const [id, wire] of rows<[number, Buffer]>(database, "SELECT id, wire FROM decisions")) {
      this.#decisions.set(wire.toString("base64"), id);
    }
    const series = `SELECT id, ${IDENTITY_COLUMNS.join(", ")} FROM series`;
    for (const [id, ...identity] of rows<number[]>(database, series)) this.#series.set(identity.join(), id!);
    const next = (table: string) =>
      (database.prepare(`SELECT coalesce(max(id), 0) + 1 FROM ${table}`).pluck().get() as number) || 1;
    const [texts, addresses] = [next("texts"), next("addresses")];
    this.#next = { texts, addresses, decisions: next("decisions"), series: next("series") };
    this.#insertText = database.prepare("INSERT INTO texts (id, text) VALUES (?, ?)");
    this.#insertAddress = database.prepare("INSERT INTO addresses (id, key, text) VALUES (?, ?, ?)");
    this.#insertDecision = database.prepare(
      "INSERT INTO decisions (id, wire, policy_keys, summary) VALUES (?, ?, ?, ?)",
    );
    const marks = IDENTITY_COLUMNS.map(() => "?").join(", ");
    this.#insertSeries = database.prepare(
      `INSERT INTO series (id, ${IDENTITY_COLUMNS.join(", ")}) VALUES (?, ${marks})`,
    );
  }

  get seriesCount(): number {
    return this.#series.size;
  }

  /** Of all texts together, in UTF-16 units. */
  get textLength(): number {
    return this.#textLength;
  }

  text(text: string): number {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const id = this.#next.texts++;
    this.#insertText.run(id, text);
    this.#know(text, id);
    return id;
  }

  address(text: string): number {
    const known = this.#addresses.get(text);
    if (known !== undefined) return known;
    const id = this.#next.addresses++;
    this.#insertAddress.run(id, addressKey(text), text);
    this.#addresses.set(text, id);
    return id;
  }

  decision({ wire, policyKeys, summary }: PackedDecision): number {
    return this.storedDecision({ wire, policy_keys: policyKeys.join("\n"), summary });
  }

  /** As a file has it. */
  storedDecision({ wire, policy_keys, summary }: Decision): number {
    const key = Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength).toString("base64");
    const known = this.#decisions.get(key);
    if (known !== undefined) return known;
    const id = this.#next.decisions++;
    this.#insertDecision.run(id, wire, policy_keys, summary);
    this.#decisions.set(key, id);
    return id;
  }

  /** @param identity in the order of {@link IDENTITY_COLUMNS} */
  series(identity: readonly number[]): number {
    const key = identity.join();
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const id = this.#next.series++;
    this.#insertSeries.run(id, ...identity);
    this.#series.set(key, id);
    return id;
  }

  #know(text: string, id: number): void {
    this.#texts.set(text, id);
    this.#textLength += text.length;
  }
}

function rows<Row>(database: Database, sql: string): IterableIterator<Row> {
  return database.prepare(sql).raw().iterate() as IterableIterator<Row>;
}
