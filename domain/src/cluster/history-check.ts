/**
 * Whether a history of versions is what one writer after the other could have made, given what several concurrent writers
 * saw: every acknowledged write there once, in an order that agrees with real time, and nothing there that nobody wrote.
 *
 * A write that names the version it was made from succeeds only when that version is the newest. So the order of one
 * document's writes is fully told by its version numbers, and no search for an order is needed: each rule is looked at by
 * itself, and what is found names the documents and versions.
 */

/** One write of one document by one writer, as that writer saw it. Times are of one monotonic clock, in milliseconds. */
export interface ObservedWrite {
  readonly writer: string;
  readonly key: string;
  readonly invokedMs: number;
  /** `Infinity` = never. */
  readonly returnedMs: number;
  /**
   * The version that it was made from; 0 = the document did not exist, or no longer. `null` = it named none, as a rollback
   * does not.
   */
  readonly baseVersion: bigint | null;
  /** Tells this write's content from that of every other write. */
  readonly content: string;
  readonly outcome: WriteOutcome;
}

export type WriteOutcome =
  /** Acknowledged as this version of this set. */
  | { readonly kind: "ok"; readonly version: bigint; readonly setNumber: bigint }
  /** Refused: it must not be there. */
  | { readonly kind: "failed" }
  /** No answer, or one that leaves it open: it may be there once. */
  | { readonly kind: "unknown" };

/** What the store holds in the end, all documents and versions. */
export interface StoredVersion {
  readonly key: string;
  readonly version: bigint;
  readonly setNumber: bigint;
  readonly term: bigint;
  readonly content: string;
  /** The document is gone with this version: what is made from version 0 may follow it. */
  readonly isDeletion?: boolean;
}

/** A newest version that somebody read, with when. Optional evidence. */
export interface ObservedRead {
  readonly key: string;
  readonly invokedMs: number;
  readonly returnedMs: number;
  /** 0 = there was no such document. */
  readonly version: bigint;
}

export type HistoryRule =
  /** Versions of a document count up by one from its first. */
  | "version-gap"
  | "version-twice"
  /** Of one document, later versions are in later sets. */
  | "set-order"
  /** Sets count up by one. */
  | "set-gap"
  /** Sets count up; later ones have no lower term. */
  | "term-order"
  /** An acknowledged write is not there, or not as the version that was acknowledged. */
  | "write-lost"
  /** A write is there more than once. */
  | "write-twice"
  /** A refused write is there. */
  | "refused-present"
  /** A version that nobody wrote. */
  | "unwritten"
  /** A write stands on another version than the one it was made from: somebody's change was overwritten unseen. */
  | "base-skipped"
  /** A write that had ended before another began stands behind it. */
  | "real-time"
  /** A read gave less than what was acknowledged before it, or what was read before it. */
  | "stale-read";

export interface HistoryProblem {
  readonly rule: HistoryRule;
  readonly key: string;
  /** A sentence for the one who has to find the cause. */
  readonly message: string;
}

export interface HistoryOptions {
  /** Versions that were there before the first write was observed, by key. 0 unless named. */
  readonly firstVersions?: ReadonlyMap<string, bigint>;
  readonly reads?: readonly ObservedRead[];
  /** Every set that is kept, with its term. */
  readonly sets?: readonly { readonly number: bigint; readonly term: bigint }[];
}

/** Everything that is wrong; empty = the history is linearizable. */
export function checkHistory(
  writes: readonly ObservedWrite[],
  stored: readonly StoredVersion[],
  { firstVersions = new Map(), reads = [], sets = [] }: HistoryOptions = {},
): readonly HistoryProblem[] {
  const problems: HistoryProblem[] = [...checkTerms(stored), ...checkSets(sets)];
  const keys = new Set([...writes, ...stored, ...reads].map(({ key }) => key));
  const [writesOf, storedOf, readsOf] = [byKey(writes), byKey(stored), byKey(reads)];
  for (const key of [...keys].sort()) {
    const first = firstVersions.get(key) ?? 0n;
    const own: OneDocument = {
      key,
      writes: writesOf.get(key) ?? [],
      versions: (storedOf.get(key) ?? [])
        .filter(({ version }) => version > first)
        .sort((one, other) => compare(one.version, other.version) || compare(one.setNumber, other.setNumber)),
      reads: readsOf.get(key) ?? [],
      first,
    };
    problems.push(...checkNumbers(own), ...checkWrites(own), ...checkRealTime(own), ...checkReads(own));
  }
  return problems;
}

interface OneDocument {
  readonly key: string;
  readonly writes: readonly ObservedWrite[];
  /** Ascending. */
  readonly versions: readonly StoredVersion[];
  readonly reads: readonly ObservedRead[];
  readonly first: bigint;
}

function byKey<T extends { readonly key: string }>(items: readonly T[]): ReadonlyMap<string, T[]> {
  const map = new Map<string, T[]>();
  for (const item of items) {
    const list = map.get(item.key);
    if (list) list.push(item);
    else map.set(item.key, [item]);
  }
  return map;
}

function compare(one: bigint | number, other: bigint | number): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function* checkTerms(stored: readonly StoredVersion[]): Generator<HistoryProblem> {
  const sorted = stored.toSorted((one, other) => compare(one.setNumber, other.setNumber));
  for (const [index, later] of sorted.entries()) {
    const earlier = sorted[index - 1];
    if (!earlier || later.term >= earlier.term) continue;
    const message = `Set ${later.setNumber} was written in term ${later.term}, after set ${earlier.setNumber} of term ${earlier.term}: a deposed leader wrote.`;
    yield { rule: "term-order", key: later.key, message };
  }
}

function* checkSets(sets: Required<HistoryOptions>["sets"]): Generator<HistoryProblem> {
  const sorted = sets.toSorted((one, other) => compare(one.number, other.number));
  for (const [index, later] of sorted.entries()) {
    const earlier = sorted[index - 1];
    if (!earlier) continue;
    if (later.number !== earlier.number + 1n) {
      yield { rule: "set-gap", key: "", message: `After set ${earlier.number} comes set ${later.number}.` };
    }
    if (later.term < earlier.term) {
      const message = `Set ${later.number} is of term ${later.term}, after set ${earlier.number} of term ${earlier.term}.`;
      yield { rule: "term-order", key: "", message };
    }
  }
}

function* checkNumbers({ key, versions, first }: OneDocument): Generator<HistoryProblem> {
  let last = first;
  let lastSet: bigint | null = null;
  for (const { version, setNumber } of versions) {
    if (version === last) {
      yield { rule: "version-twice", key, message: `${key} has two versions ${version}.` };
      continue;
    }
    if (version !== last + 1n) {
      yield { rule: "version-gap", key, message: `After version ${last} of ${key} comes ${version}.` };
    }
    if (lastSet !== null && setNumber <= lastSet) {
      const message = `Version ${version} of ${key} is in set ${setNumber}, the version before it in ${lastSet}.`;
      yield { rule: "set-order", key, message };
    }
    [last, lastSet] = [version, setNumber];
  }
}

function* checkWrites({ key, writes, versions }: OneDocument): Generator<HistoryProblem> {
  const found = new Map<string, StoredVersion[]>();
  for (const version of versions) found.set(version.content, [...(found.get(version.content) ?? []), version]);
  const known = new Set(writes.map(({ content }) => content));
  for (const write of writes) {
    const places = found.get(write.content) ?? [];
    const base = write.baseVersion === null ? "" : ` made from version ${write.baseVersion}`;
    const who = `The write of ${write.writer} to ${key}${base}`;
    if (places.length > 1) {
      const where = places.map(({ version }) => version).join(", ");
      yield { rule: "write-twice", key, message: `${who} is there ${places.length} times: as ${where}.` };
    }
    const [place] = places;
    yield* checkOutcome(write, place, key, who);
    if (place && write.baseVersion !== null && !standsOn(write.baseVersion, place, versions)) {
      const message = `${who} is there as version ${place.version}.`;
      yield { rule: "base-skipped", key, message };
    }
  }
  for (const { version, content } of versions) {
    if (known.has(content)) continue;
    yield { rule: "unwritten", key, message: `Version ${version} of ${key} holds what nobody wrote.` };
  }
}

function standsOn(baseVersion: bigint, { version }: StoredVersion, versions: readonly StoredVersion[]): boolean {
  if (version === baseVersion + 1n) return true;
  return baseVersion === 0n && versions.some((one) => one.version === version - 1n && one.isDeletion === true);
}

function* checkOutcome(
  { outcome }: ObservedWrite,
  place: StoredVersion | undefined,
  key: string,
  who: string,
): Generator<HistoryProblem> {
  if (outcome.kind === "failed" && place) {
    yield { rule: "refused-present", key, message: `${who} was refused and is there as version ${place.version}.` };
  }
  if (outcome.kind !== "ok") return;
  if (!place) {
    yield {
      rule: "write-lost",
      key,
      message: `${who} was acknowledged as version ${outcome.version} and is not there.`,
    };
  } else if (place.version !== outcome.version || place.setNumber !== outcome.setNumber) {
    const acknowledged = `version ${outcome.version} of set ${outcome.setNumber}`;
    const message = `${who} was acknowledged as ${acknowledged} and is there as version ${place.version} of set ${place.setNumber}.`;
    yield { rule: "write-lost", key, message };
  }
}

/** In the order of versions, no write may have ended before one that stands in front of it began. */
function* checkRealTime({ key, writes, versions }: OneDocument): Generator<HistoryProblem> {
  const byContent = new Map(writes.map((write) => [write.content, write]));
  let latestInvoked = Number.NEGATIVE_INFINITY;
  let latestVersion = 0n;
  for (const { version, content } of versions) {
    const write = byContent.get(content);
    if (!write) continue;
    // An open write may take effect long after its writer stopped to wait.
    const returnedMs = write.outcome.kind === "ok" ? write.returnedMs : Number.POSITIVE_INFINITY;
    if (returnedMs < latestInvoked) {
      const message = `Version ${version} of ${key} was acknowledged before version ${latestVersion} was asked for.`;
      yield { rule: "real-time", key, message };
    }
    if (write.invokedMs > latestInvoked) [latestInvoked, latestVersion] = [write.invokedMs, version];
  }
}

function* checkReads({ key, writes, reads, first }: OneDocument): Generator<HistoryProblem> {
  /** What was known to be there when, by whoever knew it: a later read must not give less. */
  const evidence: { knownAtMs: number; version: bigint }[] = reads.map(({ returnedMs, version }) => ({
    knownAtMs: returnedMs,
    version,
  }));
  for (const { outcome, returnedMs } of writes) {
    if (outcome.kind === "ok") evidence.push({ knownAtMs: returnedMs, version: outcome.version });
  }
  evidence.sort((one, other) => compare(one.knownAtMs, other.knownAtMs));
  let newest = first;
  let at = 0;
  for (const read of reads.toSorted((one, other) => compare(one.invokedMs, other.invokedMs))) {
    for (; at < evidence.length && evidence[at]!.knownAtMs < read.invokedMs; at++) {
      if (evidence[at]!.version > newest) newest = evidence[at]!.version;
    }
    if (read.version >= newest) continue;
    const message = `A read of ${key} gave version ${read.version} when version ${newest} was already known.`;
    yield { rule: "stale-read", key, message };
  }
}
