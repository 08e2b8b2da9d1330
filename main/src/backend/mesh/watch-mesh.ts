/**
 * The picture as a stream: whole at first, then what changed. Nothing is queued for a slow reader: it gets all that changed
 * since it last took something as one message, or the whole anew where that is less.
 */
import { create } from "@bufbuild/protobuf";
import {
  type MeshLink,
  type MeshNode,
  type MeshPartition,
  type MeshSummary,
  MeshTopologySchema,
  type WatchMeshResponse,
  WatchMeshResponseSchema,
} from "@wardline/api/wardline/console/v1/mesh";
import type { MeshGraph } from "@wardline/domain/mesh";
import { timestampOf } from "@wardline/domain/wire";
import type { Clock } from "../ports.ts";
import type { MeshPicture } from "./mesh-picture.ts";
import { toWireLink, toWireNode, toWirePartitions } from "./mesh-wire.ts";

const LONGEST_SILENCE_MS = 60_000;
/** A message of thousands of links would keep everybody else waiting while it is written. */
const LINKS_AT_ONCE = 1_000;
const NODES_AT_ONCE = 500;

export interface WatchPorts {
  readonly picture: MeshPicture;
  readonly clock: Clock;
  readonly summary: () => MeshSummary;
}

export async function* watchMesh(ports: WatchPorts, signal: AbortSignal): AsyncGenerator<WatchMeshResponse> {
  const { picture } = ports;
  let sequence = 1n;
  let revision = -1;
  let summary: MeshSummary | null = null;
  while (!signal.aborted) {
    const seen = picture.changes.version;
    const graph = picture.graph();
    const delta = revision < 0 || graph.revision === revision ? null : picture.changesSince(revision);
    const isWhole = revision < 0 || (graph.revision !== revision && delta === null);
    const nodes = isWhole ? [...graph.nodes.values()] : (delta?.nodes ?? []);
    const links = isWhole ? [...graph.links.values()] : (delta?.links ?? []);
    const newSummary = ports.summary();
    const partitions = graph.revision === revision ? [] : toWirePartitions(picture.figures().partitions);
    const base = { summary: newSummary === summary ? null : newSummary, partitions, graph };
    if (isWhole || delta || newSummary !== summary) {
      const parts = Math.max(1, Math.ceil(nodes.length / NODES_AT_ONCE), Math.ceil(links.length / LINKS_AT_ONCE));
      for (let part = 0; part < parts && !signal.aborted; part++) {
        yield message(sequence++, base, {
          isWhole: isWhole && part === 0,
          isLast: part === parts - 1,
          nodes: nodes.slice(part * NODES_AT_ONCE, (part + 1) * NODES_AT_ONCE).map(toWireNode),
          links: links.slice(part * LINKS_AT_ONCE, (part + 1) * LINKS_AT_ONCE).map(toWireLink),
          goneNodeIds: part === 0 && !isWhole ? (delta?.goneNodeIds ?? []) : [],
          goneLinkIds: part === 0 && !isWhole ? (delta?.goneLinkIds ?? []) : [],
        });
        // What else this process has to do comes in between.
        if (parts > 1) await new Promise<void>((resolve) => setImmediate(resolve));
      }
    }
    [revision, summary] = [graph.revision, newSummary];
    await picture.changes.wait(seen, LONGEST_SILENCE_MS, signal);
  }
}

interface Base {
  readonly summary: MeshSummary | null;
  readonly partitions: MeshPartition[];
  readonly graph: MeshGraph;
}

interface Part {
  readonly isWhole: boolean;
  readonly isLast: boolean;
  readonly nodes: MeshNode[];
  readonly links: MeshLink[];
  readonly goneNodeIds: readonly string[];
  readonly goneLinkIds: readonly string[];
}

function message(sequence: bigint, { summary, partitions, graph }: Base, part: Part): WatchMeshResponse {
  const at = timestampOf(graph.atMs);
  const { nodes, links, goneNodeIds, goneLinkIds } = part;
  if (part.isWhole) {
    const whole = create(MeshTopologySchema, { at, nodes, links, partitions });
    if (summary) whole.summary = summary;
    return create(WatchMeshResponseSchema, { sequence, at, topology: whole });
  }
  const change = { nodes, links, goneNodeIds: [...goneNodeIds], goneLinkIds: [...goneLinkIds], partitions };
  const news = create(WatchMeshResponseSchema, { sequence, at, ...change });
  // Counts of something that is not all there yet would be wrong in between.
  if (summary && part.isLast) news.summary = summary;
  return news;
}
