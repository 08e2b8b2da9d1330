/** Newline-delimited JSON in, flows out: what `wardline flows --format json` prints. Bounded, whatever the input is. */
import { ColumnBuilder, type FlowColumns, flowsOf, KIND_CODES, packWhat, VERDICT_CODES } from "./flow-columns.ts";
import { ABSENT, FlowScanner, PADDING_BYTES } from "./flow-scanner.ts";
import { FlowTexts, NONE } from "./flow-texts.ts";
import { FIELD } from "./line-shape.ts";
import { FlowChecker, NotAFlow, type RecordedFlow, rawFlow } from "./recorded-flow.ts";

export interface LineProblem {
  /** From 1. */
  readonly line: number;
  readonly problem: string;
}

/** What one piece of the input gave. */
export interface FlowBatch {
  readonly flows: readonly RecordedFlow[];
  /** The same flows, where they come as numbers: whoever looks at these need not make the objects. */
  readonly columns?: FlowColumns;
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
/** The longest line with a byte order mark, a carriage return and the beginning of the next line. */
const MAX_KEPT_BYTES = MAX_LINE_BYTES + 4;
/** Small enough to stay in the processor's cache. */
const WINDOW_BYTES = 256 * 1024;

const DENY = VERDICT_CODES.indexOf("deny");
const KIND_START = KIND_CODES.indexOf("start");
const KIND_DENY = KIND_CODES.indexOf("deny");

/** Absent = unspecified. */
function codeOf(codes: readonly number[], text: number): number {
  return text === ABSENT ? 0 : codes[text]!;
}

/** A batch whose flows are made when somebody looks at them. */
export class ColumnBatch implements FlowBatch {
  readonly columns: FlowColumns;
  readonly problems: readonly LineProblem[];
  readonly problemCount: number;
  #flows: readonly RecordedFlow[] | null = null;

  constructor(columns: FlowColumns, problems: readonly LineProblem[], problemCount: number) {
    this.columns = columns;
    this.problems = problems;
    this.problemCount = problemCount;
  }

  get flows(): readonly RecordedFlow[] {
    this.#flows ??= flowsOf(this.columns);
    return this.#flows;
  }
}

/** Cuts bytes into lines and reads each; lines may be spread over any number of chunks. */
export class FlowLineReader {
  readonly #bytes = new Uint8Array(MAX_KEPT_BYTES + WINDOW_BYTES + PADDING_BYTES);
  readonly #texts = new FlowTexts();
  readonly #scanner = new FlowScanner(this.#bytes, this.#texts);
  readonly #columns = new ColumnBuilder();
  readonly #checker = new FlowChecker();
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  /** How many bytes of an unfinished line stand at the beginning. */
  #kept = 0;
  #isTooLong = false;
  #line = 0;
  #problems: LineProblem[] = [];
  #problemCount = 0;

  /** The chunk may be reused by the caller afterwards. */
  push(chunk: Uint8Array): ColumnBatch {
    if (this.#texts.renewWhenFull()) this.#scanner.forgetTexts();
    for (let start = 0; start < chunk.length; start += WINDOW_BYTES) {
      const part = chunk.subarray(start, start + WINDOW_BYTES);
      this.#bytes.set(part, this.#kept);
      this.#readLines(this.#kept + part.length);
    }
    return this.#take();
  }

  /** The last line, when it does not end with a line break. */
  finish(): ColumnBatch {
    if (this.#kept > 0 || this.#isTooLong) {
      this.#bytes[this.#kept] = NEWLINE;
      this.#readLines(this.#kept + 1);
    }
    return this.#take();
  }

  #readLines(length: number): void {
    const bytes = this.#bytes;
    // Ends every value that is cut off here.
    bytes[length] = 0;
    let start = this.#isTooLong ? this.#endTooLong(length) : 0;
    while (start < length) {
      const next = this.#scanner.scan(start);
      if (next >= 0 && next - start <= MAX_LINE_BYTES && this.#accept()) {
        this.#line++;
        start = next;
        continue;
      }
      const newline = bytes.indexOf(NEWLINE, start);
      if (newline < 0 || newline >= length) break;
      this.#readLine(start, newline);
      start = newline + 1;
    }
    this.#keep(start, length);
  }

  #keep(start: number, end: number): void {
    this.#kept = end - start;
    if (this.#kept > MAX_KEPT_BYTES) {
      this.#isTooLong = true;
      this.#kept = 0;
    } else this.#bytes.copyWithin(0, start, end);
  }

  /** Where the next line starts, or the end of the data. */
  #endTooLong(length: number): number {
    const newline = this.#bytes.indexOf(NEWLINE);
    if (newline < 0 || newline >= length) return length;
    this.#isTooLong = false;
    this.#line++;
    this.#report(`it is longer than ${MAX_LINE_BYTES} bytes`);
    return newline + 1;
  }

  /** A line of no known shape. */
  #readLine(from: number, to: number): void {
    this.#line++;
    const bytes = this.#bytes;
    const hasMark = this.#line === 1 && BYTE_ORDER_MARK.every((byte, index) => bytes[from + index] === byte);
    const start = hasMark ? from + BYTE_ORDER_MARK.length : from;
    const end = to > start && bytes[to - 1] === CARRIAGE_RETURN ? to - 1 : to;
    if (start === end) return;
    if (end - start > MAX_LINE_BYTES) {
      this.#report(`it is longer than ${MAX_LINE_BYTES} bytes`);
      return;
    }
    if (this.#scanner.learn(start, end) && this.#scanner.scan(start) >= 0 && this.#accept()) return;
    const raw = this.#parse(bytes.subarray(start, end));
    const flow = raw instanceof NotAFlow ? raw : this.#checker.check(raw);
    if (flow instanceof NotAFlow) this.#report(flow.problem);
    else this.#columns.addFlow(flow, this.#texts);
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

  /** Takes what the scanner found, as `FlowChecker.check` would. False when it is no flow, or may be none. */
  #accept(): boolean {
    const { values, timeMs } = this.#scanner;
    const texts = this.#texts;
    const sourceText = values[FIELD.sourceAddress]!;
    const destinationText = values[FIELD.destinationAddress]!;
    if (sourceText === ABSENT || destinationText === ABSENT) return false;
    const source = texts.addressOf(sourceText);
    const destination = texts.addressOf(destinationText);
    const protocol = Math.max(0, values[FIELD.protocol]!);
    const port = Math.max(0, values[FIELD.destinationPort]!);
    const kind = codeOf(texts.kinds, values[FIELD.kind]!);
    const direction = codeOf(texts.directions, values[FIELD.direction]!);
    const verdict = codeOf(texts.verdicts, values[FIELD.verdict]!);
    const enforced = codeOf(texts.verdicts, values[FIELD.enforced]!);
    if (source === NONE || destination === NONE || protocol > 0xff || port > 0xffff) return false;
    if (kind === NONE || direction === NONE || verdict === NONE || enforced === NONE) return false;
    const kindOrUsual = kind || (enforced === DENY || verdict === DENY ? KIND_DENY : KIND_START);
    const what = packWhat(port, protocol, enforced || verdict, verdict || enforced, direction, kindOrUsual);
    const subject = Math.max(0, values[FIELD.subjectKey]!);
    this.#columns.add(timeMs, source, destination, subject, Math.max(0, values[FIELD.host]!), what);
    return true;
  }

  #report(problem: string): void {
    this.#problemCount++;
    if (this.#problems.length < MAX_PROBLEMS_IN_BATCH) this.#problems.push({ line: this.#line, problem });
  }

  #take(): ColumnBatch {
    const batch = new ColumnBatch(this.#columns.take(this.#texts.texts), this.#problems, this.#problemCount);
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
