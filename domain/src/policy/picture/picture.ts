/** Makes pictures: in steps, so that whoever makes one can do something else in between, or stop. */
import { draftSide, type EdgeAccess, enforcedSide } from "./edges.ts";
import { placeFlows, sumFlows } from "./flows.ts";
import type { GroupedNode } from "./grouping.ts";
import {
  MAX_EDGES,
  PICTURE_CLASSES,
  type PictureClass,
  type PictureEdge,
  type PictureFlow,
  type PictureFlows,
  type PictureGrouping,
  type PictureInput,
  type PictureNode,
  type PlacedFlow,
} from "./model.ts";
import type { PortSets } from "./port-sets.ts";
import { accessBetween, accessBetweenInSteps, type FoundAccess, type PictureSurvey, surveyPicture } from "./survey.ts";

/** Small enough that a step stays well under the patience of whoever draws. */
const EDGES_IN_STEP = 64;
const USED_IN_STEP = 256;

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

/** Each step takes a few milliseconds at most, but for the preparation of a model that was not asked yet. */
export function* drawPicture(input: PictureInput): Generator<void, PolicyPicture> {
  const survey = yield* surveyPicture(input);
  return yield* fillPicture(survey, input.flows, input.maxEdges);
}

/** The picture of these flows; what is known without them is not asked again. */
export function* fillPicture(
  survey: PictureSurvey,
  seen: readonly PictureFlow[],
  maxEdges: number = MAX_EDGES,
): Generator<void, PolicyPicture> {
  const { draft, grouped, book, nodes, found, unusedEdges } = survey;
  const { sets } = book;
  const flows = yield* placeFlows(draft, grouped, seen);
  const count = grouped.nodes.length;
  const edgeOf = ({ source, destination, access }: FoundAccess, own: readonly PlacedFlow[]): PictureEdge =>
    toEdge(sets, grouped.nodes[source], grouped.nodes[destination], access, sumFlows(own));
  const edgeAt = (each: FoundAccess): PictureEdge => {
    const key = each.source * count + each.destination;
    const own = flows.ofPair.get(key);
    if (own) return edgeOf(each, own);
    const edge = unusedEdges.get(key) ?? edgeOf(each, []);
    unusedEdges.set(key, edge);
    return edge;
  };
  const changedAndUsed: UsedAccess[] = [];
  const onlyUsed: UsedAccess[] = [];
  let openAndUsed = 0;
  let usedAndFound = 0;
  let looks = 0;
  for (const [key, own] of flows.ofPair) {
    if (++looks % USED_IN_STEP === 0) yield;
    const known = found.get(key);
    const [source, destination] = [Math.floor(key / count), key % count];
    const access = known?.access ?? (yield* accessBetweenInSteps(survey, source, destination));
    if (access === null) continue;
    const weight = own.reduce((sum, { flow }) => sum + flow.connections + flow.deniedPackets, 0);
    const isChanged = access.opens !== sets.none || access.closes !== sets.none;
    (isChanged ? changedAndUsed : onlyUsed).push({ source, destination, access, weight });
    if (known) usedAndFound += 1;
    else if (access.isUnrestricted) openAndUsed += 1;
  }
  yield;
  // Nodes are in the order of their ids, so numbers say the same and compare faster.
  const byWeight = (a: UsedAccess, b: UsedAccess) =>
    b.weight - a.weight || a.source - b.source || a.destination - b.destination;
  const used = [...changedAndUsed.sort(byWeight), ...onlyUsed.sort(byWeight)];
  yield;
  const edges: PictureEdge[] = [];
  for (const each of used.slice(0, maxEdges)) {
    edges.push(edgeAt(each));
    if (edges.length % EDGES_IN_STEP === 0) yield;
  }
  for (const each of survey.ranked.flat()) {
    if (edges.length >= maxEdges) break;
    if (flows.ofPair.has(each.source * count + each.destination)) continue;
    edges.push(edgeAt(each));
    if (edges.length % EDGES_IN_STEP === 0) yield;
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
    unrestrictedPairs: survey.unrestrictedPairs - openAndUsed,
    edgesLeftOut: found.size - usedAndFound + used.length - edges.length,
    edgeBetween: (sourceId, destinationId) => {
      const [source = -1, destination = -1] = [numberOf.get(sourceId), numberOf.get(destinationId)];
      const access = accessBetween(survey, source, destination);
      return access === null ? null : edgeAt({ source, destination, access });
    },
    flowsBetween: (sourceId, destinationId) =>
      flows.ofPair.get((numberOf.get(sourceId) ?? -1) * count + (numberOf.get(destinationId) ?? -1)) ?? [],
  };
}

interface UsedAccess extends FoundAccess {
  readonly weight: number;
}

/** The whole picture at once. */
export function pictureOf(input: PictureInput): PolicyPicture {
  const steps = drawPicture(input);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
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
