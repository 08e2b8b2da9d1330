/** Who last changed each line of a file, told from its versions. */
import { type BlameRun, LineBlame } from "@wardline/domain/lines";
import type { FileRevision, VersionIndex } from "./version-index.ts";

/** Of one file; what is older is not told apart. */
const MAX_REVISIONS = 400;
const MAX_CHARACTERS = 48 * 1024 * 1024;
const MAX_RENAMES = 10;
const MAX_KEPT = 20;

export interface Blame {
  readonly runs: readonly BlameRun<number>[];
  /** Lines of this version may be older. 0 = none. */
  readonly cutAtNumber: number;
  /** Ids of the versions that have the file, from a number on. */
  idsSince(number: number): ReadonlySet<string>;
}

interface Kept {
  readonly key: string;
  readonly blame: LineBlame<number>;
  readonly cutAtNumber: number;
  readonly revisions: readonly FileRevision[];
}

export class FileBlame {
  readonly #index: VersionIndex;
  /** Versions never change, so that only what came since has to be compared. Least recently used first. */
  readonly #kept = new Map<string, Kept>();

  constructor(index: VersionIndex) {
    this.#index = index;
  }

  /** @param draft the text after the last version, if it is one that no version has */
  of(path: string, upToNumber: number, draft: string | null): Blame {
    const kept = this.#versions(path, upToNumber);
    let { blame } = kept;
    if (draft !== null) {
      blame = blame.copy();
      blame.add(draft, 0);
    }
    return {
      runs: blame.runs(),
      cutAtNumber: kept.cutAtNumber,
      idsSince: (number) =>
        new Set(
          kept.revisions.filter((one) => one.number >= number && one.digest !== null).map(({ versionId }) => versionId),
        ),
    };
  }

  #versions(path: string, upToNumber: number): Kept {
    const revisions = this.#past(path, upToNumber);
    const distinct = revisions.filter(({ digest }, at) => digest !== null && digest !== lastDigest(revisions, at));
    const key = JSON.stringify([path, distinct.map(({ number, digest }) => [number, digest])]);
    const known = this.#kept.get(key);
    this.#kept.delete(key);
    const kept = known ? { ...known, revisions } : this.#compare(key, distinct, revisions);
    this.#kept.set(key, kept);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_KEPT) break;
      this.#kept.delete(oldest);
    }
    return kept;
  }

  #compare(key: string, distinct: readonly FileRevision[], revisions: readonly FileRevision[]): Kept {
    const taken: { readonly number: number; readonly text: string }[] = [];
    let characters = 0;
    for (const { number, digest } of distinct.toReversed()) {
      const text = this.#index.blob(digest ?? "");
      characters += text.length;
      if (taken.length >= MAX_REVISIONS || characters > MAX_CHARACTERS) break;
      taken.push({ number, text });
    }
    const blame = new LineBlame<number>();
    for (const { number, text } of taken.toReversed()) blame.add(text, number);
    const isCut = taken.length < distinct.length;
    return { key, blame, revisions, cutAtNumber: isCut ? (taken.at(-1)?.number ?? 0) : 0 };
  }

  /** Of the file under the names that it had. */
  #past(path: string, upToNumber: number): FileRevision[] {
    let revisions: FileRevision[] = [];
    let [name, upTo]: [string | null, number] = [path, upToNumber];
    for (let renames = 0; name !== null && renames <= MAX_RENAMES; renames++) {
      const found = this.#index.revisions(name, upTo);
      const first = found.findIndex(({ digest }) => digest !== null);
      if (first < 0) break;
      revisions = [...found.slice(first), ...revisions];
      const { number = 0, digest = null } = found[first] ?? {};
      upTo = number - 1;
      name = upTo > 0 && digest !== null ? this.#index.formerPath(number, digest) : null;
    }
    return revisions;
  }
}

/** Of the last revision before a place that has the file: a file that came back is still what it was. */
function lastDigest(revisions: readonly FileRevision[], at: number): string | null {
  for (let index = at - 1; index >= 0; index--) {
    const digest = revisions[index]?.digest ?? null;
    if (digest !== null) return digest;
  }
  return null;
}
