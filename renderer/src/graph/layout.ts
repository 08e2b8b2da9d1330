/**
 * Where nodes lie: our own layout, in small steps so that the window never stands still. New meshes begin with the two main
 * axes of distances to a few far nodes, then forces pull linked nodes together and push near ones apart. Nodes with a
 * place keep it: only new ones move. The same mesh gives the same picture: nothing is random.
 */
import { type Graph, graphOf } from "./layout-graph.ts";
import { firstPlaces } from "./layout-start.ts";

export interface Place {
  readonly x: number;
  readonly y: number;
}

/** How far apart linked nodes want to be. */
export const LINK_LENGTH = 100;
const REACH = LINK_LENGTH * 2.2;
const ITERATIONS = 90;
const MANY_LINKS = 10;
/** How much more each further link of such a node gives way. */
const CRUSH = 1;
const ITERATIONS_OF_FEW = 40;

type Phase = "sort" | "repel" | "attract" | "move";

export class GraphLayout {
  readonly #graph: Graph;
  readonly #x: Float64Array;
  readonly #y: Float64Array;
  readonly #forceX: Float64Array;
  readonly #forceY: Float64Array;
  readonly #isFixed: Uint8Array;
  readonly #cells = new Map<number, number[]>();
  readonly #iterations: number;
  #iteration = 0;
  #phase: Phase = "sort";
  #next = 0;

  constructor(
    nodeIds: readonly string[],
    links: readonly { readonly a: string; readonly b: string }[],
    known: ReadonlyMap<string, Place>,
  ) {
    this.#graph = graphOf(nodeIds, links);
    const count = nodeIds.length;
    this.#forceX = new Float64Array(count);
    this.#forceY = new Float64Array(count);
    this.#isFixed = new Uint8Array(count);
    const knownCount = nodeIds.reduce((sum, id) => sum + (known.has(id) ? 1 : 0), 0);
    // Around a few known places a whole new mesh would be crammed: then it is laid out as a new one.
    const keepsKnown = knownCount > 0 && knownCount * 2 >= count;
    const start = firstPlaces(this.#graph, keepsKnown ? known : new Map(), LINK_LENGTH);
    this.#x = start.x;
    this.#y = start.y;
    if (keepsKnown) for (const [index, id] of nodeIds.entries()) this.#isFixed[index] = known.has(id) ? 1 : 0;
    this.#iterations = knownCount === count && keepsKnown ? 0 : keepsKnown ? ITERATIONS_OF_FEW : ITERATIONS;
  }

  /** 0 to 1. */
  get progress(): number {
    return this.#iterations === 0 ? 1 : this.#iteration / this.#iterations;
  }

  get isDone(): boolean {
    return this.#iteration >= this.#iterations;
  }

  /** Goes on for about `work` looks at a node, a link or a pair of near nodes, and says whether it is done. */
  step(work: number): boolean {
    let left = work;
    while (left > 0 && !this.isDone) left -= this.#part(left);
    return this.isDone;
  }

  place(id: string): Place | undefined {
    const index = this.#graph.indexOf.get(id);
    return index === undefined ? undefined : { x: this.#x[index] ?? 0, y: this.#y[index] ?? 0 };
  }

  /** Does about `limit` of the phase; returns how much it was. Where nodes lie close a single one may cost as many pairs. */
  #part(limit: number): number {
    const total = this.#phase === "attract" ? this.#graph.pairs.length / 2 : this.#graph.ids.length;
    let work = 0;
    while (this.#next < total && work < limit) {
      const index = this.#next++;
      work += 1;
      if (this.#phase === "sort") this.#sort(index);
      else if (this.#phase === "repel") work += this.#repel(index);
      else if (this.#phase === "attract") this.#attract(index);
      else this.#move(index);
    }
    if (this.#next >= total) this.#advance();
    return Math.max(1, work);
  }

  #advance(): void {
    this.#next = 0;
    if (this.#phase === "sort") this.#phase = "repel";
    else if (this.#phase === "repel") this.#phase = "attract";
    else if (this.#phase === "attract") this.#phase = "move";
    else {
      this.#phase = "sort";
      this.#cells.clear();
      this.#iteration += 1;
    }
  }

  #cellOf(index: number): readonly [number, number] {
    return [Math.floor((this.#x[index] ?? 0) / REACH), Math.floor((this.#y[index] ?? 0) / REACH)];
  }

  #sort(index: number): void {
    const key = cellKey(...this.#cellOf(index));
    const cell = this.#cells.get(key);
    if (cell) cell.push(index);
    else this.#cells.set(key, [index]);
  }

  /** Returns how many others were looked at. */
  #repel(index: number): number {
    if (this.#isFixed[index] === 1) return 0;
    let looks = 0;
    const x = this.#x[index] ?? 0;
    const y = this.#y[index] ?? 0;
    const [column, row] = this.#cellOf(index);
    let forceX = 0;
    let forceY = 0;
    for (let dx = -1; dx <= 1; dx++) {
      for (let dy = -1; dy <= 1; dy++) {
        for (const other of this.#cells.get(cellKey(column + dx, row + dy)) ?? []) {
          looks += 1;
          if (other === index) continue;
          // Two on one spot part in a direction that depends on which they are.
          const apartX = x - (this.#x[other] ?? 0) || (index - other) * 0.01;
          const apartY = y - (this.#y[other] ?? 0) || (other - index) * 0.013;
          const squared = apartX * apartX + apartY * apartY;
          if (squared > REACH * REACH) continue;
          const push = (LINK_LENGTH * LINK_LENGTH) / (squared + 25);
          forceX += apartX * push;
          forceY += apartY * push;
        }
      }
    }
    this.#forceX[index] = (this.#forceX[index] ?? 0) + forceX;
    this.#forceY[index] = (this.#forceY[index] ?? 0) + forceY;
    return looks;
  }

  #attract(pair: number): void {
    const { pairs, degree } = this.#graph;
    const a = pairs[pair * 2] ?? 0;
    const b = pairs[pair * 2 + 1] ?? 0;
    const apartX = (this.#x[b] ?? 0) - (this.#x[a] ?? 0);
    const apartY = (this.#y[b] ?? 0) - (this.#y[a] ?? 0);
    const distance = Math.sqrt(apartX * apartX + apartY * apartY) || 1;
    // A node with many links is not torn by each of them; with very many it would be crushed by all.
    const links = Math.min(degree[a] ?? 1, degree[b] ?? 1);
    const share = 1 + links * 0.12 + Math.max(0, links - MANY_LINKS) * CRUSH;
    const pull = (distance - LINK_LENGTH * 0.7) / distance / share;
    this.#forceX[a] = (this.#forceX[a] ?? 0) + apartX * pull;
    this.#forceY[a] = (this.#forceY[a] ?? 0) + apartY * pull;
    this.#forceX[b] = (this.#forceX[b] ?? 0) - apartX * pull;
    this.#forceY[b] = (this.#forceY[b] ?? 0) - apartY * pull;
  }

  #move(index: number): void {
    const forceX = this.#forceX[index] ?? 0;
    const forceY = this.#forceY[index] ?? 0;
    this.#forceX[index] = 0;
    this.#forceY[index] = 0;
    if (this.#isFixed[index] === 1) return;
    const length = Math.sqrt(forceX * forceX + forceY * forceY);
    if (length === 0) return;
    const heat = LINK_LENGTH * (0.5 * (1 - this.#iteration / this.#iterations) + 0.02);
    const scale = Math.min(heat, length * 0.25) / length;
    this.#x[index] = (this.#x[index] ?? 0) + forceX * scale;
    this.#y[index] = (this.#y[index] ?? 0) + forceY * scale;
  }
}

/** Exact for some 60,000 cells each way. */
const cellKey = (column: number, row: number) => column * 65_536 + row;
