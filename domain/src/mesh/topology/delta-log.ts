/** The newest changes, for who asks what happened since. */
import { type MeshDelta, mergeDeltas } from "./graph.ts";

const MAX_DELTAS = 512;
const MAX_ENTRIES = 100_000;

export class DeltaLog {
  readonly #deltas: MeshDelta[] = [];
  #entries = 0;

  add(delta: MeshDelta): void {
    this.#deltas.push(delta);
    this.#entries += entriesOf(delta);
    while (this.#deltas.length > MAX_DELTAS || this.#entries > MAX_ENTRIES) {
      const oldest = this.#deltas.shift();
      if (oldest === undefined) return;
      this.#entries -= entriesOf(oldest);
    }
  }

  /** `null` = it does not go back so far, or there was no such revision. */
  since(revision: number, newest: number, atMs: number): MeshDelta | null {
    if (revision === newest) {
      const none = { nodes: [], links: [], goneNodeIds: [], goneLinkIds: [], changes: [] };
      return { fromRevision: revision, revision, atMs, ...none };
    }
    const index = this.#deltas.findIndex(({ fromRevision }) => fromRevision === revision);
    const [first, ...rest] = index === -1 ? [] : this.#deltas.slice(index);
    return first === undefined ? null : mergeDeltas([first, ...rest]);
  }
}

function entriesOf({ nodes, links, goneNodeIds, goneLinkIds, changes }: MeshDelta): number {
  return nodes.length + links.length + goneNodeIds.length + goneLinkIds.length + changes.length;
}
