/** What is counted of nodes and links, in the picture of now and in one of the history alike. */
import { LinkClass, MeshNodeState } from "@wardline/api/wardline/console/v1/mesh";
import { classOfLink } from "./changes.ts";
import type { GraphLink, GraphNode } from "./graph.ts";

const MAX_IDS = 200;
const GOOD = new Set([LinkClass.EXCELLENT, LinkClass.GOOD]);
const WEAK = new Set([LinkClass.POOR, LinkClass.BAD]);
const ONLINE = new Set([MeshNodeState.ONLINE, MeshNodeState.DEGRADED]);

export function nodeFigures(nodes: Iterable<GraphNode>) {
  let count = 0;
  let nodesOnline = 0;
  for (const { state } of nodes) {
    count++;
    if (ONLINE.has(state)) nodesOnline++;
  }
  return { nodes: count, nodesOnline };
}

export function linkFigures(links: Iterable<GraphLink>) {
  let count = 0;
  let linksGood = 0;
  let linksWeak = 0;
  let linksLost = 0;
  let linksFlapping = 0;
  let latencyMs = 0;
  let measured = 0;
  for (const link of links) {
    count++;
    if (!link.isUp) linksLost++;
    else if (GOOD.has(classOfLink(link))) linksGood++;
    else if (WEAK.has(classOfLink(link))) linksWeak++;
    if (link.isFlapping) linksFlapping++;
    for (const direction of [link.aToB, link.bToA]) {
      if (!link.isUp || direction.latencyMs === null) continue;
      latencyMs += direction.latencyMs;
      measured++;
    }
  }
  const meanLatencyMs = measured === 0 ? null : latencyMs / measured;
  return { links: count, linksGood, linksWeak, linksLost, linksFlapping, meanLatencyMs };
}

/** Each once, in order, and not more than a summary holds. */
export function idsOf(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())].sort().slice(0, MAX_IDS);
}
