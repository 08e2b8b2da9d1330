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

  get exhausted(): boolean {
    return this.#left < 0;
  }
}
