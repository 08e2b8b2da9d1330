/** Rows of the verdict table on the wire. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  ShownVerdict,
  type VerdictCell,
  VerdictCellSchema,
  VerdictColumn,
  type VerdictPart,
  VerdictPartSchema,
  VerdictPortsSchema,
  VerdictRowSchema,
  VerdictSideSchema,
  type VerdictRow as WireRow,
} from "@wardline/api/wardline/console/v1/verdicts";
import type { Decision } from "@wardline/api/wardline/v1/policy";
import {
  type ComputedColumn,
  type ComputedPart,
  describeCell,
  describeReported,
  type ReportedCell,
  rowId,
  type ShownVerdict as Verdict,
  type VerdictRow,
} from "@wardline/domain/policy/verdicts";
import { toWireDecision, toWireDirection } from "@wardline/domain/wire";
import type { ReportedFact } from "./verdict-protocol.ts";

/** Parts of a cell that are sent. */
export const SHOWN_PARTS = 12;
const MAX_HOSTS = 20;

const VERDICTS: Readonly<Record<Verdict, ShownVerdict>> = {
  allow: ShownVerdict.ALLOW,
  deny: ShownVerdict.DENY,
  observed: ShownVerdict.OBSERVED,
  unknown: ShownVerdict.UNKNOWN,
  nothing: ShownVerdict.NOTHING,
  mixed: ShownVerdict.MIXED,
};

const NAMES = new Map(Object.entries(VERDICTS).map(([name, wire]) => [wire, name as Verdict]));

/** `null` = unspecified, or of a newer console. */
export function fromWireVerdict(wire: ShownVerdict): Verdict | null {
  return NAMES.get(wire) ?? null;
}

/** What only the console knows of reports is left out: see `completeReports`. */
export function toWireRow(row: VerdictRow): WireRow {
  return create(VerdictRowSchema, {
    id: rowId(row),
    from: row.from.text,
    to: row.to.text,
    ports: row.ports.map(({ protocol, exceptProtocols, low, high }) =>
      create(VerdictPortsSchema, {
        ...(protocol === null ? {} : { protocol }),
        exceptProtocols: [...exceptProtocols],
        low,
        high,
      }),
    ),
    draft: computedCell(row, "draft"),
    staged: computedCell(row, "staged"),
    enforced: computedCell(row, "enforced"),
    reported: reportedCell(describeReported(row)),
    disagrees: row.disagrees,
    isRecorded: row.isRecorded,
  });
}

export interface ReportContext {
  decisionOf(id: string): Decision | null;
  /** Number of the version that decided there then. */
  versionOf(part: Pick<ReportedFact, "hostId" | "generation" | "decision">): number;
  hostName(hostId: string): string;
}

/** Says in reported cells what decided, under which version, and the host's name. */
export function completeReports(
  rows: readonly WireRow[],
  facts: readonly ReportedFact[],
  context: ReportContext,
): void {
  for (const fact of facts) {
    const part = rows[fact.row]?.reported?.parts[fact.part];
    const side = part?.sides[0];
    if (!part || !side) throw new Error("a thread for verdicts speaks of a part that is not there");
    const decision = context.decisionOf(fact.decision);
    if (decision) side.decision = decision;
    side.versionId = context.versionOf(fact);
    part.hostNames = [context.hostName(fact.hostId)];
  }
}

function computedCell(row: VerdictRow, column: ComputedColumn): VerdictCell {
  const { verdict, parts, partsLeftOut } = describeCell(row, column, SHOWN_PARTS);
  return create(VerdictCellSchema, { verdict: VERDICTS[verdict], parts: parts.map(computedPart), partsLeftOut });
}

function computedPart({ verdict, sides, hostNames, from, to }: ComputedPart): VerdictPart {
  return create(VerdictPartSchema, {
    verdict: VERDICTS[verdict],
    sides: sides.map((side) =>
      create(VerdictSideSchema, {
        direction: toWireDirection(side.direction),
        verdict: VERDICTS[side.verdict],
        ...(side.decision === null ? {} : { decision: toWireDecision(side.decision, side.direction) }),
        versionId: side.version ?? 0,
      }),
    ),
    hostNames: hostNames.slice(0, MAX_HOSTS),
    hostCount: hostNames.length,
    ...endsOf(from, to),
  });
}

function endsOf(from: ComputedPart["from"], to: ComputedPart["to"]) {
  return { fromKey: from.key ?? "", fromAddress: from.address, toKey: to.key ?? "", toAddress: to.address };
}

function reportedCell({ verdict, parts }: ReportedCell): VerdictCell {
  return create(VerdictCellSchema, {
    verdict: VERDICTS[verdict],
    partsLeftOut: Math.max(0, parts.length - SHOWN_PARTS),
    parts: parts.slice(0, SHOWN_PARTS).map((part) =>
      create(VerdictPartSchema, {
        verdict: VERDICTS[part.verdict],
        sides: [
          create(VerdictSideSchema, {
            direction: toWireDirection(part.direction),
            verdict: VERDICTS[part.verdict],
          }),
        ],
        hostCount: 1,
        count: BigInt(part.count),
        firstSeen: timestampFromMs(part.firstSeenMs),
        lastSeen: timestampFromMs(part.lastSeenMs),
        talkers: part.talkers.map(({ from, to, count }) => ({ from, to, count: BigInt(count) })),
        generation: BigInt(part.generation),
        ...endsOf(part.from, part.to),
      }),
    ),
  });
}

export const WIRE_COLUMNS = {
  [VerdictColumn.DRAFT]: "draft",
  [VerdictColumn.STAGED]: "staged",
  [VerdictColumn.ENFORCED]: "enforced",
} as const;
