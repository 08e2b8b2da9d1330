/** Whether rules together match every packet of another one. */
import { type Box, subtractBoxes } from "./boxes.ts";
import { contains } from "./range-set.ts";
import type { AskedRule } from "./subject-groups.ts";
import type { WorkBudget } from "./work-budget.ts";

/** Rules that cover a rule together; more are not looked for. */
const MAX_COVERS = 64;
/** Pieces into which a rule may fall while parts of it are taken away. */
const MAX_PIECES = 512;
/** A rule with at most so many single ports is found by port; one with more, or with a range, is always looked at. */
const MAX_INDEXED_PORTS = 8;

/** The rules of one group and direction by port. */
export class RuleIndex {
  readonly #asked: readonly AskedRule[];
  readonly #byPort = new Map<number, number[]>();
  readonly #wide: number[] = [];

  constructor(asked: readonly AskedRule[]) {
    this.#asked = asked;
    for (const [position, { boxes }] of asked.entries()) {
      const ports = singlePorts(boxes);
      if (ports === null) this.#wide.push(position);
      else {
        for (const port of ports) {
          const positions = this.#byPort.get(port);
          if (positions) positions.push(position);
          else this.#byPort.set(port, [position]);
        }
      }
    }
  }

  /** The first rule that matches this packet, of those that may be used. */
  find(atom: number, port: number, mayUse: (position: number) => boolean, budget: WorkBudget): number | null {
    let best: number | null = null;
    for (const positions of [this.#byPort.get(port) ?? [], this.#wide]) {
      for (const position of positions) {
        if (best !== null && position > best) break;
        if (!budget.spend(1)) return null;
        if (!mayUse(position)) continue;
        const { boxes } = this.#asked[position]!;
        if (!boxes.some((box) => contains(box.ports, port) && contains(box.addresses, atom))) continue;
        best = position;
        break;
      }
    }
    return best;
  }

  /** Positions of the rules that may match one of these ports. */
  candidates(boxes: readonly Box[]): readonly number[] {
    const ports = singlePorts(boxes);
    if (ports === null) return this.#asked.map((_, position) => position);
    return [...new Set([...[...ports].flatMap((port) => this.#byPort.get(port) ?? []), ...this.#wide])];
  }
}

function singlePorts(boxes: readonly Box[]): ReadonlySet<number> | null {
  const found = new Set<number>();
  for (const { ports } of boxes) {
    for (let at = 0; at < ports.length; at += 2) {
      if (ports[at + 1]! - ports[at]! > 1 || found.size >= MAX_INDEXED_PORTS) return null;
      found.add(ports[at]!);
    }
  }
  return found;
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
    if (!cover || !budget.spend(rest.length)) return null;
    covers.push(cover);
    rest = subtractBoxes(rest, cover.boxes);
  }
  return covers;
}
