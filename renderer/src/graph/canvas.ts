import type { Attributes } from "graphology-types";
import { Sigma } from "sigma";

/** A canvas that can be held still: what changes meanwhile is drawn once, at the end. */
export class GraphCanvas<Node extends Attributes, Edge extends Attributes> extends Sigma<Node, Edge> {
  #isHeld = false;

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
