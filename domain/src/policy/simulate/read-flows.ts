/** Newline-delimited JSON in, flows out: what `wardline flows --format json` prints. Bounded, whatever the input is. */
import { FlowScanner } from "./flow-scanner.ts";
import { FlowChecker, NotAFlow, type RecordedFlow, rawFlow } from "./recorded-flow.ts";

export interface LineProblem {
  /** From 1. */
  readonly line: number;
  readonly problem: string;
}

/** What one piece of the input gave. */
export interface FlowBatch {
  readonly flows: readonly RecordedFlow[];
  /** The first ones of this piece; at most {@link MAX_PROBLEMS_IN_BATCH}. */
  readonly problems: readonly LineProblem[];
  /** All of this piece. */
  readonly problemCount: number;
}

export const MAX_LINE_BYTES = 64 * 1024;
export const MAX_PROBLEMS_IN_BATCH = 20;

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Cuts bytes into lines and reads each; lines may be spread over any number of chunks. */
export class FlowLineReader {
  readonly #scanner = new FlowScanner();
  readonly #checker = new FlowChecker();
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #rest = new Uint8Array(0);
  #restLength = 0;
  #isTooLong = false;
  #line = 0;
  #flows: RecordedFlow[] = [];
  #problems: LineProblem[] = [];
  #problemCount = 0;

  /** The chunk may be reused by the caller afterwards. */
  push(chunk: Uint8Array): FlowBatch {
    let start = 0;
    for (;;) {
      const newline = chunk.indexOf(NEWLINE, start);
      if (newline < 0) break;
      if (this.#restLength > 0 || this.#isTooLong) {
        this.#keep(chunk.subarray(start, newline));
        this.#endKept();
      } else this.#readLine(chunk, start, newline);
      start = newline + 1;
    }
    this.#keep(chunk.subarray(start));
    return this.#take();
  }

  /** The last line, when it does not end with a line break. */
  finish(): FlowBatch {
    if (this.#restLength > 0 || this.#isTooLong) this.#endKept();
    return this.#take();
  }

  #keep(part: Uint8Array): void {
    const length = this.#restLength + part.length;
    if (this.#isTooLong || length > MAX_LINE_BYTES) {
      this.#isTooLong = true;
      this.#restLength = 0;
      return;
    }
    if (length > this.#rest.length) {
      const larger = new Uint8Array(Math.min(MAX_LINE_BYTES, length * 2));
      larger.set(this.#rest.subarray(0, this.#restLength));
      this.#rest = larger;
    }
    this.#rest.set(part, this.#restLength);
    this.#restLength = length;
  }

  #endKept(): void {
    const length = this.#restLength;
    const isTooLong = this.#isTooLong;
    this.#restLength = 0;
    this.#isTooLong = false;
    if (isTooLong) {
      this.#line++;
      this.#report(`it is longer than ${MAX_LINE_BYTES} bytes`);
    } else this.#readLine(this.#rest, 0, length);
  }

  #readLine(bytes: Uint8Array, from: number, to: number): void {
    this.#line++;
    const hasMark = this.#line === 1 && BYTE_ORDER_MARK.every((byte, index) => bytes[from + index] === byte);
    const start = hasMark ? from + BYTE_ORDER_MARK.length : from;
    const end = to > start && bytes[to - 1] === CARRIAGE_RETURN ? to - 1 : to;
    if (start === end) return;
    if (end - start > MAX_LINE_BYTES) {
      this.#report(`it is longer than ${MAX_LINE_BYTES} bytes`);
      return;
    }
    const raw = this.#scanner.scan(bytes, start, end) ?? this.#parse(bytes.subarray(start, end));
    const flow = raw instanceof NotAFlow ? raw : this.#checker.check(raw);
    if (flow instanceof NotAFlow) this.#report(flow.problem);
    else this.#flows.push(flow);
  }

  #parse(bytes: Uint8Array) {
    let value: unknown;
    try {
      value = JSON.parse(this.#decoder.decode(bytes));
    } catch (error) {
      return new NotAFlow(error instanceof SyntaxError ? "it is not valid JSON" : "it is not UTF-8 text");
    }
    return rawFlow(value);
  }

  #report(problem: string): void {
    this.#problemCount++;
    if (this.#problems.length < MAX_PROBLEMS_IN_BATCH) this.#problems.push({ line: this.#line, problem });
  }

  #take(): FlowBatch {
    const batch = { flows: this.#flows, problems: this.#problems, problemCount: this.#problemCount };
    this.#flows = [];
    this.#problems = [];
    this.#problemCount = 0;
    return batch;
  }
}

/** One batch for each chunk. Ends early when the consumer stops; never throws on any content. */
export async function* readFlowLines(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<FlowBatch> {
  const reader = new FlowLineReader();
  for await (const chunk of chunks) yield reader.push(chunk);
  yield reader.finish();
}
