// What set-up tells the person: one line a step, and everything that is missing with the way to get it.
const useColor = process.stdout.isTTY === true && !process.env.NO_COLOR;
const paint = (code, text) => (useColor ? `\u001b[${code}m${text}\u001b[0m` : text);

const COLORS = { done: 32, ok: 2, missing: 33, failed: 31 };

/** Collects the outcome of each step. Nothing is printed for steps that had nothing to do. */
export class Report {
  #startedAt = performance.now();
  #title;
  #titleShown = false;
  #problems = [];
  fatal = false;

  constructor(title) {
    this.#title = title;
  }

  /** Says that a step begins that will take a while. */
  begin(what) {
    this.#showTitle();
    console.log(`  ${paint(2, "start")} ${what}`);
  }

  /** @param {"done" | "missing" | "failed"} state @param {number | null} sinceMs from `performance.now()` */
  step(state, what, sinceMs = null) {
    this.#showTitle();
    const time = sinceMs === null ? "" : paint(2, ` (${seconds(performance.now() - sinceMs)})`);
    console.log(`  ${paint(COLORS[state], state.padEnd(5))} ${what}${time}`);
  }

  detail(lines) {
    for (const line of lines) console.log(`        ${line}`);
  }

  /**
   * Something that could not be done. All of them are repeated at the end.
   * @param {{ what: string, consequence: string, command: string | null, fatal?: boolean }} problem
   */
  problem(problem) {
    this.#problems.push(problem);
    if (problem.fatal) this.fatal = true;
  }

  finish() {
    const time = seconds(performance.now() - this.#startedAt);
    if (!this.#titleShown && this.#problems.length === 0) {
      console.log(`Set-up is up to date (${time}).`);
      return;
    }
    for (const problem of this.#problems) {
      this.#showTitle();
      console.log(`\n${paint(problem.fatal ? 31 : 33, problem.fatal ? "Cannot go on" : "Missing")}: ${problem.what}`);
      console.log(`  Without it: ${problem.consequence}`);
      if (problem.command !== null) console.log(`  To fix it:  ${problem.command}`);
    }
    if (this.fatal) console.log("\nSet-up failed.\n");
    else console.log(`${this.#problems.length > 0 ? "\n" : ""}Set-up finished in ${time}.\n`);
  }

  #showTitle() {
    if (this.#titleShown) return;
    this.#titleShown = true;
    console.log(this.#title);
  }
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}
