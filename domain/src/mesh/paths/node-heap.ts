/** Nodes by distance, the nearest first. A node whose distance shrank is pushed again: it rises from where it is. */
export class NodeHeap {
  readonly #distance: Float64Array;
  readonly #heap: Int32Array;
  /** Where a node is in the heap, from 1; 0 = it is not. */
  readonly #place: Int32Array;
  #size = 0;

  constructor(distance: Float64Array) {
    this.#distance = distance;
    this.#heap = new Int32Array(distance.length);
    this.#place = new Int32Array(distance.length);
  }

  push(node: number): void {
    const place = this.#place[node]!;
    this.#rise(place === 0 ? this.#size++ : place - 1, node);
  }

  /** The nearest; -1 = there is none. */
  pop(): number {
    if (this.#size === 0) return -1;
    const nearest = this.#heap[0]!;
    this.#place[nearest] = 0;
    this.#size--;
    if (this.#size > 0) this.#sink(this.#heap[this.#size]!);
    return nearest;
  }

  #rise(from: number, node: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#distance[this.#heap[parent]!]! <= this.#distance[node]!) break;
      this.#put(at, this.#heap[parent]!);
      at = parent;
    }
    this.#put(at, node);
  }

  #sink(node: number): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      const right = child + 1;
      const isRightNearer =
        right < this.#size && this.#distance[this.#heap[right]!]! < this.#distance[this.#heap[child]!]!;
      if (isRightNearer) child = right;
      if (this.#distance[this.#heap[child]!]! >= this.#distance[node]!) break;
      this.#put(at, this.#heap[child]!);
      at = child;
    }
    this.#put(at, node);
  }

  #put(at: number, node: number): void {
    this.#heap[at] = node;
    this.#place[node] = at + 1;
  }
}
