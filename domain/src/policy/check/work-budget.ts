/** Bounds the work of the exact checks: steps are counted, not milliseconds, so that equal files give equal answers. */
export class WorkBudget {
  #left: number;

  constructor(steps: number) {
    this.#left = steps;
  }

  /** False once the budget is used up; whoever asked gives up and claims nothing. */
  spend(steps: number): boolean {
    this.#left -= steps;
    return this.#left >= 0;
  }

  /** What is left; below zero once it is used up. */
  get left(): number {
    return this.#left;
  }

  /** Spends what the same work took before, or nothing (false) when it would not be enough any more. */
  spendAgain(steps: number): boolean {
    if (steps > this.#left) return false;
    this.#left -= steps;
    return true;
  }

  get exhausted(): boolean {
    return this.#left < 0;
  }
}
