/** What changed between two published values, in words. */
import { LinkClass, MeshChangeKind, MeshNodeState } from "@wardline/api/wardline/console/v1/mesh";
import type { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { GraphChange, GraphLink, GraphNode } from "./graph.ts";
import { providerName } from "./identity.ts";
import { worseClass } from "./score.ts";

const STATE_WORDS: Readonly<Record<number, string>> = {
  [MeshNodeState.INITIALIZING]: "initializing",
  [MeshNodeState.ONLINE]: "online",
  [MeshNodeState.DEGRADED]: "degraded",
  [MeshNodeState.OFFLINE]: "offline",
  [MeshNodeState.UNKNOWN]: "known from others only",
};

const CLASS_WORDS: Readonly<Record<number, string>> = {
  [LinkClass.EXCELLENT]: "excellent",
  [LinkClass.GOOD]: "good",
  [LinkClass.FAIR]: "fair",
  [LinkClass.POOR]: "poor",
  [LinkClass.BAD]: "bad",
  [LinkClass.UNMEASURED]: "not measured",
};

export const nodeStateWord = (state: MeshNodeState): string => STATE_WORDS[state] ?? "unknown";
export const linkClassWord = (linkClass: LinkClass): string => CLASS_WORDS[linkClass] ?? "unknown";

/** The worse of its two directions. */
export function classOfLink({ aToB, bToA }: GraphLink): LinkClass {
  return worseClass(aToB.linkClass, bToA.linkClass);
}

/**
 * `null` = it is not there.
 *
 * @param knownAs the host that a node turned out to be of which only the key was known
 */
export function nodeChanges(
  before: GraphNode | null,
  after: GraphNode | null,
  atMs: number,
  knownAs: string | null = null,
): GraphChange[] {
  if (before === null) {
    if (after === null) return [];
    const sentence = `${after.label} is new: ${nodeStateWord(after.state)}`;
    return [{ atMs, kind: MeshChangeKind.NODE_NEW, id: after.id, sentence }];
  }
  if (after === null) {
    const sentence =
      knownAs === null ? `${before.label} is no longer known` : `${before.label} turned out to be ${knownAs}`;
    return [{ atMs, kind: MeshChangeKind.NODE_GONE, id: before.id, sentence }];
  }
  if (before.state === after.state) return [];
  const [why] = after.problems;
  const sentence = `${after.label} is ${nodeStateWord(after.state)}, was ${nodeStateWord(before.state)}`;
  return [
    {
      atMs,
      kind: MeshChangeKind.NODE_STATE,
      id: after.id,
      sentence: why === undefined ? sentence : `${sentence}: ${why}`,
    },
  ];
}

export interface LinkEndLabels {
  readonly a: string;
  readonly b: string;
}

export function linkChanges(
  before: GraphLink | null,
  after: GraphLink | null,
  { a, b }: LinkEndLabels,
  atMs: number,
): GraphChange[] {
  const link = after ?? before;
  if (link === null) return [];
  const { id, provider } = link;
  const name = `${a} – ${b} (${providerName(provider)})`;
  const change = (kind: MeshChangeKind, sentence: string): GraphChange => ({ atMs, kind, id, sentence });
  if (after === null) return [change(MeshChangeKind.LINK_GONE, `${name} is no longer known`)];
  if (before === null) {
    return [change(MeshChangeKind.LINK_NEW, `${name} is new and ${after.isUp ? "up" : "down"}`)];
  }
  const changes: GraphChange[] = [];
  if (before.isUp !== after.isUp) {
    changes.push(
      after.isUp
        ? change(MeshChangeKind.LINK_UP, `${name} came up`)
        : change(MeshChangeKind.LINK_DOWN, `${name} went down`),
    );
  } else if (after.isUp && classOfLink(before) !== classOfLink(after)) {
    const words = `${linkClassWord(classOfLink(after))}, was ${linkClassWord(classOfLink(before))}`;
    changes.push(change(MeshChangeKind.LINK_CLASS, `${name} is ${words}`));
  }
  if (before.isFlapping !== after.isFlapping) {
    const sentence = after.isFlapping
      ? `${name} goes up and down again and again`
      : `${name} has been quiet for a minute`;
    changes.push(change(MeshChangeKind.LINK_FLAPPING, sentence));
  }
  return changes;
}

export function partitionChange(provider: MeshProvider, parts: number, before: number, atMs: number): GraphChange[] {
  const isTold = parts !== before && (parts > 1 || before > 1);
  if (!isTold) return [];
  const name = providerName(provider);
  const sentence = parts > 1 ? `The mesh of ${name} is in ${parts} parts` : `The mesh of ${name} is no longer split`;
  return [{ atMs, kind: MeshChangeKind.PARTITIONS, id: name, sentence }];
}
