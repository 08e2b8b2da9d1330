/**
 * Which orders this host began, and how they ended: on disk before the act, so that none is carried out twice and one that a kill
 * cut in two is known as such. Also the highest term that was seen.
 */
import { existsSync } from "node:fs";
import { readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { HealingAction, HealingOutcome } from "@wardline/api/wardline/v1/mesh";
import { replaceFile, toWriteFailure } from "../../files/atomicFile.ts";
import { makeDirectory } from "../../files/directory.ts";
import { Mutex } from "../../generations/mutex.ts";
import type { HealingOrder, HealingReceipt } from "../ports.ts";

export interface JournalEntry {
  readonly id: string;
  readonly action: HealingAction;
  readonly peerUri: string;
  readonly begunAtMs: number;
  /** UNSPECIFIED = begun, and no end is known. */
  readonly outcome: HealingOutcome;
  readonly sentence: string;
}

/** Orders hold for some seconds: far more are remembered than can be under way. */
const MAX_ENTRIES = 512;
const MAX_BYTES = 2 * 1024 * 1024;
const MAX_SENTENCE = 500;

interface Content {
  readonly term: bigint;
  readonly entries: readonly JournalEntry[];
}

export class OrderJournal {
  readonly #path: string;
  readonly #writing = new Mutex();
  #term: bigint;
  #entries: Map<string, JournalEntry>;
  /** A sentence; empty = all is well. */
  readonly problem: string;
  /** Those that were begun before this start and did not end. */
  readonly unfinished: readonly JournalEntry[];

  private constructor(path: string, { term, entries }: Content, problem: string) {
    this.#path = path;
    this.#term = term;
    this.#entries = new Map(entries.map((entry) => [entry.id, entry]));
    this.problem = problem;
    this.unfinished = entries.filter(({ outcome }) => outcome === HealingOutcome.UNSPECIFIED);
  }

  /** `directory` is made where it is missing. A damaged file is moved aside. Throws what the file system says. */
  static async open(directory: string): Promise<OrderJournal> {
    if (!existsSync(directory)) makeDirectory(directory, 0o700);
    const path = join(directory, "orders.json");
    if (!existsSync(path)) return new OrderJournal(path, { term: 0n, entries: [] }, "");
    const content = (await stat(path)).size > MAX_BYTES ? null : decode(await readFile(path, "utf8"));
    if (content) return new OrderJournal(path, content, "");
    await rename(path, `${path}.damaged`);
    const problem = `The journal of healing orders is damaged and was moved to ${path}.damaged.`;
    return new OrderJournal(path, { term: 0n, entries: [] }, problem);
  }

  get term(): bigint {
    return this.#term;
  }

  entry(id: string): JournalEntry | undefined {
    return this.#entries.get(id);
  }

  /** Whether an order of the loop added this peer here. */
  hasAdded(peerUri: string): boolean {
    return [...this.#entries.values()].some(
      (entry) => entry.action === HealingAction.ADD_PEER && entry.peerUri === peerUri && mayHaveActed(entry.outcome),
    );
  }

  /** On disk when it resolves. Throws `Failure` DISK_FULL, INTERNAL: then nothing may be done. */
  async begin({ id, action, peerUri, term }: HealingOrder, begunAtMs: number): Promise<void> {
    const entry = { id, action, peerUri, begunAtMs, outcome: HealingOutcome.UNSPECIFIED, sentence: "" };
    const before = { entries: new Map(this.#entries), term: this.#term };
    this.#entries.set(id, entry);
    if (term > this.#term) this.#term = term;
    for (const oldest of [...this.#entries.keys()].slice(0, -MAX_ENTRIES)) this.#entries.delete(oldest);
    try {
      await this.#write();
    } catch (error) {
      this.#entries = before.entries;
      this.#term = before.term;
      throw toWriteFailure(error, "the healing order");
    }
  }

  /** Where it cannot be written the order counts as interrupted at the next start. */
  async end({ orderId, outcome, sentence }: HealingReceipt): Promise<void> {
    const entry = this.#entries.get(orderId);
    if (!entry) return;
    this.#entries.set(orderId, { ...entry, outcome, sentence: sentence.slice(0, MAX_SENTENCE) });
    await this.#write().catch(() => undefined);
  }

  #write(): Promise<void> {
    return this.#writing.run(() => {
      const content = { version: 1, term: this.#term.toString(), entries: [...this.#entries.values()] };
      return replaceFile(this.#path, `${JSON.stringify(content)}\n`);
    });
  }
}

function mayHaveActed(outcome: HealingOutcome): boolean {
  return [HealingOutcome.DONE, HealingOutcome.UNSPECIFIED, HealingOutcome.INTERRUPTED].includes(outcome);
}

function decode(text: string): Content | null {
  try {
    const { version, term, entries } = JSON.parse(text) as Record<string, unknown>;
    if (version !== 1 || typeof term !== "string" || !/^\d{1,20}$/.test(term) || !Array.isArray(entries)) return null;
    return entries.every(isEntry) ? { term: BigInt(term), entries } : null;
  } catch {
    return null;
  }
}

function isEntry(value: unknown): value is JournalEntry {
  if (typeof value !== "object" || value === null) return false;
  const { id, action, peerUri, begunAtMs, outcome, sentence } = value as Record<string, unknown>;
  return (
    [id, peerUri, sentence].every((text) => typeof text === "string") &&
    [action, begunAtMs, outcome].every((number) => Number.isFinite(number))
  );
}
