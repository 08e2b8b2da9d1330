/** Makes pictures: in steps, so that whoever makes one can do something else in between, or stop. */
import { draftSide, type EdgeAccess, EdgeBook, enforcedSide, PAIRS_IN_STEP, summarizeAnswers } from "./edges.ts";
import { placeFlows, sumFlows } from "./flows.ts";
import { createPolicyFinder, type GroupedNode, groupNodes } from "./grouping.ts";
import {
  MAX_EDGES,
  MAX_NODES,
  PICTURE_CLASSES,
  type PictureClass,
  type PictureEdge,
  type PictureFlows,
  type PictureGrouping,
  type PictureInput,
  type PictureNode,
  type PlacedFlow,
} from "./model.ts";
import { type Place, placeNodes } from "./places.ts";
import { PortSets } from "./port-sets.ts";

export interface PolicyPicture {
  readonly nodes: readonly PictureNode[];
  /** Most important first. */
  readonly edges: readonly PictureEdge[];
  readonly grouping: PictureGrouping;
  /** What was put together because there was too much, and what is missing, in words. */
  readonly notes: readonly string[];
  /** Pairs of nodes that nothing restricts, nobody used and the draft does not change: they are not in `edges`. */
  readonly unrestrictedPairs: number;
  /** Edges beyond the limit: the least important. */
  readonly edgesLeftOut: number;
  /** Of any pair of nodes, also one that is not in `edges`. `null` = there is no pair of addresses. */
  edgeBetween(sourceId: string, destinationId: string): PictureEdge | null;
  flowsBetween(sourceId: string, destinationId: string): readonly PlacedFlow[];
}

/** Each step takes well under a millisecond, but for the preparation of a model that was not asked yet. */
export function* drawPicture(input: PictureInput): Generator<void, PolicyPicture> {
  const { draft, maxEdges = MAX_EDGES } = input;
  const grouped = groupNodes(draft, input.grouping, input.maxNodes ?? MAX_NODES);
  yield;
  const placed = yield* placeNodes(draft, grouped, input.enforcedAt);
  const flows = yield* placeFlows(draft, grouped, input.flows);
  const book = new EdgeBook(draft, placed.worlds, new PortSets());
  const policiesOf = createPolicyFinder(draft.world);
  const count = grouped.nodes.length;
  const found: { readonly source: number; readonly destination: number; readonly access: EdgeAccess }[] = [];
  let unrestrictedPairs = 0;
  let asked = 0;
  for (let source = 0; source < count; source++) {
    for (let destination = 0; destination < count; destination++) {
      const [from, to] = [placed.places[source] ?? [], placed.places[destination] ?? []];
      asked += from.length * to.length + 1;
      const isLarge = from.length * to.length > PAIRS_IN_STEP;
      const counts = isLarge ? yield* book.inSteps(from, to) : book.between(from, to);
      const access = summarizeAnswers(book.sets, counts);
      if (asked > PAIRS_IN_STEP) {
        asked = 0;
        yield;
      }
      if (access === null) continue;
      const isUsed = flows.ofPair.has(source * count + destination);
      if (isUsed || isWorthShowing(book.sets, access)) found.push({ source, destination, access });
      else if (access.isUnrestricted) unrestrictedPairs += 1;
    }
  }
  const nodes: PictureNode[] = [];
  for (const [index, node] of grouped.nodes.entries()) {
    const isThere = node.members.length > 0 || (placed.places[index]?.length ?? 0) > 0;
    if (isThere) nodes.push(toNode(node, policiesOf(node.members), placed.unknownMembers[index] ?? 0));
    if (index % 16 === 0) yield;
  }
  const edgeOf = (source: number, destination: number, access: EdgeAccess): PictureEdge => {
    const own = flows.ofPair.get(source * count + destination) ?? [];
    return toEdge(book.sets, grouped.nodes[source], grouped.nodes[destination], access, sumFlows(own));
  };
  const ranked = found.map(({ source, destination, access }): RankedEdge => {
    const own = flows.ofPair.get(source * count + destination);
    const weight = own ? own.reduce((sum, { flow }) => sum + flow.connections + flow.deniedPackets, 0) : 0;
    return { source, destination, access, weight, rank: rankOf(book.sets, access, own !== undefined) };
  });
  yield;
  // Nodes are in the order of their ids, so numbers say the same and compare faster.
  ranked.sort((left, right) => left.rank - right.rank || right.weight - left.weight || left.source - right.source);
  yield;
  const edges: PictureEdge[] = [];
  for (const { source, destination, access } of ranked.slice(0, maxEdges)) {
    edges.push(edgeOf(source, destination, access));
    if (edges.length % 64 === 0) yield;
  }
  const numberOf = new Map(grouped.nodes.map(({ id }, index) => [id, index]));
  const notes = [...grouped.notes];
  if (flows.elsewhere > 0)
    notes.push(`${flows.elsewhere.toLocaleString("en")} recorded talks have no end in the inventory.`);
  return {
    nodes,
    edges,
    grouping: grouped.grouping,
    notes,
    unrestrictedPairs,
    edgesLeftOut: ranked.length - edges.length,
    edgeBetween: (sourceId, destinationId) => {
      const [source = -1, destination = -1] = [numberOf.get(sourceId), numberOf.get(destinationId)];
      const access = accessBetween(book, placed.places[source], placed.places[destination]);
      return access === null ? null : edgeOf(source, destination, access);
    },
    flowsBetween: (sourceId, destinationId) =>
      flows.ofPair.get((numberOf.get(sourceId) ?? -1) * count + (numberOf.get(destinationId) ?? -1)) ?? [],
  };
}

/** The whole picture at once. */
export function pictureOf(input: PictureInput): PolicyPicture {
  const steps = drawPicture(input);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

function accessBetween(
  book: EdgeBook,
  sources: readonly Place[] | undefined,
  destinations: readonly Place[] | undefined,
): EdgeAccess | null {
  return summarizeAnswers(book.sets, book.between(sources ?? [], destinations ?? []));
}

/** What is allowed because nobody forbids it, and what is denied because nobody allows it, are not worth a line. */
function isWorthShowing(sets: PortSets, { byRule, opens, closes }: EdgeAccess): boolean {
  return byRule || opens !== sets.none || closes !== sets.none;
}

function toNode(
  node: GroupedNode,
  policies: Pick<PictureNode, "ingressMembers" | "egressMembers" | "policyKeys">,
  unknownMembers: number,
): PictureNode {
  return { ...node, ...policies, unknownMembers };
}

function toEdge(
  sets: PortSets,
  source: GroupedNode | undefined,
  destination: GroupedNode | undefined,
  access: EdgeAccess,
  flows: PictureFlows,
): PictureEdge {
  const draft = draftSide(sets, access);
  const enforced = enforcedSide(sets, access);
  const edge = {
    sourceId: source?.id ?? "",
    destinationId: destination?.id ?? "",
    ...{ draft, enforced, flows },
    opens: sets.parts(access.opens),
    closes: sets.parts(access.closes),
    isUnrestricted: access.isUnrestricted,
  };
  return { ...edge, classes: classesOf(edge) };
}

export function classesOf(edge: Omit<PictureEdge, "classes">): readonly PictureClass[] {
  const { draft, enforced, flows, opens, closes } = edge;
  const used = flows.connections - flows.wouldDeny;
  const holds: Record<PictureClass, boolean> = {
    "would-close": closes.length > 0,
    "would-open": opens.length > 0,
    tried: flows.deniedPackets > flows.wouldAllow,
    used: used > 0,
    unused: draft.byRule && used === 0 && flows.connections === 0,
    unknown: enforced.unknownPairs > 0,
  };
  return PICTURE_CLASSES.filter((name) => holds[name]);
}

interface RankedEdge {
  readonly source: number;
  readonly destination: number;
  readonly access: EdgeAccess;
  readonly weight: number;
  readonly rank: number;
}

/** What is used and changes, what is used, what rules say, and then what only changes. */
function rankOf(sets: PortSets, { byRule, opens, closes }: EdgeAccess, isUsed: boolean): number {
  const isChanged = opens !== sets.none || closes !== sets.none;
  if (isUsed) return isChanged ? 0 : 1;
  if (byRule) return isChanged ? 2 : 3;
  return opens === sets.none ? 5 : 4;
}
