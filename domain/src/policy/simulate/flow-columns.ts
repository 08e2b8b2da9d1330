/**
 * Flows as columns of numbers. A million objects cost more to make, to hand to another thread and to collect than
 * everything that is asked about them; here a flow is six numbers, and its texts are numbers of a shared list.
 */
import type { FlowTexts } from "./flow-texts.ts";
import type { RecordedFlow } from "./recorded-flow.ts";

/** The numbers of a flow in {@link FlowColumns.words}. */
export const WORDS_IN_FLOW = 5;
export const WORD = { source: 0, destination: 1, subject: 2, host: 3, what: 4 } as const;

export interface FlowColumns {
  readonly count: number;
  /** Unix time of each flow; NaN when it was not recorded. */
  readonly timesMs: Float64Array<ArrayBuffer>;
  /** {@link WORDS_IN_FLOW} of each flow: numbers of four texts, and {@link packWhat}. */
  readonly words: Int32Array<ArrayBuffer>;
  /** Grows from batch to batch; another list means that all numbers are new. */
  readonly texts: readonly string[];
}

export const KIND_CODES = [null, "start", "end", "deny"] as const;
export const DIRECTION_CODES = [null, "ingress", "egress"] as const;
export const VERDICT_CODES = [null, "allow", "deny"] as const;

export const KIND_END = KIND_CODES.indexOf("end");
const PORT_BITS = 16;
const ENFORCED_SHIFT = 24;
const VERDICT_SHIFT = 26;
const DIRECTION_SHIFT = 28;
const KIND_SHIFT = 30;
/** Direction, protocol and port: the part that a question to a policy depends on. */
const QUESTION_MASK = 0x30ff_ffff;

/** Everything about a flow but its ends and its time, in 32 bits. Codes are places in the lists above. */
export function packWhat(
  port: number,
  protocol: number,
  enforced: number,
  verdict: number,
  direction: number,
  kind: number,
): number {
  return (
    port |
    (protocol << PORT_BITS) |
    (enforced << ENFORCED_SHIFT) |
    (verdict << VERDICT_SHIFT) |
    (direction << DIRECTION_SHIFT) |
    (kind << KIND_SHIFT)
  );
}

export const questionOf = (what: number): number => what & QUESTION_MASK;
export const enforcedCode = (what: number): number => (what >>> ENFORCED_SHIFT) & 3;
export const kindCode = (what: number): number => what >>> KIND_SHIFT;

export function flowAt({ timesMs, words, texts }: FlowColumns, index: number): RecordedFlow {
  const timeMs = timesMs[index] ?? Number.NaN;
  const at = index * WORDS_IN_FLOW;
  const text = (word: number) => texts[words[at + word] ?? 0] ?? "";
  const what = words[at + WORD.what] ?? 0;
  return {
    timeMs: Number.isNaN(timeMs) ? null : timeMs,
    kind: KIND_CODES[kindCode(what)] ?? "start",
    direction: DIRECTION_CODES[(what >>> DIRECTION_SHIFT) & 3] ?? null,
    protocol: (what >>> PORT_BITS) & 0xff,
    sourceAddress: text(WORD.source),
    destinationAddress: text(WORD.destination),
    port: what & 0xffff,
    verdict: VERDICT_CODES[(what >>> VERDICT_SHIFT) & 3] ?? null,
    enforced: VERDICT_CODES[enforcedCode(what)] ?? null,
    subjectKey: text(WORD.subject),
    host: text(WORD.host),
  };
}

export function flowsOf(columns: FlowColumns): RecordedFlow[] {
  return Array.from({ length: columns.count }, (_, index) => flowAt(columns, index));
}

/** The flows of a window; a flow without a time is in every window. */
export function columnsSince(columns: FlowColumns, sinceMs: number): FlowColumns {
  const kept: number[] = [];
  for (let index = 0; index < columns.count; index++) if (!(columns.timesMs[index]! < sinceMs)) kept.push(index);
  const words = new Int32Array(kept.length * WORDS_IN_FLOW);
  for (const [index, from] of kept.entries()) {
    words.set(columns.words.subarray(from * WORDS_IN_FLOW, (from + 1) * WORDS_IN_FLOW), index * WORDS_IN_FLOW);
  }
  const timesMs = Float64Array.from(kept, (from) => columns.timesMs[from]!);
  return { count: kept.length, timesMs, words, texts: columns.texts };
}

const FIRST_CAPACITY = 1024;

export class ColumnBuilder {
  count = 0;
  timesMs = new Float64Array(FIRST_CAPACITY);
  words = new Int32Array(FIRST_CAPACITY * WORDS_IN_FLOW);

  add(timeMs: number, source: number, destination: number, subject: number, host: number, what: number): void {
    if (this.count === this.timesMs.length) this.#grow();
    const at = this.count * WORDS_IN_FLOW;
    const { words } = this;
    this.timesMs[this.count++] = timeMs;
    words[at] = source;
    words[at + 1] = destination;
    words[at + 2] = subject;
    words[at + 3] = host;
    words[at + 4] = what;
  }

  /** False when its numbers do not fit: then nothing is added. */
  addFlow(flow: RecordedFlow, texts: FlowTexts): boolean {
    const { protocol, port, timeMs } = flow;
    if (!(isWhole(protocol, 0xff) && isWhole(port, 0xffff))) return false;
    const what = packWhat(
      port,
      protocol,
      VERDICT_CODES.indexOf(flow.enforced),
      VERDICT_CODES.indexOf(flow.verdict),
      DIRECTION_CODES.indexOf(flow.direction),
      KIND_CODES.indexOf(flow.kind),
    );
    const source = texts.idOf(flow.sourceAddress);
    const destination = texts.idOf(flow.destinationAddress);
    this.add(timeMs ?? Number.NaN, source, destination, texts.idOf(flow.subjectKey), texts.idOf(flow.host), what);
    return true;
  }

  /** The flows since the last call. */
  take(texts: readonly string[]): FlowColumns {
    const { count } = this;
    const timesMs = this.timesMs.slice(0, count);
    const words = this.words.slice(0, count * WORDS_IN_FLOW);
    this.count = 0;
    return { count, timesMs, words, texts };
  }

  #grow(): void {
    const timesMs = new Float64Array(this.count * 2);
    const words = new Int32Array(this.count * 2 * WORDS_IN_FLOW);
    timesMs.set(this.timesMs);
    words.set(this.words);
    this.timesMs = timesMs;
    this.words = words;
  }
}

function isWhole(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
