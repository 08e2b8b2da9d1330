/**
 * Writes down how the meshes change: a whole picture now and then, each change at once, and the figures of all links every
 * minute. Everything large is packed in pieces, with whatever else this process has to do in between.
 */
import type { GraphChange, GraphLink, GraphNode, MeshDelta, MeshGraph } from "@wardline/domain/mesh";
import type { Clock, Logger } from "../../ports.ts";
import { changesBetween } from "./differences.ts";
import { packFigures } from "./figure-codec.ts";
import { isSameLink, isSameNode, packPart } from "./graph-codec.ts";
import type { MeshHistoryLimits } from "./limits.ts";
import { type FigureRow, LINKS_OF_BLOCK, type MeshTables } from "./mesh-tables.ts";

const ITEMS_OF_PART = 250;
/** Changes in words that wait to be written; more than that at once is told as a problem. */
const MOST_WAITING = 50_000;

export interface MeshRecorderPorts {
  readonly tables: MeshTables;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: MeshHistoryLimits;
  readonly graph: () => MeshGraph;
}

export class MeshRecorder {
  readonly #ports: MeshRecorderPorts;
  #names: Map<string, number>;
  /** As they were last written; `null` = before the first keyframe. */
  #written: { nodes: Map<string, GraphNode>; links: Map<string, GraphLink> } | null = null;
  #changes: GraphChange[] = [];
  #hasBegun = false;
  #isChanged = false;
  #leftOut = 0;
  #spanFromMs = 0;
  #sampledAtMs = 0;
  #keyframeAtMs = 0;
  #changesSinceKeyframe = 0;

  /** @throws Failure of the store */
  constructor(ports: MeshRecorderPorts) {
    this.#ports = ports;
    this.#names = ports.tables.linkNames();
  }

  /** Of changes that were more than could be written; 0 = none. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** What changed in the picture since it was last called. */
  take({ changes }: MeshDelta): void {
    if (!this.#hasBegun) return;
    this.#isChanged = true;
    const room = Math.max(0, MOST_WAITING - this.#changes.length);
    this.#changes.push(...changes.slice(0, room));
    this.#leftOut += Math.max(0, changes.length - room);
  }

  /** Begins with a whole picture. What happened since `before` is told as changes of now. @throws Failure of the store */
  async begin(before: MeshGraph | null): Promise<void> {
    const { tables, clock, graph } = this.#ports;
    const nowMs = clock.nowMs();
    const now = graph();
    this.#hasBegun = true;
    this.#changes = before ? changesBetween(before, now, nowMs) : [];
    this.#spanFromMs = nowMs;
    this.#sampledAtMs = 0;
    await this.#writeKeyframe(now, nowMs);
    tables.beginSpan(nowMs);
  }

  /** What is due now. @throws Failure of the store: what was to be written is lost, and it has to begin anew */
  async write(): Promise<void> {
    const { tables, clock, limits, graph } = this.#ports;
    const nowMs = clock.nowMs();
    await this.#writeChanges(graph(), nowMs);
    if (nowMs - this.#sampledAtMs >= limits.sampleEveryMs || nowMs < this.#sampledAtMs) await this.sample(nowMs);
    const isDue = nowMs - this.#keyframeAtMs >= limits.keyframeEveryMs || nowMs < this.#keyframeAtMs;
    if (isDue || this.#changesSinceKeyframe >= limits.changesPerKeyframe) await this.#writeKeyframe(graph(), nowMs);
    tables.extendSpan(this.#spanFromMs, nowMs);
  }

  /** After links that were not seen for as long as anything is kept have lost their numbers. @throws Failure of the store */
  renumber(): void {
    this.#names = this.#ports.tables.linkNames();
  }

  /** A whole picture now. @throws Failure of the store */
  keyframe(): Promise<void> {
    return this.#writeKeyframe(this.#ports.graph(), this.#ports.clock.nowMs());
  }

  async #writeChanges(now: MeshGraph, nowMs: number): Promise<void> {
    const written = this.#written;
    if (!this.#isChanged || written === null) return;
    this.#isChanged = false;
    const nodes = [...now.nodes.values()].filter((node) => !isKnown(written.nodes.get(node.id), node, isSameNode));
    const links = [...now.links.values()].filter((link) => !isKnown(written.links.get(link.id), link, isSameLink));
    const goneNodeIds = [...written.nodes.keys()].filter((id) => !now.nodes.has(id));
    const goneLinkIds = [...written.links.keys()].filter((id) => !now.links.has(id));
    const parts: Uint8Array[] = [];
    for (const part of inParts(nodes, links, goneNodeIds, goneLinkIds)) {
      parts.push(await packPart(part));
      await pause();
    }
    const changes = this.#changes.splice(0);
    const { tables } = this.#ports;
    tables.transaction(() => {
      for (const wire of parts) tables.addDelta(nowMs, wire);
      for (const change of changes) tables.addChange(change);
    });
    this.#changesSinceKeyframe += nodes.length + links.length + goneNodeIds.length + goneLinkIds.length;
    for (const id of goneNodeIds) written.nodes.delete(id);
    for (const id of goneLinkIds) written.links.delete(id);
    for (const node of nodes) written.nodes.set(node.id, node);
    for (const link of links) written.links.set(link.id, link);
  }

  /** Readers do not see a keyframe before all of it is there: a crash leaves none that is half. */
  async #writeKeyframe(now: MeshGraph, nowMs: number): Promise<void> {
    const { tables } = this.#ports;
    const number = tables.beginKeyframe(nowMs);
    let index = 0;
    for (const part of inParts([...now.nodes.values()], [...now.links.values()], [], [])) {
      tables.addPart(number, index++, await packPart(part));
      const numbers = part.links.flatMap(({ id }) => this.#names.get(id) ?? []);
      if (numbers.length > 0) tables.touchLinks(numbers, nowMs);
      await pause();
    }
    const changes = this.#written === null ? this.#changes.splice(0) : [];
    tables.transaction(() => {
      tables.completeKeyframe(number);
      for (const change of changes) tables.addChange(change);
    });
    this.#keyframeAtMs = nowMs;
    this.#changesSinceKeyframe = 0;
    if (this.#written !== null) return;
    this.#written = { nodes: new Map(now.nodes), links: new Map(now.links) };
    // It went on while the picture was packed.
    this.#isChanged = true;
  }

  /** @throws Failure of the store */
  async sample(nowMs: number): Promise<void> {
    const { tables, graph } = this.#ports;
    this.#sampledAtMs = nowMs;
    const blocks = new Map<number, Map<number, GraphLink>>();
    for (const links of slices([...graph().links.values()], ITEMS_OF_PART)) {
      const unnamed = links.filter(({ id }) => !this.#names.has(id));
      if (unnamed.length > 0) for (const [id, number] of tables.nameLinks(unnamed, nowMs)) this.#names.set(id, number);
      for (const link of links) {
        const number = this.#names.get(link.id) ?? 0;
        const block = blocks.get(Math.floor(number / LINKS_OF_BLOCK)) ?? new Map<number, GraphLink>();
        blocks.set(Math.floor(number / LINKS_OF_BLOCK), block.set(number % LINKS_OF_BLOCK, link));
      }
      await pause();
    }
    const rows: FigureRow[] = [];
    for (const [block, links] of blocks) rows.push({ block, atMs: nowMs, wire: await packFigures(links) });
    tables.transaction(() => {
      tables.addFigures(rows);
      tables.addSample(nowMs);
    });
  }
}

function isKnown<Item>(before: Item | undefined, now: Item, isSame: (one: Item, other: Item) => boolean): boolean {
  return before !== undefined && isSame(before, now);
}

function* inParts(
  nodes: readonly GraphNode[],
  links: readonly GraphLink[],
  goneNodeIds: readonly string[],
  goneLinkIds: readonly string[],
) {
  if (goneNodeIds.length + goneLinkIds.length > 0) yield { nodes: [], links: [], goneNodeIds, goneLinkIds };
  for (const slice of slices(nodes, ITEMS_OF_PART)) yield { nodes: slice, links: [], goneNodeIds: [], goneLinkIds: [] };
  for (const slice of slices(links, ITEMS_OF_PART)) yield { nodes: [], links: slice, goneNodeIds: [], goneLinkIds: [] };
}

function* slices<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let begin = 0; begin < items.length; begin += size) yield items.slice(begin, begin + size);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
