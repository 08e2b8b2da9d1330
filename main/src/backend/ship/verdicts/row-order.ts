/** In which order rows are listed. */
import { type ListVerdictsRequest, VerdictOrder } from "@wardline/api/wardline/console/v1/verdicts";
import type { VerdictRow } from "@wardline/domain/policy/verdicts";

export type RowOrder = (left: VerdictRow, right: VerdictRow) => number;

/** Every order is total: rows that it holds for equal stand by their names and ports. */
export function rowOrder({ order, descending }: Pick<ListVerdictsRequest, "order" | "descending">): RowOrder {
  const first = FIRST[order];
  if (!first) return (left, right) => byImportance(left, right) || byNames(left, right);
  const sign = descending ? -1 : 1;
  return (left, right) => sign * first(left, right) || byNames(left, right);
}

const FIRST: Partial<Record<VerdictOrder, RowOrder>> = {
  [VerdictOrder.FROM]: ({ from: left }, { from: right }) => compareTexts(left.text, right.text),
  [VerdictOrder.TO]: ({ to: left }, { to: right }) => compareTexts(left.text, right.text),
  [VerdictOrder.PORT]: (left, right) => lowestPort(left) - lowestPort(right),
  [VerdictOrder.COUNT]: (left, right) => left.count - right.count,
};

/** What carries traffic first; then what the draft changes. */
function byImportance(left: VerdictRow, right: VerdictRow): number {
  if (left.disagrees !== right.disagrees) return left.disagrees ? -1 : 1;
  if (left.count !== right.count) return right.count - left.count;
  return left.isRecorded === right.isRecorded ? 0 : left.isRecorded ? -1 : 1;
}

function byNames(left: VerdictRow, right: VerdictRow): number {
  return (
    compareTexts(left.to.text, right.to.text) ||
    compareTexts(left.from.text, right.from.text) ||
    lowestPort(left) - lowestPort(right)
  );
}

function lowestPort({ ports }: VerdictRow): number {
  return ports.reduce(
    (lowest, { protocol, low }) => Math.min(lowest, low * 256 + (protocol ?? 255)),
    0xffff * 256 + 255,
  );
}

function compareTexts(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
