import type { AbstractGraph, Attributes } from "graphology-types";
import { Sigma } from "sigma";
import type { Settings } from "sigma/settings";
import type { DrawnGraph } from "./drawn-graph.ts";

/** A canvas that can be held still: what changes meanwhile is drawn once, at the end. */
export class GraphCanvas<Node extends Attributes, Edge extends Attributes> extends Sigma<Node, Edge> {
  #isHeld = false;

  constructor(graph: DrawnGraph<Node, Edge>, container: HTMLElement, settings: Partial<Settings<Node, Edge>>) {
    // It reads what `DrawnGraph` has; its type asks for the whole library that it was written beside.
    super(graph as unknown as AbstractGraph<Node, Edge>, container, settings);
  }

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    super.scheduleRender();
  }

  override scheduleRender(): this {
    // The first call comes from the constructor of the class above, before this one has its fields.
    if (#isHeld in this && this.#isHeld) return this;
    return super.scheduleRender();
  }
}
