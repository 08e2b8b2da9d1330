/** The newest events, for whoever comes and for whoever follows. */
import type { MemberEvent } from "@wardline/domain/cluster";

const KEPT_EVENTS = 1_024;

export class EventLog {
  #events: MemberEvent[] = [];
  /** Of the first that is kept. */
  #firstNumber = 0;
  #waiting = new Set<() => void>();

  /** @param events of one look; told by time */
  add(events: readonly MemberEvent[]): void {
    if (events.length === 0) return;
    this.#events.push(...[...events].sort((a, b) => a.atMs - b.atMs));
    const surplus = Math.max(0, this.#events.length - KEPT_EVENTS);
    this.#events.splice(0, surplus);
    this.#firstNumber += surplus;
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const resume of waiting) resume();
  }

  async *follow(signal: AbortSignal): AsyncGenerator<MemberEvent> {
    for (let next = 0; !signal.aborted; ) {
      next = Math.max(next, this.#firstNumber);
      const event = this.#events[next - this.#firstNumber];
      if (event) {
        next++;
        yield event;
      } else await this.#more(signal);
    }
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const resume = (): void => {
        this.#waiting.delete(resume);
        signal.removeEventListener("abort", resume);
        resolve();
      };
      this.#waiting.add(resume);
      signal.addEventListener("abort", resume, { once: true });
    });
  }
}
