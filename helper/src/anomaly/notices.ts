/** What has to be said of detection: what is wrong now, and for a day what was found damaged. */
import { bootMs, type Clock } from "../agent/clock.ts";

const KEPT_MS = 86_400_000;
const MAX_NOTICES = 10;

export class Notices {
  readonly #clock: Clock;
  readonly #present = new Map<string, string>();
  #past: { readonly text: string; readonly atMs: number }[] = [];

  constructor(clock: Clock, texts: readonly string[]) {
    this.#clock = clock;
    for (const text of texts) this.add(text);
  }

  add(text: string): void {
    this.#past = [...this.#past, { text, atMs: bootMs(this.#clock) }].slice(-MAX_NOTICES);
  }

  /** Holds until it is cleared. */
  set(key: string, text: string): void {
    this.#present.set(key, text);
  }

  clear(key: string): void {
    this.#present.delete(key);
  }

  current(): readonly string[] {
    const since = bootMs(this.#clock) - KEPT_MS;
    this.#past = this.#past.filter(({ atMs }) => atMs > since);
    return [...this.#present.values(), ...this.#past.map(({ text }) => text)];
  }
}
