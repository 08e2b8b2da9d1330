/** What found no room in the book: counted for each rule, and told by an alert of its own. */
import type { BookState } from "./book-state.ts";
import { idOf } from "./identity.ts";
import type { Alert, AlertRule } from "./model.ts";

const KEY = "\u0000overflow";
/** Without another one for so long, it is over. */
const OVER_AFTER_MS = 600_000;

interface Count {
  readonly count: number;
  readonly lastAtMs: number;
}

export class Overflow {
  readonly #state: BookState;

  constructor(state: BookState) {
    this.#state = state;
  }

  static is(alert: Alert): boolean {
    return alert.key === KEY;
  }

  get total(): number {
    return this.#state.numberOf("overflow");
  }

  count(rule: string, nowMs: number): void {
    const before = this.#countOf(rule);
    this.#state.setPiece(`overflow:${rule}`, { count: (before?.count ?? 0) + 1, lastAtMs: nowMs } satisfies Count);
    this.#state.setPiece("overflow", this.total + 1);
  }

  /** The alerts that tell of it, new, changed or ended. There is room for them whatever the book holds. */
  alerts(rules: ReadonlyMap<string, AlertRule>, nowMs: number): Alert[] {
    return [...rules.values()].flatMap((rule) => {
      const count = this.#countOf(rule.name);
      const live = this.#state.live(rule.name, KEY);
      if (!count) return [];
      if (nowMs - count.lastAtMs >= OVER_AFTER_MS) {
        this.#state.setPiece(`overflow:${rule.name}`, null);
        return live ? [{ ...live, state: "resolved" as const, endedAtMs: nowMs }] : [];
      }
      const sentence = `${count.count.toLocaleString("en")} more alerts of the rule "${rule.name}" found no room and are not listed.`;
      if (live) return live.sentence === sentence ? [] : [{ ...live, sentence }];
      return [this.#newAlert(rule, sentence, nowMs)];
    });
  }

  #newAlert(rule: AlertRule, sentence: string, nowMs: number): Alert {
    const severity = rule.severity ?? "high";
    return {
      ...{ id: idOf(rule.name, KEY, nowMs), rule: rule.name, key: KEY, state: "firing", severity, sentence },
      ...{ hostId: "", host: "", findingId: "", labels: { rule: rule.name, severity } },
      ...{ groupKey: JSON.stringify([rule.name, "overflow"]), beganAtMs: nowMs, firedAtMs: nowMs, endedAtMs: null },
      ...{ seenAtMs: 0, silencedBy: "", acknowledgedBy: "", acknowledgedAtMs: null, escalationStep: 0 },
      ...{ toldTo: [], endToldTo: [] },
    };
  }

  #countOf(rule: string): Count | null {
    return this.#state.piece<Count>(`overflow:${rule}`);
  }
}
