/** Which rows were asked for. */
import { type ListVerdictsRequest, VerdictColumn } from "@wardline/api/wardline/console/v1/verdicts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  COMPUTED_COLUMNS,
  reportedVerdictOf,
  type ShownVerdict,
  type VerdictRow,
} from "@wardline/domain/policy/verdicts";
import { fromWireVerdict, WIRE_COLUMNS } from "./verdict-wire.ts";

const MAX_TEXT = 300;
const MAX_CONDITIONS = 8;

type Condition =
  | { readonly column: "draft" | "staged" | "enforced"; readonly verdicts: ReadonlySet<ShownVerdict> }
  | { readonly column: "reported"; readonly verdicts: ReadonlySet<ShownVerdict> };

/** @throws Failure INVALID_ARGUMENT */
export function rowFilter(request: ListVerdictsRequest): (row: VerdictRow) => boolean {
  const { protocol, port } = request;
  requireBounds(request);
  const group = request.group.trim().toLowerCase();
  const policy = request.policy.trim().toLowerCase();
  const conditions = request.where.flatMap(readCondition);
  return (row) =>
    (request.includeAgreeing || row.disagrees) &&
    (group === "" || [row.from.text, row.to.text].some((text) => text.toLowerCase().includes(group))) &&
    hasPort(row, protocol, port) &&
    (policy === "" || policiesOf(row).some((key) => key.toLowerCase().includes(policy))) &&
    (conditions.length === 0 || meets(row, conditions));
}

function requireBounds({ group, policy, protocol, port, where }: ListVerdictsRequest): void {
  const problem =
    group.length > MAX_TEXT || policy.length > MAX_TEXT
      ? `A name to look for has at most ${MAX_TEXT} characters.`
      : protocol !== undefined && protocol > 255
        ? `There is no IP protocol ${protocol}.`
        : port !== undefined && port > 65_535
          ? `There is no port ${port}.`
          : where.length > MAX_CONDITIONS
            ? `At most ${MAX_CONDITIONS} conditions can be asked for.`
            : null;
  if (problem) throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: problem });
}

function readCondition({ column, verdicts }: ListVerdictsRequest["where"][number]): Condition[] {
  const wanted = new Set(verdicts.flatMap((verdict) => fromWireVerdict(verdict) ?? []));
  if (wanted.size > 0) {
    if (column === VerdictColumn.REPORTED) return [{ column: "reported", verdicts: wanted }];
    if (column !== VerdictColumn.UNSPECIFIED) return [{ column: WIRE_COLUMNS[column], verdicts: wanted }];
  }
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: "A condition names a column and at least one verdict.",
  });
}

function hasPort({ ports }: VerdictRow, protocol: number | undefined, port: number | undefined): boolean {
  return ports.some(
    (part) =>
      (port === undefined || (port >= part.low && port <= part.high)) &&
      (protocol === undefined ||
        (part.protocol === null ? !part.exceptProtocols.includes(protocol) : part.protocol === protocol)),
  );
}

function policiesOf(row: VerdictRow): readonly string[] {
  const computed = row.outcomes.flatMap(({ outcome }) =>
    COMPUTED_COLUMNS.flatMap((column) => outcome[column].sides.flatMap(({ decision }) => decision?.policyKeys ?? [])),
  );
  const reported = row.reported.flatMap(({ parts }) => [...parts.values()].flatMap(({ record }) => record.policyKeys));
  return [...computed, ...reported];
}

/** All conditions hold of the same connections. */
function meets(row: VerdictRow, conditions: readonly Condition[]): boolean {
  const reported = reportedVerdictOf(row);
  const ofParts = new Set(row.reported.flatMap(({ parts }) => [...parts.values()].map(({ record }) => record.verdict)));
  return row.outcomes.some(({ outcome }) =>
    conditions.every(({ column, verdicts }) =>
      column === "reported"
        ? verdicts.has(reported) || [...ofParts].some((verdict) => verdicts.has(verdict))
        : verdicts.has(outcome[column].verdict),
    ),
  );
}
