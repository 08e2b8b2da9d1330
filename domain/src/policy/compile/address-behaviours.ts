/**
 * What addresses in some units mean to all views of a host together: one port table in each. Answers are kept for the next
 * program of the same host, as far as its views are still of the same rules.
 */
import { withRoom } from "./growing.ts";
import type { UnitTable } from "./units.ts";
import type { View } from "./view.ts";

const UNKNOWN = -1;

/** What addresses with the signature meant before. */
export interface BehaviourChange {
  readonly signature: number;
  readonly behaviour: number;
}

export class AddressBehaviours {
  count = 0;
  viewCount = 0;
  readonly #units: UnitTable;
  #views: readonly View[] = [];
  /** By number of the signature. */
  #ofSignature = new Int32Array(0);
  /** The tables of each behaviour, one for each view. */
  #tables = new Int32Array(64);
  /** Open addressing; at most half full. */
  #slots = new Int32Array(128).fill(UNKNOWN);

  constructor(units: UnitTable) {
    this.#units = units;
  }

  /**
   * Forgets what was answered for other views, and what of it is no longer so: that is returned, or `null` when everything
   * is forgotten.
   */
  startWith(views: readonly View[]): readonly BehaviourChange[] | null {
    const changed = changedUnits(this.#views, views);
    this.#views = views;
    this.viewCount = views.length;
    if (changed === null) {
      this.#ofSignature.fill(UNKNOWN);
      this.#slots.fill(UNKNOWN);
      this.count = 0;
      return null;
    }
    const changes: BehaviourChange[] = [];
    for (const signature of this.#units.signaturesWith(changed)) {
      const behaviour = this.#ofSignature[signature] ?? UNKNOWN;
      if (behaviour === UNKNOWN) continue;
      this.#ofSignature[signature] = UNKNOWN;
      changes.push({ signature, behaviour });
    }
    return changes;
  }

  /** Whether some signature has the behaviour, as far as is known. */
  isUsed(behaviour: number): boolean {
    return this.#ofSignature.includes(behaviour);
  }

  /** Whether no other signature has the behaviour, as far as is known. */
  isOnlyOf(behaviour: number, signature: number): boolean {
    const first = this.#ofSignature.indexOf(behaviour);
    return first === signature && !this.#ofSignature.includes(behaviour, signature + 1);
  }

  /** The number of the behaviour of addresses with this signature. */
  of(signature: number): number {
    const known = this.#ofSignature[signature] ?? UNKNOWN;
    if (known !== UNKNOWN) return known;
    const units = this.#units.signature(signature);
    const start = this.count * this.viewCount;
    this.#tables = withRoom(this.#tables, start + this.viewCount, 0);
    for (let view = 0; view < this.viewCount; view++) {
      this.#tables[start + view] = this.#views[view]?.tableOf(units) ?? 0;
    }
    const behaviour = this.#intern(start);
    this.#ofSignature = withRoom(this.#ofSignature, signature + 1, UNKNOWN);
    this.#ofSignature[signature] = behaviour;
    return behaviour;
  }

  /** `view`: its place among those of `startWith`. */
  tableOf(behaviour: number, view: number): number {
    return this.#tables[behaviour * this.viewCount + view] ?? 0;
  }

  /** The tables stand behind those of the last behaviour. */
  #intern(start: number): number {
    const mask = this.#slots.length - 1;
    let slot = this.#hashFrom(start) & mask;
    for (let other = this.#slots[slot] ?? UNKNOWN; other !== UNKNOWN; other = this.#slots[slot] ?? UNKNOWN) {
      if (this.#isEqual(other * this.viewCount, start)) return other;
      slot = (slot + 1) & mask;
    }
    const behaviour = this.count++;
    this.#slots[slot] = behaviour;
    if (2 * this.count > this.#slots.length) this.#rehash();
    return behaviour;
  }

  #hashFrom(start: number): number {
    let hash = 0x811c9dc5;
    for (let at = start; at < start + this.viewCount; at++) {
      hash = Math.imul(hash ^ (this.#tables[at] ?? 0), 0x85ebca6b);
      hash ^= hash >>> 13;
    }
    return hash ^ (hash >>> 16);
  }

  #isEqual(one: number, other: number): boolean {
    for (let place = 0; place < this.viewCount; place++) {
      if (this.#tables[one + place] !== this.#tables[other + place]) return false;
    }
    return true;
  }

  #rehash(): void {
    const slots = new Int32Array(2 * this.#slots.length).fill(UNKNOWN);
    const mask = slots.length - 1;
    for (let behaviour = 0; behaviour < this.count; behaviour++) {
      let slot = this.#hashFrom(behaviour * this.viewCount) & mask;
      while (slots[slot] !== UNKNOWN) slot = (slot + 1) & mask;
      slots[slot] = behaviour;
    }
    this.#slots = slots;
  }
}

/** Units that mean something else to the views than to those before them; `null` = everything does. */
function changedUnits(before: readonly View[], views: readonly View[]): ReadonlySet<number> | null {
  if (before.length !== views.length) return null;
  const changed = new Set<number>();
  for (const [place, view] of views.entries()) {
    if (view === before[place]) continue;
    const { succession } = view;
    if (succession === null || succession.before !== before[place]?.id || succession.changedUnits === null) return null;
    for (const unit of succession.changedUnits) changed.add(unit);
  }
  return changed;
}
