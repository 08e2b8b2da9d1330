/** Whether rules together match every packet of another one. */
import { type Box, subtractBoxes, weightOf } from "./boxes.ts";
import { contains, type RangeSet, sizeOf } from "./range-set.ts";
import type { AskedRule } from "./subject-groups.ts";
import type { WorkBudget } from "./work-budget.ts";

/** Rules that cover a rule together; more are not looked for. */
const MAX_COVERS = 64;
/** Pieces into which a rule may fall while parts of it are taken away. */
const MAX_PIECES = 512;
/** A rule with more of them than this is always looked at. */
const MAX_INDEXED_PORTS = 8;
const MAX_INDEXED_ADDRESSES = 64;

/** Positions by number, and those of rules that have too many numbers to be found by one. */
class NumberIndex {
  readonly #byNumber = new Map<number, number[]>();
  readonly #wide: number[] = [];

  add(position: number, numbers: ReadonlySet<number> | null): void {
    if (numbers === null) this.#wide.push(position);
    for (const number of numbers ?? []) {
      const positions = this.#byNumber.get(number);
      if (positions) positions.push(position);
      else this.#byNumber.set(number, [position]);
    }
  }

  /** Two lists, each ascending: together all rules that may have the number. */
  at(number: number): readonly [readonly number[], readonly number[]] {
    return [this.#byNumber.get(number) ?? [], this.#wide];
  }
}

/** The rules of one group and direction by port and by address. */
export class RuleIndex {
  readonly #asked: readonly AskedRule[];
  readonly #byPort = new NumberIndex();
  readonly #byAddress = new NumberIndex();

  constructor(asked: readonly AskedRule[]) {
    this.#asked = asked;
    for (const [position, { boxes }] of asked.entries()) {
      this.#byPort.add(
        position,
        fewNumbers(
          boxes.map(({ ports }) => ports),
          MAX_INDEXED_PORTS,
        ),
      );
      this.#byAddress.add(
        position,
        fewNumbers(
          boxes.map(({ addresses }) => addresses),
          MAX_INDEXED_ADDRESSES,
        ),
      );
    }
  }

  /** The first rule that matches this packet, of those that may be used. */
  find(atom: number, port: number, mayUse: (position: number) => boolean, budget: WorkBudget): number | null {
    const byPort = this.#byPort.at(port);
    const byAddress = this.#byAddress.at(atom);
    const isFewer = byAddress[0].length + byAddress[1].length < byPort[0].length + byPort[1].length;
    let best: number | null = null;
    for (const positions of isFewer ? byAddress : byPort) {
      for (const position of positions) {
        if (best !== null && position > best) break;
        const { boxes } = this.#asked[position]!;
        if (!budget.spend(boxes.length)) return null;
        if (!boxes.some((box) => contains(box.ports, port) && contains(box.addresses, atom))) continue;
        if (!mayUse(position)) continue;
        best = position;
        break;
      }
    }
    return best;
  }

  /** Positions of the rules that may match one of these ports. */
  candidates(boxes: readonly Box[]): readonly number[] {
    const ports = fewNumbers(
      boxes.map((box) => box.ports),
      MAX_INDEXED_PORTS,
    );
    if (ports === null) return this.#asked.map((_, position) => position);
    return [...new Set([...ports].flatMap((port) => this.#byPort.at(port).flat()))];
  }
}

/** The numbers of the sets, or `null` when they are more than the limit. */
function fewNumbers(sets: readonly RangeSet[], limit: number): ReadonlySet<number> | null {
  const found = new Set<number>();
  for (const set of sets) {
    if (sizeOf(set) > limit) return null;
    for (let at = 0; at < set.length; at += 2) {
      for (let number = set[at]!; number < set[at + 1]!; number += 1) found.add(number);
    }
  }
  return found.size <= limit ? found : null;
}

/**
 * The rules that together match every packet of `target`; `null` when they do not, or when it took too much work to say.
 * Goes from one packet that is not covered yet to the next, so that it stops at the first that no rule matches.
 */
export function coversOf(
  target: readonly Box[],
  asked: readonly AskedRule[],
  index: RuleIndex,
  mayUse: (position: number) => boolean,
  budget: WorkBudget,
): readonly AskedRule[] | null {
  const covers: AskedRule[] = [];
  let rest = target;
  while (rest.length > 0) {
    const [{ addresses, ports }] = rest as [Box];
    if (covers.length >= MAX_COVERS || rest.length > MAX_PIECES) return null;
    const position = index.find(addresses[0]!, ports[0]!, mayUse, budget);
    const cover = position === null ? undefined : asked[position];
    if (!cover || !budget.spend(weightOf(rest) + weightOf(cover.boxes))) return null;
    covers.push(cover);
    rest = subtractBoxes(rest, cover.boxes);
  }
  return covers;
}
