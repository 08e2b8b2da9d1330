/** How often something may be tried within a minute: by one address or name, and by all together. Bounded in memory. */

const MINUTE_MS = 60_000;
const MAX_SUBJECTS = 4_096;

export interface TryLimits {
  readonly perSubject: number;
  readonly together: number;
}

export class TryLimiter {
  readonly #limits: TryLimits;
  readonly #nowMs: () => number;
  #minute = -1;
  #together = 0;
  readonly #counts = new Map<string, number>();

  /** @param nowMs of a clock that does not jump */
  constructor(limits: TryLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** False when the subject, or all, have used up this minute. */
  mayTry(subject: string): boolean {
    this.#turn();
    return this.#together < this.#limits.together && (this.#counts.get(subject) ?? 0) < this.#limits.perSubject;
  }

  count(subject: string): void {
    this.#turn();
    this.#together += 1;
    if (this.#counts.size < MAX_SUBJECTS || this.#counts.has(subject)) {
      this.#counts.set(subject, (this.#counts.get(subject) ?? 0) + 1);
    }
  }

  #turn(): void {
    const minute = Math.floor(this.#nowMs() / MINUTE_MS);
    if (minute === this.#minute) return;
    this.#minute = minute;
    this.#together = 0;
    this.#counts.clear();
  }
}

/** An IPv6 host has a whole /64 to call from: it counts as one. */
export function subjectOfAddress(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address);
  if (mapped) return mapped[1] as string;
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array<string>(Math.max(8 - front.length - back.length, 0)).fill("0");
  return `${[...front, ...zeros, ...back].slice(0, 4).join(":")}::/64`;
}
