/** The rules that one set of policies asks of a view, by the units of addresses that they name. */
import type { PortRanges } from "./cells.ts";
import type { Ends } from "./paint.ts";
import { compareTerms, type ExpandedRule, type Term } from "./rule-expander.ts";
import { UnitTerms } from "./unit-terms.ts";
import { ANY_ADDRESS } from "./units.ts";

/** What a view is made of. */
export interface Questions {
  /** The rules of each policy, in canonical order. */
  readonly rules: readonly (readonly ExpandedRule[])[];
  readonly ends: Ends;
}

/** What going on with other questions has changed. */
export interface PlanChanges {
  /** Units of which other terms have to do with; `null` = all addresses, named or not. */
  readonly units: ReadonlySet<number> | null;
  /** Whether units are named that were not, or the other way round. */
  readonly namesOthers: boolean;
}

const NOTHING_CHANGED: PlanChanges = { units: new Set(), namesOthers: false };
const NOTHING: readonly Term[] = [];

export class ViewPlan {
  /** Of all terms together. */
  rangeCount = 0;
  #questions: Questions;
  /** Terms in order. Most units are of one term alone. */
  readonly #byUnit: UnitTerms;

  /** `unitCount`: how many units there are. */
  constructor(questions: Questions, unitCount: number) {
    this.#questions = questions;
    this.#byUnit = new UnitTerms(countTerms(questions), unitCount);
    for (const rules of questions.rules) for (const rule of rules) for (const term of rule.terms) this.#append(term);
  }

  get ends(): Ends {
    return this.#questions.ends;
  }

  /** All that are named; not {@link ANY_ADDRESS}. */
  units(): Iterable<number> {
    return this.#byUnit.keys();
  }

  *allPorts(): Iterable<PortRanges> {
    for (const rules of this.#questions.rules)
      for (const rule of rules) for (const { ports } of rule.terms) yield ports;
  }

  /** The terms that match addresses in these units, in order. Not to be changed. */
  match(signature: readonly number[]): readonly Term[] {
    let matched = this.#termsOf(ANY_ADDRESS);
    let isMerged = false;
    for (const unit of signature) {
      const own = this.#byUnit.get(unit);
      if (own === undefined) continue;
      if (matched.length === 0) matched = Array.isArray(own) ? own : [own];
      else {
        matched = isMerged ? matched : [...matched];
        isMerged = true;
        if (Array.isArray(own)) for (const term of own) (matched as Term[]).push(term);
        else (matched as Term[]).push(own);
      }
    }
    return isMerged ? inOrder(matched as Term[]) : matched;
  }

  #termsOf(unit: number): readonly Term[] {
    const own = this.#byUnit.get(unit);
    return own === undefined ? NOTHING : Array.isArray(own) ? own : [own];
  }

  /** Goes on with other questions, in the time that the difference takes. */
  update(next: Questions): PlanChanges {
    const before = this.#questions;
    this.#questions = next;
    const isSameEnd = before.ends.isolated === next.ends.isolated && before.ends.notIsolated === next.ends.notIsolated;
    let [start, end, nextEnd] = [0, before.rules.length, next.rules.length];
    while (start < end && start < nextEnd && before.rules[start] === next.rules[start]) start++;
    while (end > start && nextEnd > start && before.rules[end - 1] === next.rules[nextEnd - 1]) {
      end--;
      nextEnd--;
    }
    if (start === end && start === nextEnd) return isSameEnd ? NOTHING_CHANGED : { units: null, namesOthers: false };
    /** And whether they were named. */
    const touched = new Map<number, boolean>();
    const gone = termsWithout(before, start, end, next, nextEnd);
    const come = termsWithout(next, start, nextEnd, before, end);
    for (const { units } of [...gone, ...come]) for (const unit of units) touched.set(unit, this.#byUnit.has(unit));
    for (const term of gone) {
      for (const unit of term.units) this.#remove(unit, term);
      this.rangeCount -= term.ports?.length ?? 1;
    }
    for (const term of come) {
      for (const unit of term.units) this.#insert(unit, term);
      this.rangeCount += term.ports?.length ?? 1;
    }
    let namesOthers = false;
    for (const [unit, wasNamed] of touched) if (wasNamed !== this.#byUnit.has(unit)) namesOthers = true;
    const reachesAll = !isSameEnd || touched.has(ANY_ADDRESS);
    return { units: reachesAll ? null : new Set(touched.keys()), namesOthers };
  }

  #append(term: Term): void {
    this.rangeCount += term.ports?.length ?? 1;
    for (const unit of term.units) {
      const own = this.#byUnit.get(unit);
      if (own === undefined) this.#byUnit.set(unit, term);
      else if (Array.isArray(own)) own.push(term);
      else this.#byUnit.set(unit, [own, term]);
    }
  }

  #insert(unit: number, term: Term): void {
    const own = this.#byUnit.get(unit);
    if (own === undefined) {
      this.#byUnit.set(unit, term);
      return;
    }
    const terms = Array.isArray(own) ? own : [own];
    let [low, high] = [0, terms.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareTerms(terms[middle] as Term, term) < 0) low = middle + 1;
      else high = middle;
    }
    terms.splice(low, 0, term);
    this.#byUnit.set(unit, terms);
  }

  #remove(unit: number, term: Term): void {
    const own = this.#byUnit.get(unit);
    if (Array.isArray(own)) {
      const place = own.indexOf(term);
      if (place >= 0) own.splice(place, 1);
      if (own.length === 0) this.#byUnit.delete(unit);
    } else if (own === term) this.#byUnit.delete(unit);
  }
}

function countTerms({ rules }: Questions): number {
  let count = 0;
  for (const own of rules) count += own.length;
  return count;
}

/** The terms of these rules that are not among the others at the same place. */
function termsWithout(one: Questions, start: number, end: number, other: Questions, otherEnd: number): readonly Term[] {
  const isPairwise = end === otherEnd;
  const terms: Term[] = [];
  for (let place = start; place < end; place++) {
    const own = one.rules[place] ?? [];
    const theirs = isPairwise ? other.rules[place] : undefined;
    for (const [position, rule] of own.entries()) {
      if (theirs?.[position] !== rule) for (const term of rule.terms) terms.push(term);
    }
  }
  return terms;
}

/** Sorted, each once. */
function inOrder(terms: Term[]): readonly Term[] {
  terms.sort(compareTerms);
  return terms.filter((term, place) => term !== terms[place - 1]);
}
