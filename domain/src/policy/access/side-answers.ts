/** What one end says of another before and after, as one number; most pairs of ends say the same. */
import type { JointGroup, Side } from "./joint-space.ts";
import type { AccessModel } from "./model.ts";
import { pairOf } from "./space-book.ts";
import type { SubjectView } from "./view.ts";

/** Numbers of spaces of one world. */
export interface SpacesOfSides {
  readonly egress: number;
  readonly ingress: number;
}

interface Answer {
  /** Numbers of spaces of the old and of the new world. */
  readonly old: number;
  readonly next: number;
  /** Whether the same packets pass. */
  readonly isSame: boolean;
  readonly oldAllows: boolean;
  readonly nextAllows: boolean;
}

/** Answers of some groups about others. Groups with the same views share a row, those with the same classes a column. */
export interface AnswerTable {
  rowOf(place: number): Int32Array;
  columnOf(place: number): number;
}

export class SideAnswers {
  readonly #old: AccessModel;
  readonly #next: AccessModel;
  readonly #answers: Answer[] = [];
  readonly #numbers = new Map<number, number>();
  readonly #allowed = new Map<string, number>();

  constructor(old: AccessModel, next: AccessModel) {
    this.#old = old;
    this.#next = next;
  }

  table(asked: readonly JointGroup[], about: readonly JointGroup[]): AnswerTable {
    const columns = numberDistinct(about, ({ addressClass }) => addressClass);
    const rows = numberDistinct<SubjectView>(asked, ({ view }) => view);
    const known = new Map<number, Int32Array>();
    return {
      columnOf: (place) => columns.ofPlace[place] ?? 0,
      rowOf: (place) => {
        const number = rows.ofPlace[place] ?? 0;
        const first = rows.firsts[number];
        if (!first) throw new Error("each place has a row");
        let row = known.get(number);
        if (!row) {
          row = this.#askAll(first, columns.firsts);
          known.set(number, row);
        }
        return row;
      },
    };
  }

  #askAll(asked: JointGroup, about: readonly JointGroup[]): Int32Array {
    const row = new Int32Array(about.length);
    const { old, next } = asked;
    // Most others are of no interest to a subject, so most answers are the one before.
    let [oldSpace, nextSpace, answer] = [-1, -1, 0];
    for (let column = 0; column < row.length; column++) {
      const other = about[column];
      if (other?.family !== asked.family) continue;
      const before = old.view.policySpaceOf(other.old.addressClass);
      const after = next.view.policySpaceOf(other.next.addressClass);
      if (before !== oldSpace || after !== nextSpace) {
        [oldSpace, nextSpace] = [before, after];
        answer = this.#answerOf(before, after);
      }
      row[column] = answer;
    }
    return row;
  }

  #answerOf(old: number, next: number): number {
    const key = pairOf(old, next);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      const isSame = this.#allowedNumber(this.#old, old) === this.#allowedNumber(this.#next, next);
      const oldAllows = this.#old.spaces.allowsSomething(old);
      const nextAllows = this.#next.spaces.allowsSomething(next);
      number = this.#answers.push({ old, next, isSame, oldAllows, nextAllows }) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** Equal numbers = the same packets pass, over both worlds. */
  #allowedNumber(model: AccessModel, space: number): number {
    const key = model.spaces.allowedKey(space);
    const number = this.#allowed.get(key) ?? this.#allowed.size;
    this.#allowed.set(key, number);
    return number;
  }

  #at(number: number): Answer {
    const answer = this.#answers[number];
    if (!answer) throw new Error(`there is no answer ${number}`);
    return answer;
  }

  mayDiffer(egressNumber: number, ingressNumber: number): boolean {
    const egress = this.#at(egressNumber);
    const ingress = this.#at(ingressNumber);
    if (egress.isSame && ingress.isSame) return false;
    return (egress.oldAllows && ingress.oldAllows) || (egress.nextAllows && ingress.nextAllows);
  }

  spacesOf(egressNumber: number, ingressNumber: number): readonly [old: SpacesOfSides, next: SpacesOfSides] {
    const egress = this.#at(egressNumber);
    const ingress = this.#at(ingressNumber);
    return [
      { egress: egress.old, ingress: ingress.old },
      { egress: egress.next, ingress: ingress.next },
    ];
  }
}

/** Numbers the distinct pairs of what the old and the new side of each group have, within a family. */
function numberDistinct<Value extends object>(groups: readonly JointGroup[], pick: (side: Side) => Value) {
  const numbers = new Map<string, number>();
  const ids = new Map<Value, number>();
  const idOf = (value: Value): number => {
    const id = ids.get(value) ?? ids.size;
    ids.set(value, id);
    return id;
  };
  const firsts: JointGroup[] = [];
  const ofPlace = Int32Array.from(groups, (group) => {
    const key = `${group.family} ${idOf(pick(group.old))} ${idOf(pick(group.next))}`;
    let number = numbers.get(key);
    if (number === undefined) {
      number = firsts.push(group) - 1;
      numbers.set(key, number);
    }
    return number;
  });
  return { ofPlace, firsts };
}
