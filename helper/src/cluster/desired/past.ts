/** What was: older versions of documents and older sets. Numbers have no gaps, so everything is read by its key. */
import {
  type DesiredHead,
  DesiredHeadSchema,
  type DocumentVersion,
  DocumentVersionSchema,
} from "@wardline/api/wardline/v1/cluster";
import type { Keys } from "../keys.ts";
import type { ClusterStore, KeyValue } from "../store/clusterStore.ts";
import { decode } from "./records.ts";
import * as refuse from "./refusals.ts";
import type { Wanted } from "./setPlan.ts";
import type { DesiredState } from "./types.ts";

/** Keys that are read at once: versions may be large. */
const PAGE = 8;
const HEADS_PAGE = 32;
const PARALLEL = 16;

export class Past {
  readonly #store: ClusterStore;
  readonly #keys: Keys;

  constructor(store: ClusterStore, keys: Keys) {
    this.#store = store;
    this.#keys = keys;
  }

  /**
   * The versions from `newest` down, as far as they are kept, newest first: `limit` at most, and no more once their texts are
   * longer than `maxLength` together.
   */
  async versions(
    key: string,
    newest: bigint,
    limit: number,
    maxLength = Number.POSITIVE_INFINITY,
  ): Promise<readonly DocumentVersion[]> {
    const found: DocumentVersion[] = [];
    const isLong = () => found.reduce((sum, { text }) => sum + text.length, 0) > maxLength;
    for (let version = newest; version > 0n && found.length < limit; version -= BigInt(PAGE)) {
      const wanted = descending(version, Math.min(PAGE, limit - found.length));
      const items = await this.#getAll(wanted.map((one) => this.#keys.historyVersion(key, one)));
      const kept = items.filter((item) => item !== null);
      found.push(...kept.map((item) => decode(DocumentVersionSchema, item.key, item.value)));
      if (kept.length < wanted.length || isLong()) break;
    }
    return found;
  }

  async version(key: string, version: bigint): Promise<DocumentVersion | null> {
    return (await this.versions(key, version, 1))[0] ?? null;
  }

  /** The heads from `newest` down, newest first. */
  async sets(newest: bigint, limit: number): Promise<readonly DesiredHead[]> {
    const found: DesiredHead[] = [];
    for (let number = newest; number > 0n && found.length < limit; number -= BigInt(HEADS_PAGE)) {
      const wanted = descending(number, Math.min(HEADS_PAGE, limit - found.length));
      const items = await this.#getAll(wanted.map((one) => this.#keys.set(one)));
      const kept = items.filter((item) => item !== null);
      found.push(...kept.map((item) => decode(DesiredHeadSchema, item.key, item.value)));
      if (kept.length < wanted.length) break;
    }
    return found;
  }

  async set(number: bigint): Promise<DesiredHead | null> {
    return (await this.sets(number, 1))[0] ?? null;
  }

  /**
   * What has to be written for the documents to be as they were at the set. Throws `Failure` NOT_FOUND when a version that
   * counts is not kept any more.
   */
  async differences(state: DesiredState, setNumber: bigint): Promise<readonly Wanted[]> {
    for (const retired of state.retired.values()) {
      // What it held is gone; it counts only if it was deleted after the set.
      if (retired.setNumber > setNumber && !state.documents.has(retired.key)) throw notKept(retired.key, setNumber);
    }
    const later = [...state.documents.values()].filter((document) => document.setNumber > setNumber);
    const wanted: Wanted[] = [];
    for (let at = 0; at < later.length; at += PARALLEL) {
      const some = later.slice(at, at + PARALLEL).map((document) => this.#before(document, setNumber));
      wanted.push(...(await Promise.all(some)).filter((one) => one !== null));
    }
    return wanted;
  }

  async #before(newest: DocumentVersion, setNumber: bigint): Promise<Wanted | null> {
    const { key } = newest;
    for (let version = newest.version - 1n; version > 0n; ) {
      const versions = await this.versions(key, version, PAGE);
      const then = versions.find((one) => one.setNumber <= setNumber);
      if (then) return toWanted(then);
      if (versions.length === 0) throw notKept(key, setNumber);
      version -= BigInt(versions.length);
    }
    // It did not exist then.
    return newest.deleted ? null : { key, text: null, baseVersion: null };
  }

  async #getAll(keys: readonly string[]): Promise<readonly (KeyValue | null)[]> {
    const then = keys.map((key) => ({ kind: "get" as const, key }));
    return (await this.#store.transact({ compare: [], then })).found;
  }
}

/** The content of an older version as a new one. */
export function toWanted({ key, deleted, text, version }: DocumentVersion): Wanted {
  return { key, text: deleted ? null : text, baseVersion: null, rolledBackTo: version };
}

function notKept(key: string, setNumber: bigint) {
  const hint = "Go back to a later set, or to a version of single documents.";
  return refuse.notFound(`What ${key} held in set ${setNumber} is not kept any more.`, hint);
}

function descending(from: bigint, count: number): bigint[] {
  const numbers: bigint[] = [];
  for (let number = from; number > 0n && numbers.length < count; number -= 1n) numbers.push(number);
  return numbers;
}
