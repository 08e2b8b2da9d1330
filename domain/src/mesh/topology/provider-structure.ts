/** How the mesh of one provider hangs together, of the nodes that take part in it now and the links that are up. */
import type { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { type Adjacency, adjacencyOf } from "../paths/adjacency.ts";
import { diameterOf } from "../paths/diameter.ts";
import { type Structure, structureOf } from "../paths/structure.ts";
import type { LinkRecord, NodeRecord } from "./records.ts";

const NOT_IN = -1;

export class ProviderStructure {
  readonly provider: MeshProvider;
  readonly #nodes: NodeRecord[] = [];
  readonly #links: LinkRecord[];
  readonly #graph: Adjacency;
  readonly #structure: Structure;
  #diameter: number | null | undefined;

  /** `alone`: nodes that take part whether or not they have a link. */
  constructor(provider: MeshProvider, links: Iterable<LinkRecord>, alone: Iterable<NodeRecord>) {
    this.provider = provider;
    this.#links = [];
    for (const link of links) if (link.link.isUp) this.#links.push(link);
    for (const node of alone) this.#add(node);
    const from = new Int32Array(this.#links.length);
    const to = new Int32Array(this.#links.length);
    for (let index = 0; index < this.#links.length; index++) {
      const { a, b } = this.#links[index]!;
      from[index] = this.#add(a);
      to[index] = this.#add(b);
    }
    for (const node of this.#nodes) node.mark = NOT_IN;
    this.#graph = adjacencyOf(this.#nodes.length, from, to);
    this.#structure = structureOf(this.#graph);
  }

  #add(node: NodeRecord): number {
    if (node.mark === NOT_IN) node.mark = this.#nodes.push(node) - 1;
    return node.mark;
  }

  get hasLinks(): boolean {
    return this.#links.length > 0;
  }

  get partitionCount(): number {
    return this.#structure.componentCount;
  }

  /** Calls for each link of which it is not told yet whether the mesh falls apart without it. */
  eachNewBridge(tell: (link: LinkRecord, isBridge: boolean) => void): void {
    const { isBridge } = this.#structure;
    for (let index = 0; index < this.#links.length; index++) {
      const link = this.#links[index]!;
      if (link.link.isBridge !== (isBridge[index] === 1)) tell(link, isBridge[index] === 1);
    }
  }

  articulationPoints(): string[] {
    return this.#idsWhere((index) => this.#structure.isArticulation[index] === 1);
  }

  /** Nodes with exactly one link that is up. */
  singleUplinks(): string[] {
    const { starts } = this.#graph;
    return this.#idsWhere((index) => starts[index + 1]! - starts[index]! === 1);
  }

  #idsWhere(holds: (index: number) => boolean): string[] {
    return this.#nodes.flatMap(({ id }, index) => (holds(index) ? [id] : []));
  }

  /** Ids in order, the largest part first. */
  partitions(): string[][] {
    const parts = Array.from({ length: this.partitionCount }, (): string[] => []);
    for (const [index, { id }] of this.#nodes.entries()) parts[this.#structure.component[index]!]!.push(id);
    for (const part of parts) part.sort();
    return parts.sort((one, other) => other.length - one.length || (one[0]! < other[0]! ? -1 : 1));
  }

  diameterHops(): number | null {
    this.#diameter ??= diameterOf(this.#graph);
    return this.#diameter;
  }
}
