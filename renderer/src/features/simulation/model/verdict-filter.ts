import { ShownVerdict, VerdictColumn, VerdictOrder } from "@wardline/api/wardline/console/v1/verdicts";
import { parsePortText } from "./port-text.ts";
import type { WindowChoice } from "./time-windows.ts";

/** Pairs of verdicts that people look for. */
export type PairChoice = "any" | "cuts" | "opens" | "observed" | "not-yet" | "unknown";

export interface VerdictFilter {
  readonly window: WindowChoice;
  readonly isEverything: boolean;
  readonly group: string;
  /** `443/tcp`, `53`. */
  readonly port: string;
  readonly policy: string;
  readonly pair: PairChoice;
  readonly order: OrderChoice;
}

export type OrderChoice = "important" | "from" | "to" | "port" | "count";

export const ORDERS: readonly {
  readonly value: OrderChoice;
  readonly label: string;
  readonly order: VerdictOrder;
  readonly descending: boolean;
}[] = [
  { value: "important", label: "Important first", order: VerdictOrder.UNSPECIFIED, descending: false },
  { value: "count", label: "Most recorded first", order: VerdictOrder.COUNT, descending: true },
  { value: "from", label: "By who connects", order: VerdictOrder.FROM, descending: false },
  { value: "to", label: "By who is connected to", order: VerdictOrder.TO, descending: false },
  { value: "port", label: "By port", order: VerdictOrder.PORT, descending: false },
];

/** As many as the console lists; only those in sight are in the page. */
const MAX_ROWS = 5_000;

export const EMPTY_FILTER: VerdictFilter = {
  window: "day",
  isEverything: false,
  group: "",
  port: "",
  policy: "",
  pair: "any",
  order: "important",
};

const on = (column: VerdictColumn, ...verdicts: ShownVerdict[]) => ({ column, verdicts });

export const PAIRS: readonly {
  readonly value: PairChoice;
  readonly label: string;
  readonly where: readonly { readonly column: VerdictColumn; readonly verdicts: ShownVerdict[] }[];
}[] = [
  { value: "any", label: "Any difference", where: [] },
  {
    value: "cuts",
    label: "Draft denies, reported allowed",
    where: [on(VerdictColumn.DRAFT, ShownVerdict.DENY), on(VerdictColumn.REPORTED, ShownVerdict.ALLOW)],
  },
  {
    value: "opens",
    label: "Draft allows, enforced denies",
    where: [on(VerdictColumn.DRAFT, ShownVerdict.ALLOW), on(VerdictColumn.ENFORCED, ShownVerdict.DENY)],
  },
  {
    value: "observed",
    label: "Staged denies, packets still pass",
    where: [
      on(VerdictColumn.STAGED, ShownVerdict.DENY),
      on(VerdictColumn.ENFORCED, ShownVerdict.ALLOW, ShownVerdict.OBSERVED),
    ],
  },
  {
    value: "not-yet",
    label: "Enforced denies, reported allowed",
    where: [on(VerdictColumn.ENFORCED, ShownVerdict.DENY), on(VerdictColumn.REPORTED, ShownVerdict.ALLOW)],
  },
  { value: "unknown", label: "Enforced unknown", where: [on(VerdictColumn.ENFORCED, ShownVerdict.UNKNOWN)] },
];

/** The filter as the backend understands it. Text that is no port yet filters nothing. */
export function wireFilter({ isEverything, group, port, policy, pair, order }: VerdictFilter) {
  const asked = parsePortText(port);
  const chosen = ORDERS.find(({ value }) => value === order);
  return {
    maxRows: MAX_ROWS,
    order: chosen?.order ?? VerdictOrder.UNSPECIFIED,
    descending: chosen?.descending ?? false,
    // What nobody knows does not disagree.
    includeAgreeing: isEverything || pair === "unknown",
    group,
    policy,
    ...(asked?.port === undefined ? {} : { port: asked.port }),
    ...(asked?.protocol === undefined ? {} : { protocol: asked.protocol }),
    where: PAIRS.find(({ value }) => value === pair)?.where.map((condition) => ({ ...condition })) ?? [],
  };
}
