/** What the cells of a row say, for those rows that somebody looks at. */
import { examplePair } from "./connections.ts";
import {
  type ComputedCell,
  type ComputedColumn,
  type ComputedPart,
  joinParts,
  type ReportedCell,
  type ShownVerdict,
  type SideVerdict,
} from "./model.ts";
import { reportedCell, reportedVerdicts } from "./reports.ts";
import type { Pair, VerdictRow } from "./table.ts";

/** The verdict of a column over the whole row. */
export function rowVerdict(row: VerdictRow, column: ComputedColumn): ShownVerdict {
  return joinParts(row.outcomes.map(({ outcome }) => outcome[column].verdict));
}

export function reportedVerdictOf(row: VerdictRow): ShownVerdict {
  return joinParts(
    reportedVerdicts(row.reported.flatMap(({ parts }) => [...parts.values()].map(({ record }) => record))),
  );
}

/**
 * What a column says, each answer once, with whom it is about. Each version is an answer of its own: between two groups of
 * hosts that nobody can reach there are as many as pairs of hosts. More than `most` are only counted.
 */
export function describeCell(
  row: VerdictRow,
  column: ComputedColumn,
  most = Number.POSITIVE_INFINITY,
): ComputedCell & { readonly partsLeftOut: number } {
  const described: { readonly said: SaidByVersions; readonly pairs: Pair[] }[] = [];
  const answers = new Map<string, Map<number, number>>();
  let count = 0;
  for (const { outcome, pairs } of row.outcomes) {
    const { verdict, sides } = outcome[column];
    if (verdict === "nothing") continue;
    const answer = sides.map((side) => `${side.verdict} ${side.decision?.id}`).join(" | ");
    const places = answers.get(answer) ?? new Map<number, number>();
    answers.set(answer, places);
    for (const pair of pairs) {
      const [from, to] = pair;
      const versions = [from.standing.versions[column], to.standing.versions[column]] as const;
      const key = versionsKey(...versions);
      let place = places.get(key);
      if (place === undefined) {
        place = count++;
        places.set(key, place);
        if (place < most) {
          const own = sides.map((side, index): SideVerdict => ({ ...side, version: versions[index] ?? null }));
          described.push({ said: { verdict, sides: own }, pairs: [] });
        }
      }
      described[place]?.pairs.push(pair);
    }
  }
  const parts = described.map(({ said, pairs }) => describePart(said, pairs));
  return { verdict: rowVerdict(row, column), parts, partsLeftOut: count - parts.length };
}

const MOST_VERSIONS = 2 ** 26;

function versionsKey(from: number | null, to: number | null): number {
  return ((from ?? -1) + 1) * MOST_VERSIONS + (to ?? -1) + 1;
}

type SaidByVersions = Pick<ComputedPart, "verdict" | "sides">;

function describePart({ verdict, sides }: SaidByVersions, pairs: readonly Pair[]): ComputedPart {
  const hosts = new Set<string>();
  for (const [index, side] of sides.entries()) {
    const decides = verdict === "allow" ? side.version !== null : side.verdict === verdict;
    if (!decides) continue;
    for (const pair of new Set(pairs.map((ends) => ends[index]))) {
      for (const { endpoint } of pair?.members ?? []) if (endpoint.hostName !== null) hosts.add(endpoint.hostName);
    }
  }
  const example = pairs.map(([from, to]) => examplePair(from, to)).find((ends) => ends !== null);
  if (!example) throw new Error("a part has a connection");
  const [from, to] = example;
  return { verdict, sides, hostNames: [...hosts].sort(), from, to };
}

export function describeReported(row: VerdictRow): ReportedCell {
  return reportedCell(row.reported);
}
