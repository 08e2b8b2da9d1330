/** Which rows of one partition a query means: decided for each series once, and by row only where measures ask for it. */
import type { QueryMeasure, QueryNode } from "@wardline/domain/flows";
import type { SumColumn } from "./layout.ts";
import type { OpenFile } from "./open-file.ts";
import { type ResolvedLabels, SeriesMembers } from "./series-members.ts";

export type Numbers = Float64Array | Uint32Array | Uint16Array;

/** Decoded columns of a block, or of all of them, that measures look at. */
export interface MeasureColumns {
  readonly started: Numbers;
  readonly denied: Numbers;
  readonly packets: Numbers;
  readonly outBytes: Numbers;
  readonly inBytes: Numbers;
  readonly first: Numbers;
  readonly last: Numbers;
  readonly pid: Numbers;
}

export type RowTest = (row: number, series: number, columns: MeasureColumns) => boolean;

export interface Selection {
  /** By number of the series: 1 = rows of it may match (and do, without {@link test}). */
  readonly series: Uint8Array;
  readonly isEmpty: boolean;
  /** `null` when every row of a chosen series matches. */
  readonly test: RowTest | null;
  /** Whether the test looks at what is neither key nor sum: ids of processes. */
  readonly needsRest?: boolean;
  /** Which sums it looks at. */
  readonly sums?: readonly SumColumn[];
  /** All that it says, when that is one measure of the chosen series. */
  readonly measure?: MeasureNode | null;
}

export type MeasureNode = QueryNode & { readonly kind: "measure" };

/** Which columns a measure is made of. */
export const SUMS_OF: Readonly<Record<QueryMeasure, readonly SumColumn[]>> = {
  bytes: ["out_bytes", "in_bytes"],
  sent: ["out_bytes", "in_bytes"],
  received: ["out_bytes", "in_bytes"],
  packets: ["packets"],
  connections: ["started"],
  denied: ["denied"],
  duration: ["first", "last"],
};

function sumsOf(node: QueryNode): SumColumn[] {
  if (node.kind === "measure") return [...SUMS_OF[node.measure]];
  if (node.kind === "and" || node.kind === "or") return node.parts.flatMap(sumsOf);
  return node.kind === "not" ? sumsOf(node.part) : [];
}

type Compiled =
  | { readonly kind: "series"; readonly members: Uint8Array }
  | { readonly kind: "row"; readonly test: RowTest; readonly measure: MeasureNode | null }
  | { readonly kind: "and" | "or"; readonly parts: readonly Compiled[] }
  | { readonly kind: "not"; readonly part: Compiled };

export function select(file: OpenFile, where: QueryNode, labels: ResolvedLabels): Selection {
  const compiled = compile(file, where, labels);
  const series = compiled.kind === "series" ? compiled.members : possible(compiled, file.seriesCount);
  // Rows of nobody are of hosts that were forgotten.
  series[0] = 0;
  const isEmpty = !series.includes(1);
  const needsRest = compiled.kind !== "series" && hasProcessId(where);
  return {
    series,
    isEmpty,
    test: compiled.kind === "series" ? null : testOf(compiled),
    needsRest,
    sums: [...new Set(sumsOf(where))],
    measure: onlyMeasureOf(compiled),
  };
}

function onlyMeasureOf(compiled: Compiled): MeasureNode | null {
  if (compiled.kind === "row") return compiled.measure;
  if (compiled.kind !== "and") return null;
  const rest = compiled.parts.filter(({ kind }) => kind !== "series");
  // What the series say is what was chosen.
  return rest.length === 1 ? onlyMeasureOf(rest[0]!) : null;
}

/** Whether it can be decided for a series as a whole. */
export function isOfSeries(node: QueryNode): boolean {
  switch (node.kind) {
    case "measure":
      return false;
    case "and":
    case "or":
      return node.parts.every(isOfSeries);
    case "not":
      return isOfSeries(node.part);
    case "field":
      return node.field !== "process" || !node.values.some(isProcessId);
    case "all":
      return true;
  }
}

function hasProcessId(node: QueryNode): boolean {
  if (node.kind === "and" || node.kind === "or") return node.parts.some(hasProcessId);
  if (node.kind === "not") return hasProcessId(node.part);
  return node.kind === "field" && !isOfSeries(node);
}

function isProcessId(value: string): boolean {
  return /^[1-9]\d{0,9}$/.test(value);
}

function compile(file: OpenFile, node: QueryNode, labels: ResolvedLabels): Compiled {
  if (isOfSeries(node)) return { kind: "series", members: membersOf(file, node, labels) };
  switch (node.kind) {
    case "measure":
      return { kind: "row", test: measureTest(file, node), measure: node };
    case "and":
    case "or": {
      const whole = node.parts.filter(isOfSeries);
      const parts = node.parts.filter((part) => !isOfSeries(part)).map((part) => compile(file, part, labels));
      if (whole.length > 0) parts.unshift(compile(file, { kind: node.kind, parts: whole }, labels));
      return { kind: node.kind, parts };
    }
    case "not":
      return { kind: "not", part: compile(file, node.part, labels) };
    default:
      return compileProcess(file, node, labels);
  }
}

/** Process ids change from connection to connection: they are kept with the rows. */
function compileProcess(file: OpenFile, node: QueryNode, labels: ResolvedLabels): Compiled {
  const ids = new Set(node.kind === "field" ? node.values.filter(isProcessId).map(Number) : []);
  const test: RowTest = (row, _series, { pid }) => ids.has(pid[row]!);
  return {
    kind: "or",
    parts: [
      { kind: "series", members: membersOf(file, node, labels) },
      { kind: "row", test, measure: null },
    ],
  };
}

function membersOf(file: OpenFile, node: QueryNode, labels: ResolvedLabels): Uint8Array {
  return new SeriesMembers(file, labels).of(node);
}

function possible(node: Compiled, seriesCount: number): Uint8Array {
  switch (node.kind) {
    case "series":
      return node.members.slice();
    case "row":
    case "not":
      return new Uint8Array(seriesCount + 1).fill(1);
    default: {
      const [first = new Uint8Array(seriesCount + 1), ...rest] = node.parts.map((part) => possible(part, seriesCount));
      for (const other of rest) {
        if (node.kind === "and") for (let id = 0; id <= seriesCount; id++) first[id]! &= other[id]!;
        else for (let id = 0; id <= seriesCount; id++) first[id]! |= other[id]!;
      }
      return first;
    }
  }
}

function testOf(node: Compiled): RowTest {
  switch (node.kind) {
    case "series": {
      const { members } = node;
      return (_row, series) => members[series] === 1;
    }
    case "row":
      return node.test;
    case "not": {
      const part = testOf(node.part);
      return (row, series, columns) => !part(row, series, columns);
    }
    default: {
      const [first, second, ...rest] = node.parts.map(testOf);
      if (!first || !second) return first ?? (() => node.kind === "and");
      if (rest.length > 0) return manyTests(node.kind, [first, second, ...rest]);
      return node.kind === "and"
        ? (row, series, columns) => first(row, series, columns) && second(row, series, columns)
        : (row, series, columns) => first(row, series, columns) || second(row, series, columns);
    }
  }
}

function manyTests(kind: "and" | "or", parts: readonly RowTest[]): RowTest {
  return kind === "and"
    ? (row, series, columns) => parts.every((part) => part(row, series, columns))
    : (row, series, columns) => parts.some((part) => part(row, series, columns));
}

function measureTest(file: OpenFile, node: QueryNode & { readonly kind: "measure" }): RowTest {
  const { comparison, value } = node;
  const measure = measureReader(file, node.measure);
  switch (comparison) {
    case "<":
      return (row, series, columns) => measure(row, series, columns) < value;
    case "<=":
      return (row, series, columns) => measure(row, series, columns) <= value;
    case ">":
      return (row, series, columns) => measure(row, series, columns) > value;
    case ">=":
      return (row, series, columns) => measure(row, series, columns) >= value;
    case "=":
      return (row, series, columns) => measure(row, series, columns) === value;
  }
}

/** Of rows of a block that was read with its sums. */
export function measureReader(
  file: OpenFile,
  measure: (QueryNode & { kind: "measure" })["measure"],
): (row: number, series: number, columns: MeasureColumns) => number {
  switch (measure) {
    case "bytes":
      return (row, _series, { outBytes, inBytes }) => outBytes[row]! + inBytes[row]!;
    case "sent":
    case "received": {
      const directions = file.column("direction");
      const away = measure === "sent" ? 2 : 1;
      // The originator sends away what a host sees as egress.
      return (row, series, { outBytes, inBytes }) => (directions[series] === away ? outBytes[row]! : inBytes[row]!);
    }
    case "packets":
      return (row, _series, { packets }) => packets[row]!;
    case "connections":
      return (row, _series, { started }) => started[row]!;
    case "denied":
      return (row, _series, { denied }) => denied[row]!;
    case "duration":
      return (row, _series, { first, last }) => last[row]! - first[row]!;
  }
}
