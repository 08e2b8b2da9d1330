/** Reads the history. Long answers are put together in pieces, with whatever else this process has to do in between. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { GraphLink, GraphNode, MeshGraph } from "@wardline/domain/mesh";
import type { Clock } from "../../ports.ts";
import { unpackFigures, withFigures } from "./figure-codec.ts";
import { unpackPart } from "./graph-codec.ts";
import type { MeshHistoryLimits } from "./limits.ts";
import { LINKS_OF_BLOCK, type MeshTables } from "./mesh-tables.ts";
import type { ChangeQuery, Gap, MeshPast, PastChanges, PastGraph, SeriesQuery } from "./past.ts";
import { SeriesBuilder } from "./series-builder.ts";

const MOST_SLOTS = 240;
const MOST_GAPS = 500;
/** Times that are recorded are extended so often at least; anything longer is a gap. */
const SHORTEST_GAP_MS = 15_000;
const ROWS_AT_ONCE = 500;

export class MeshReader implements MeshPast {
  readonly #tables: () => MeshTables;
  readonly #clock: Clock;
  readonly #limits: MeshHistoryLimits;
  /** The one that was read last: a slider asks for many moments of one hour. */
  #unpacked: { readonly number: number; readonly graph: Draft } | null = null;

  /** @param tables @throws Failure when they cannot be opened */
  constructor(tables: () => MeshTables, clock: Clock, limits: MeshHistoryLimits) {
    this.#tables = tables;
    this.#clock = clock;
    this.#limits = limits;
  }

  async at(atMs: number, signal?: AbortSignal): Promise<PastGraph> {
    const tables = this.#tables();
    const earliestMs = tables.keyframeAfter(-1)?.atMs;
    const keyframe = tables.keyframeAt(atMs);
    if (earliestMs === undefined || keyframe === null) throw beforeHistory(earliestMs);
    const draft = copyOf(await this.#whole(keyframe.number, signal));
    for (const { wire } of tables.deltas(keyframe.afterDelta, atMs)) await apply(draft, wire, signal);
    const knownUntilMs = tables.spans().findLast(({ fromMs }) => fromMs <= atMs)?.toMs ?? keyframe.atMs;
    const graphAtMs = Math.min(atMs, Math.max(knownUntilMs, keyframe.atMs));
    await this.#addFigures(draft, graphAtMs, keyframe.atMs, signal);
    const graph: MeshGraph = { revision: keyframe.number, atMs: graphAtMs, ...draft };
    return { graph, earliestMs, gaps: this.gaps(earliestMs) };
  }

  /** `null` = nothing was ever recorded. */
  async newest(): Promise<MeshGraph | null> {
    const tables = this.#tables();
    const newestMs = tables.spans().at(-1)?.toMs;
    return newestMs !== undefined && tables.keyframeAt(newestMs) ? (await this.at(newestMs)).graph : null;
  }

  gaps(sinceMs: number): Gap[] {
    const gaps: Gap[] = [];
    let knownUntilMs: number | null = null;
    for (const { fromMs, toMs } of [...this.#tables().spans(), this.#nowSpan()]) {
      if (knownUntilMs !== null && fromMs - knownUntilMs > SHORTEST_GAP_MS)
        gaps.push({ fromMs: knownUntilMs, toMs: fromMs });
      knownUntilMs = Math.max(knownUntilMs ?? 0, toMs);
    }
    return gaps.filter(({ toMs }) => toMs > sinceMs).slice(-MOST_GAPS);
  }

  changes(query: ChangeQuery): PastChanges {
    const tables = this.#tables();
    const { fromMs, toMs } = query;
    const slots = Math.min(MOST_SLOTS, Math.max(1, Math.ceil((toMs - fromMs) / this.#limits.sampleEveryMs)));
    const bySlot = tables.changeCounts(query, slots);
    const counts = Array.from({ length: slots }, (_, slot) => bySlot.get(slot) ?? 0);
    const total = counts.reduce((sum, count) => sum + count, 0);
    return { changes: tables.changes(query), total, earliestMs: tables.keyframeAfter(-1)?.atMs ?? null, counts };
  }

  async series({ id, fromMs, toMs }: SeriesQuery, signal?: AbortSignal) {
    const tables = this.#tables();
    const times = tables.sampleTimes(fromMs, toMs);
    const links = tables.linksOf(id);
    const builder = new SeriesBuilder(times, id, this.#limits.sampleEveryMs);
    const blocks = new Map<number, typeof links>();
    for (const link of links) {
      const block = Math.floor(link.number / LINKS_OF_BLOCK);
      blocks.set(block, [...(blocks.get(block) ?? []), link]);
    }
    for (const [block, wanted] of blocks) {
      for (let beginMs = fromMs; beginMs < toMs; ) {
        const rows = tables.figuresOfBlock(block, beginMs, toMs, ROWS_AT_ONCE);
        for (const { atMs, wire } of rows) {
          signal?.throwIfAborted();
          const sampled = await unpackFigures(wire);
          for (const { number, a } of wanted) {
            const link = sampled.get(number % LINKS_OF_BLOCK);
            if (link) builder.add(atMs, a, link);
          }
        }
        beginMs = rows.length < ROWS_AT_ONCE ? toMs : (rows.at(-1)?.atMs ?? toMs) + 1;
      }
    }
    return builder.finish();
  }

  #nowSpan(): Gap {
    const nowMs = this.#clock.nowMs();
    return { fromMs: nowMs, toMs: nowMs };
  }

  async #whole(number: number, signal: AbortSignal | undefined): Promise<Draft> {
    if (this.#unpacked?.number === number) return this.#unpacked.graph;
    const graph: Draft = { nodes: new Map(), links: new Map() };
    for (const wire of this.#tables().parts(number)) await apply(graph, wire, signal);
    this.#unpacked = { number, graph };
    return graph;
  }

  async #addFigures(draft: Draft, atMs: number, sinceMs: number, signal: AbortSignal | undefined): Promise<void> {
    const tables = this.#tables();
    const oldestMs = Math.max(sinceMs, atMs - 2 * this.#limits.sampleEveryMs);
    const sampleMs = tables.sampleAt(atMs, oldestMs);
    if (sampleMs === null) return;
    const names = new Map([...tables.linkNames()].map(([id, number]) => [number, id]));
    for (const { block, wire } of tables.figuresOfSample(sampleMs)) {
      signal?.throwIfAborted();
      for (const [place, sampled] of await unpackFigures(wire)) {
        const link = draft.links.get(names.get(block * LINKS_OF_BLOCK + place) ?? "");
        // It went down since, or came up: figures of before are none of it.
        if (!link || link.isUp !== sampled.isUp || (link.isUp && link.sinceMs > sampleMs)) continue;
        const aToB = withFigures(link.aToB, sampled.aToB, sampleMs);
        draft.links.set(link.id, { ...link, aToB, bToA: withFigures(link.bToA, sampled.bToA, sampleMs) });
      }
    }
  }
}

interface Draft {
  readonly nodes: Map<string, GraphNode>;
  readonly links: Map<string, GraphLink>;
}

function copyOf({ nodes, links }: Draft): Draft {
  return { nodes: new Map(nodes), links: new Map(links) };
}

async function apply(draft: Draft, wire: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const { nodes, links, goneNodeIds, goneLinkIds } = await unpackPart(wire);
  for (const id of goneNodeIds) draft.nodes.delete(id);
  for (const id of goneLinkIds) draft.links.delete(id);
  for (const node of nodes) draft.nodes.set(node.id, node);
  for (const link of links) draft.links.set(link.id, link);
}

function beforeHistory(earliestMs: number | undefined): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message:
      earliestMs === undefined
        ? "Nothing of the meshes is recorded yet."
        : `The history of the meshes begins at ${new Date(earliestMs).toISOString()}.`,
    hint: "It is recorded while a console runs.",
  });
}
