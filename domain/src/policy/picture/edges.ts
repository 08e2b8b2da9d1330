/** What is between two nodes, exactly: every pair of their places is asked, and most of them share an answer. */
import type { AccessModel } from "../access/index.ts";
import { hasValue, mapSpace } from "../access/port-space.ts";
import type { DecisionContent } from "../decision.ts";
import type { AccessKind, PictureSide } from "./model.ts";
import type { Place } from "./places.ts";
import type { PortSets } from "./port-sets.ts";

/** Pairs of places that are asked in one step: well under a millisecond. */
export const PAIRS_IN_STEP = 1_024;

/** What the draft says of pairs of places. */
interface DraftAnswer {
  readonly number: number;
  /** Of ports, see {@link PortSets}. */
  readonly ports: number;
  readonly byRule: boolean;
  readonly isObserved: boolean;
  readonly isUnrestricted: boolean;
}

/** What one end of the draft says of ports, as far as an edge asks. Sets of ports by number. */
interface DraftSide {
  readonly number: number;
  readonly allowed: number;
  /** Among them: by a rule, and such that a policy in observe mode would deny. */
  readonly ruled: number;
  readonly observed: number;
  /** Nothing restricts it. */
  readonly isOpen: boolean;
}

interface Answer {
  readonly draft: DraftAnswer;
  /** Of ports; where one end is unknown, what the other one lets through. */
  readonly enforced: number;
  readonly isUnknown: boolean;
}

/** How many pairs of addresses have an answer. */
export interface AnswerCount {
  readonly answer: Answer;
  pairs: number;
}

export class EdgeBook {
  readonly sets: PortSets;
  readonly #draft: AccessModel;
  readonly #worlds: readonly AccessModel[];
  readonly #sideOfSpace: DraftSide[] = [];
  readonly #sides = new Map<string, DraftSide>();
  /** By the number of the source's side, then of the destination's: small numbers, as large ones cost an object each. */
  readonly #draftAnswers: Map<number, DraftAnswer>[] = [];
  /** By the number of the draft's answer. */
  readonly #answers: Map<number, Answer>[] = [];
  #draftAnswerCount = 0;

  constructor(draft: AccessModel, worlds: readonly AccessModel[], sets: PortSets) {
    this.#draft = draft;
    this.#worlds = worlds;
    this.sets = sets;
  }

  /** Every answer of the pairs of these places, with how many pairs have it; empty = there is no pair. */
  *inSteps(sources: readonly Place[], destinations: readonly Place[]): Generator<void, readonly AnswerCount[]> {
    const counts: AnswerCount[] = [];
    for (const from of sources) {
      for (let start = 0; start < destinations.length; start += PAIRS_IN_STEP) {
        this.between([from], destinations.slice(start, start + PAIRS_IN_STEP), counts);
        yield;
      }
    }
    return counts;
  }

  /** The same at once. */
  between(
    sources: readonly Place[],
    destinations: readonly Place[],
    counts: AnswerCount[] = [],
  ): readonly AnswerCount[] {
    for (const from of sources) {
      for (const to of destinations) {
        const pairs = pairsOf(from, to);
        if (pairs === 0) continue;
        const answer = this.#ask(from, to);
        const known = counts.find((each) => each.answer === answer);
        if (known) known.pairs += pairs;
        else counts.push({ answer, pairs });
      }
    }
    return counts;
  }

  #ask(from: Place, to: Place): Answer {
    const egress = from.draft.views.egress.policySpaceOf(to.draft.addressClass);
    const ingress = to.draft.views.ingress.policySpaceOf(from.draft.addressClass);
    const draft = this.#draftAnswer(this.#draftSide(egress), this.#draftSide(ingress));
    const sent = this.#enforcedAt(from, to, "egress");
    const received = this.#enforcedAt(to, from, "ingress");
    const enforced = this.sets.both(sent ?? this.sets.all, received ?? this.sets.all);
    const isUnknown = (sent === null || received === null) && enforced !== this.sets.none;
    let known = this.#answers[draft.number];
    if (!known) {
      known = new Map();
      this.#answers[draft.number] = known;
    }
    const key = enforced * 2 + (isUnknown ? 1 : 0);
    let answer = known.get(key);
    if (!answer) {
      answer = { draft, enforced, isUnknown };
      known.set(key, answer);
    }
    return answer;
  }

  /** `null` = nobody knows. */
  #enforcedAt(own: Place, other: Place, direction: "ingress" | "egress"): number | null {
    const { enforcer } = own;
    if (enforcer === "nothing") return this.sets.all;
    if (enforcer === "unknown") return null;
    const [world, standing, remote] = [this.#worlds[enforcer], own.enforced[enforcer], other.enforced[enforcer]];
    if (!world || !standing || !remote) throw new Error(`there is no enforced world ${enforcer}`);
    return this.sets.allowedBy(world, standing.views[direction].policySpaceOf(remote.addressClass));
  }

  /** Of the sides of both ends: there are few different ones, however many spaces there are. */
  #draftAnswer(egress: DraftSide, ingress: DraftSide): DraftAnswer {
    let known = this.#draftAnswers[egress.number];
    if (!known) {
      known = new Map();
      this.#draftAnswers[egress.number] = known;
    }
    let answer = known.get(ingress.number);
    if (!answer) {
      const { sets } = this;
      const isPart = (one: number, other: number) => !sets.isEmpty(sets.both(one, other));
      answer = {
        number: this.#draftAnswerCount++,
        ports: sets.both(egress.allowed, ingress.allowed),
        byRule: isPart(egress.ruled, ingress.allowed) || isPart(egress.allowed, ingress.ruled),
        isObserved: isPart(egress.observed, ingress.allowed) || isPart(egress.allowed, ingress.observed),
        isUnrestricted: egress.isOpen && ingress.isOpen,
      };
      known.set(ingress.number, answer);
    }
    return answer;
  }

  #draftSide(space: number): DraftSide {
    let side = this.#sideOfSpace[space];
    if (!side) {
      side = this.#readSide(space);
      this.#sideOfSpace[space] = side;
    }
    return side;
  }

  #readSide(space: number): DraftSide {
    const { decisions, spaces } = this.#draft;
    const own = spaces.space(space);
    const where = (holds: (decision: DecisionContent) => boolean): number =>
      this.sets.intern(mapSpace(own, (decision) => decisions.allows(decision) && holds(decisions.content(decision))));
    const allowed = this.sets.allowedBy(this.#draft, space);
    const ruled = where(({ reason }) => reason === "rule");
    const observed = where(({ observeOnly, verdict }) => observeOnly && verdict === "deny");
    const isOpen = !hasValue(own, (decision) => decisions.content(decision).reason !== "not-isolated");
    const key = `${allowed} ${ruled} ${observed} ${isOpen}`;
    const known = this.#sides.get(key) ?? { number: this.#sides.size, allowed, ruled, observed, isOpen };
    this.#sides.set(key, known);
    return known;
  }
}

/** Pairs at different addresses of one family; two addresses of no endpoint are nobody's business. */
function pairsOf(from: Place, to: Place): number {
  if (from.family !== to.family || (from.isOutside && to.isOutside)) return 0;
  const pairs = from.count * to.count;
  if (from.draft.addressClass !== to.draft.addressClass || from.isOutside || to.isOutside) return pairs;
  let same = 0;
  const [few, many] = from.addresses.size < to.addresses.size ? [from, to] : [to, from];
  for (const [address, count] of few.addresses) same += count * (many.addresses.get(address) ?? 0);
  return pairs - same;
}

/** What is known of an edge before flows are looked at. Numbers of sets of ports; see {@link PortSets}. */
export interface EdgeAccess {
  readonly pairs: number;
  readonly draft: number;
  readonly opens: number;
  readonly closes: number;
  readonly byRule: boolean;
  readonly isUnrestricted: boolean;
  readonly counts: readonly AnswerCount[];
}

/** `null` = there is no pair. */
export function summarizeAnswers(sets: PortSets, counts: readonly AnswerCount[]): EdgeAccess | null {
  if (counts.length === 0) return null;
  let [draft, opens, closes, pairs] = [sets.none, sets.none, sets.none, 0];
  for (const { answer, pairs: own } of counts) {
    pairs += own;
    draft = sets.either(draft, answer.draft.ports);
    opens = sets.either(opens, sets.without(answer.draft.ports, answer.enforced));
    if (!answer.isUnknown) closes = sets.either(closes, sets.without(answer.enforced, answer.draft.ports));
  }
  return {
    ...{ pairs, draft, opens, closes, counts },
    byRule: counts.some(({ answer }) => answer.draft.byRule),
    isUnrestricted: counts.every(({ answer }) => answer.draft.isUnrestricted),
  };
}

export function draftSide(sets: PortSets, { counts, byRule }: EdgeAccess): PictureSide {
  const own = counts.map(({ answer, pairs }) => ({ ports: answer.draft.ports, isUnknown: false, pairs }));
  return { ...side(sets, own), byRule, isObserved: counts.some(({ answer }) => answer.draft.isObserved) };
}

export function enforcedSide(sets: PortSets, { counts }: EdgeAccess): PictureSide {
  const own = counts.map(({ answer, pairs }) => ({ ports: answer.enforced, isUnknown: answer.isUnknown, pairs }));
  return { ...side(sets, own), byRule: false, isObserved: false };
}

interface Counted {
  readonly ports: number;
  readonly isUnknown: boolean;
  readonly pairs: number;
}

function side(sets: PortSets, counts: readonly Counted[]): Omit<PictureSide, "byRule" | "isObserved"> {
  const known = counts.filter(({ isUnknown }) => !isUnknown);
  const sum = (some: readonly Counted[]) => some.reduce((total, { pairs }) => total + pairs, 0);
  const union = known.reduce((ports, each) => sets.either(ports, each.ports), sets.none);
  const distinct = new Set(known.map(({ ports }) => ports));
  return {
    access: accessOf(sets, distinct),
    ports: sets.parts(union),
    pairs: sum(counts),
    allowedPairs: sum(known.filter(({ ports }) => !sets.isEmpty(ports))),
    unknownPairs: sum(counts) - sum(known),
  };
}

function accessOf(sets: PortSets, distinct: ReadonlySet<number>): AccessKind {
  const [only] = distinct;
  if (only === undefined) return "unknown";
  if (distinct.size > 1) return "some-members";
  if (only === sets.all) return "all";
  return sets.isEmpty(only) ? "none" : "some-ports";
}
