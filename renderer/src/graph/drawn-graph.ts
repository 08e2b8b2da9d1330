/**
 * The nodes and lines of a picture, as sigma reads them: it asks for keys, attributes and ends, and listens for changes.
 * Every name here is one that sigma calls (`addUndirectedEdgeWithKey`, `dropNode` and `multi` are how it knows a graph);
 * a library of graphs has forty times as much code, for questions that nobody asks here.
 */

/** What sigma is told, and of which key. */
interface Changes {
  readonly nodeAdded: { readonly key: string };
  readonly nodeDropped: { readonly key: string };
  readonly nodeAttributesUpdated: { readonly key: string };
  readonly edgeAdded: { readonly key: string };
  readonly edgeDropped: { readonly key: string };
  readonly edgeAttributesUpdated: { readonly key: string };
  readonly cleared: undefined;
}
type Listener = (change: unknown) => void;

interface Edge<Attributes> {
  readonly ends: readonly [string, string];
  attributes: Attributes;
}

export class DrawnGraph<NodeAttributes extends object, EdgeAttributes extends object> {
  /** Two nodes may have several lines between them. */
  readonly multi = true;
  readonly #nodes = new Map<string, NodeAttributes>();
  readonly #edges = new Map<string, Edge<EdgeAttributes>>();
  readonly #listeners = new Map<string, Set<Listener>>();

  /** How many nodes there are. */
  get order(): number {
    return this.#nodes.size;
  }

  hasNode(key: string): boolean {
    return this.#nodes.has(key);
  }

  hasEdge(key: string): boolean {
    return this.#edges.has(key);
  }

  nodes(): string[] {
    return [...this.#nodes.keys()];
  }

  edges(): string[] {
    return [...this.#edges.keys()];
  }

  forEachNode(visit: (key: string, attributes: NodeAttributes) => void): void {
    for (const [key, attributes] of this.#nodes) visit(key, attributes);
  }

  forEachEdge(visit: (key: string, attributes: EdgeAttributes, source: string, target: string) => void): void {
    for (const [key, { attributes, ends }] of this.#edges) visit(key, attributes, ...ends);
  }

  /** @throws Error when there is no such node, like everything here that is asked about one. */
  getNodeAttributes(key: string): NodeAttributes {
    return this.#nodes.get(key) ?? missing("node", key);
  }

  getEdgeAttributes(key: string): EdgeAttributes {
    return this.#edge(key).attributes;
  }

  extremities(key: string): readonly [string, string] {
    return this.#edge(key).ends;
  }

  /** @throws Error when the node is there already. */
  addNode(key: string, attributes: NodeAttributes): void {
    if (this.#nodes.has(key)) throw new Error(`The picture has the node ${key} already.`);
    this.#nodes.set(key, { ...attributes });
    this.#tell("nodeAdded", { key });
  }

  /** @throws Error when the line is there already, or one of its ends is not. */
  addUndirectedEdgeWithKey(key: string, source: string, target: string, attributes: EdgeAttributes): void {
    if (this.#edges.has(key)) throw new Error(`The picture has the line ${key} already.`);
    for (const end of [source, target]) if (!this.#nodes.has(end)) missing("node", end);
    this.#edges.set(key, { ends: [source, target], attributes: { ...attributes } });
    this.#tell("edgeAdded", { key });
  }

  setNodeAttributes(key: string, attributes: Partial<NodeAttributes>): void {
    this.#nodes.set(key, { ...this.getNodeAttributes(key), ...attributes });
    this.#tell("nodeAttributesUpdated", { key });
  }

  setEdgeAttributes(key: string, attributes: Partial<EdgeAttributes>): void {
    const edge = this.#edge(key);
    edge.attributes = { ...edge.attributes, ...attributes };
    this.#tell("edgeAttributesUpdated", { key });
  }

  /** With the lines that end at it. */
  dropNode(key: string): void {
    this.getNodeAttributes(key);
    for (const [edge, { ends }] of this.#edges) {
      if (!ends.includes(key)) continue;
      this.#edges.delete(edge);
      this.#tell("edgeDropped", { key: edge });
    }
    this.#nodes.delete(key);
    this.#tell("nodeDropped", { key });
  }

  clear(): void {
    this.#edges.clear();
    this.#nodes.clear();
    this.#tell("cleared", undefined);
  }

  on(change: string, listener: Listener): this {
    const listeners = this.#listeners.get(change) ?? new Set();
    this.#listeners.set(change, listeners.add(listener));
    return this;
  }

  removeListener(change: string, listener: Listener): this {
    this.#listeners.get(change)?.delete(listener);
    return this;
  }

  #edge(key: string): Edge<EdgeAttributes> {
    return this.#edges.get(key) ?? missing("line", key);
  }

  #tell<Name extends keyof Changes>(name: Name, change: Changes[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(change);
  }
}

function missing(kind: string, key: string): never {
  throw new Error(`The picture has no ${kind} ${key}.`);
}
