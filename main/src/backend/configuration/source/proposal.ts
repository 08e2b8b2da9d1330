/** What a source has that the workspace has not, and the other way round: decided file by file, on texts alone. */
import { ProposedAction } from "@wardline/api/wardline/console/v1/configuration";
import { mergeFile } from "@wardline/domain/cluster";

export interface ProposedChange {
  readonly path: string;
  readonly action: ProposedAction;
  /** `null` = it is not there, or never was agreed on. */
  readonly base: string | null;
  readonly mine: string | null;
  readonly theirs: string | null;
  /** What taking it would write, `null` = it goes away. Of a conflict: what is there now. */
  readonly result: string | null;
}

export interface Proposal {
  /** By path. */
  readonly changes: readonly ProposedChange[];
  /** What only the workspace has: it can be published. */
  readonly unpublished: ReadonlyMap<string, string | null>;
  /** Both have it, and nobody has noted so yet. */
  readonly agreed: ReadonlyMap<string, string | null>;
}

type Texts = ReadonlyMap<string, string>;

export function propose(bases: Texts, mine: Texts, theirs: Texts): Proposal {
  const changes: ProposedChange[] = [];
  const unpublished = new Map<string, string | null>();
  const agreed = new Map<string, string | null>();
  const paths = [...new Set([...bases.keys(), ...mine.keys(), ...theirs.keys()])].sort();
  for (const path of paths) {
    const [base, our, their] = [bases.get(path) ?? null, mine.get(path) ?? null, theirs.get(path) ?? null];
    if (our === their) {
      if (base !== our) agreed.set(path, our);
    } else if (their === base) unpublished.set(path, our);
    else if (our === base) {
      const action =
        our === null ? ProposedAction.ADD : their === null ? ProposedAction.REMOVE : ProposedAction.REPLACE;
      changes.push({ path, action, base, mine: our, theirs: their, result: their });
    } else {
      const merged = mergeFile(path, base, our, their);
      const isMerged = merged.kind === "merged";
      const action = isMerged ? ProposedAction.MERGE : ProposedAction.CONFLICT;
      changes.push({ path, action, base, mine: our, theirs: their, result: isMerged ? merged.text : our });
    }
  }
  return { changes, unpublished, agreed };
}
