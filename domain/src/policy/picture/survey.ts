/** What a picture shows whatever was seen: groups, and who may reach whom among them. Flows are put into it afterwards. */
import type { AccessModel } from "../access/index.ts";
import { type EdgeAccess, EdgeBook, PAIRS_IN_STEP, summarizeAnswers } from "./edges.ts";
import { createPolicyFinder, type GroupedNodes, groupNodes } from "./grouping.ts";
import { MAX_NODES, type PictureEdge, type PictureInput, type PictureNode } from "./model.ts";
import { type Place, type PlacedNodes, placeNodes } from "./places.ts";
import { PortSets } from "./port-sets.ts";

export type SurveyInput = Pick<PictureInput, "draft" | "grouping" | "enforcedAt" | "maxNodes">;

export interface FoundAccess {
  readonly source: number;
  readonly destination: number;
  readonly access: EdgeAccess;
}

/** Good for any flows: a picture of other flows goes on from it. */
export interface PictureSurvey {
  readonly draft: AccessModel;
  readonly grouped: GroupedNodes;
  readonly placed: PlacedNodes;
  readonly book: EdgeBook;
  /** Those that have an address or a member. */
  readonly nodes: readonly PictureNode[];
  /** By `source * nodes + destination`: all that is worth showing though nobody used it. */
  readonly found: ReadonlyMap<number, FoundAccess>;
  /**
   * The same by importance: what rules say and changes, what they say, what only opens, what only closes. Of each the first
   * of every source, then the second, so that no group seems to have none where not all can be shown.
   */
  readonly ranked: readonly (readonly FoundAccess[])[];
  /** Pairs of nodes that nothing restricts and that are not in `found`. */
  readonly unrestrictedPairs: number;
  /** Edges that nobody used, by the key of `found`: made when a picture shows them. */
  readonly unusedEdges: Map<number, PictureEdge>;
}

const NODES_IN_STEP = 8;

/** Each step takes a few milliseconds at most, but for the preparation of a model that was not asked yet. */
export function* surveyPicture(input: SurveyInput): Generator<void, PictureSurvey> {
  const { draft } = input;
  const grouped = groupNodes(draft, input.grouping, input.maxNodes ?? MAX_NODES);
  yield;
  const placed = yield* placeNodes(draft, grouped, input.enforcedAt);
  const book = new EdgeBook(draft, placed.worlds, new PortSets());
  const found = new Map<number, FoundAccess>();
  const ranked: FoundAccess[][][] = [[], [], [], []];
  const count = grouped.nodes.length;
  let unrestrictedPairs = 0;
  let asked = 0;
  for (let source = 0; source < count; source++) {
    const ofSource = ranked.map(() => 0);
    for (let destination = 0; destination < count; destination++) {
      const [from, to] = [placed.places[source] ?? [], placed.places[destination] ?? []];
      asked += from.length * to.length + 1;
      const access = yield* askInSteps(book, from, to);
      if (asked > PAIRS_IN_STEP) {
        asked = 0;
        yield;
      }
      if (access === null) continue;
      const rank = rankOf(book.sets, access);
      if (rank !== null) {
        const each = { source, destination, access };
        found.set(source * count + destination, each);
        const turn = ofSource[rank] ?? 0;
        ofSource[rank] = turn + 1;
        const turns = ranked[rank] ?? [];
        const own = turns[turn];
        if (own) own.push(each);
        else turns[turn] = [each];
      } else if (access.isUnrestricted) unrestrictedPairs += 1;
    }
  }
  const policiesOf = createPolicyFinder(draft.world);
  yield;
  const nodes: PictureNode[] = [];
  for (const [index, node] of grouped.nodes.entries()) {
    const isThere = node.members.length > 0 || (placed.places[index]?.length ?? 0) > 0;
    const unknownMembers = placed.unknownMembers[index] ?? 0;
    if (isThere) nodes.push({ ...node, ...policiesOf(node.members), unknownMembers });
    if (index % NODES_IN_STEP === 0) yield;
  }
  const inTurns = ranked.map((turns) => turns.flat());
  return { draft, grouped, placed, book, nodes, found, ranked: inTurns, unrestrictedPairs, unusedEdges: new Map() };
}

function* askInSteps(book: EdgeBook, from: readonly Place[], to: readonly Place[]): Generator<void, EdgeAccess | null> {
  const isLarge = from.length * to.length > PAIRS_IN_STEP;
  return summarizeAnswers(book.sets, isLarge ? yield* book.inSteps(from, to) : book.between(from, to));
}

/** `null` = there is no pair of addresses between them. */
export function accessBetweenInSteps(
  { book, placed }: PictureSurvey,
  source: number,
  destination: number,
): Generator<void, EdgeAccess | null> {
  return askInSteps(book, placed.places[source] ?? [], placed.places[destination] ?? []);
}

/** The same at once. */
export function accessBetween({ book, placed }: PictureSurvey, source: number, destination: number): EdgeAccess | null {
  return summarizeAnswers(book.sets, book.between(placed.places[source] ?? [], placed.places[destination] ?? []));
}

/**
 * The place in `ranked`. `null` = what is allowed because nobody forbids it, and what is denied because nobody allows it,
 * are not worth a line.
 */
function rankOf(sets: PortSets, { byRule, opens, closes }: EdgeAccess): number | null {
  const isChanged = opens !== sets.none || closes !== sets.none;
  if (byRule) return isChanged ? 0 : 1;
  if (!isChanged) return null;
  return opens === sets.none ? 3 : 2;
}
