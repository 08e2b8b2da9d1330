import {
  type ListVerdictsResponse,
  ShownVerdict,
  StagedReason,
  type VerdictCell,
  VerdictColumn,
  type VerdictDone,
  type VerdictPart,
  type VerdictPorts,
  type VerdictRow,
  type VerdictSource,
  type VerdictVersion,
} from "@wardline/api/wardline/console/v1/verdicts";
import { Emergency } from "@wardline/api/wardline/v1/host";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { formatPortRange, formatQuantity, type VerdictShape, visibleText } from "../../../ui/index.ts";

export interface VerdictTableState {
  readonly versions: ReadonlyMap<number, VerdictVersion>;
  readonly rows: readonly VerdictRow[];
  readonly progress: VerdictSource | null;
  readonly done: VerdictDone | null;
}

export const EMPTY_TABLE: VerdictTableState = { versions: new Map(), rows: [], progress: null, done: null };

export function reduceVerdicts(state: VerdictTableState, { event }: ListVerdictsResponse): VerdictTableState {
  switch (event.case) {
    case "basis":
      return { ...state, versions: withVersions(state, event.value.versions) };
    case "progress":
      return { ...state, progress: event.value };
    case "rows":
      return { ...state, rows: [...state.rows, ...event.value.rows] };
    case "done":
      return {
        ...state,
        done: event.value,
        progress: event.value.source ?? state.progress,
        versions: withVersions(state, event.value.versions),
      };
    default:
      return state;
  }
}

function withVersions({ versions }: VerdictTableState, more: readonly VerdictVersion[]) {
  return new Map([...versions, ...more.map((version) => [version.id, version] as const)]);
}

export type ColumnKey = "draft" | "staged" | "enforced" | "reported";

export const COLUMNS: readonly {
  readonly key: ColumnKey;
  readonly column: VerdictColumn;
  readonly name: string;
  readonly means: string;
}[] = [
  {
    key: "draft",
    column: VerdictColumn.DRAFT,
    name: "Draft",
    means: "What the saved workspace decides, as if every host enforced it.",
  },
  {
    key: "staged",
    column: VerdictColumn.STAGED,
    name: "Staged",
    means: "What counts once everything under way is done: confirmed, rolled out, no longer only observed.",
  },
  {
    key: "enforced",
    column: VerdictColumn.ENFORCED,
    name: "Enforced",
    means: "What the tables in the kernels of your hosts do to a packet now.",
  },
  {
    key: "reported",
    column: VerdictColumn.REPORTED,
    name: "Reported",
    means: "What hosts recorded that was done in the window, each with its time and the version that decided.",
  },
];

/** The mark of a verdict; several for a cell whose parts differ, none where the column has nothing to say. */
export function shapesOf(cell: VerdictCell): readonly VerdictShape[] {
  if (cell.verdict !== ShownVerdict.MIXED) return shape(cell.verdict);
  return [...new Set(cell.parts.flatMap(({ verdict }) => shape(verdict)))];
}

export function shape(verdict: ShownVerdict): readonly VerdictShape[] {
  switch (verdict) {
    case ShownVerdict.ALLOW:
      return ["allow"];
    case ShownVerdict.DENY:
      return ["deny"];
    case ShownVerdict.OBSERVED:
      return ["observed"];
    case ShownVerdict.UNKNOWN:
      return ["unknown"];
    default:
      return [];
  }
}

export const NOTHING_WORDS: Record<ColumnKey, string> = {
  draft: "nothing",
  staged: "nothing staged",
  enforced: "no host of yours",
  reported: "no flows",
};

/** The line below a verdict: who, how often, by what. */
export function detailOf(key: ColumnKey, cell: VerdictCell): string {
  const [first] = cell.parts;
  if (!first) return "";
  if (key === "reported") {
    const count = cell.parts.reduce((sum, part) => sum + part.count, 0n);
    return formatQuantity(count, "time");
  }
  if (cell.verdict === ShownVerdict.MIXED) {
    return cell.parts.map((part) => `${wordOf(part.verdict)} on ${formatQuantity(part.hostCount, "host")}`).join(", ");
  }
  return decidedBy(first);
}

/** Short, with the rule and its line where there is one. */
export function decidedBy(part: VerdictPart): string {
  const deciding = part.sides.filter((side) => side.verdict === part.verdict && side.decision);
  const side = deciding.find(({ decision }) => decision?.source?.file) ?? deciding[0];
  if (!side?.decision) return "";
  return visibleText(side.decision.summary);
}

function wordOf(verdict: ShownVerdict): string {
  return (
    { [ShownVerdict.ALLOW]: "allowed", [ShownVerdict.DENY]: "denied", [ShownVerdict.OBSERVED]: "observed" }[
      verdict as ShownVerdict.ALLOW | ShownVerdict.DENY | ShownVerdict.OBSERVED
    ] ?? "unknown"
  );
}

const STAGED_WORDS: Record<StagedReason, string> = {
  [StagedReason.UNSPECIFIED]: "",
  [StagedReason.WAITS_FOR_CONFIRMATION]: "waits for confirmation",
  [StagedReason.OBSERVED_GENERATION]: "in observe mode",
  [StagedReason.ROLLOUT]: "on its way by a roll-out",
  [StagedReason.OBSERVED_POLICIES]: "policies in observe mode, as if enforced",
};

/** One version in words: which it is, and what holds it up. */
export function versionWords(version: VerdictVersion): string {
  const brake = BRAKE_WORDS[version.emergency];
  return [wordsOf(version), brake].filter(Boolean).join(", ");
}

const BRAKE_WORDS: Partial<Record<Emergency, string>> = {
  [Emergency.OPEN]: "but the emergency brake is open: nothing is dropped",
  [Emergency.CLOSED]: "but the emergency brake is closed: nothing passes",
};

function wordsOf(version: VerdictVersion): string {
  if (version.unknownBecause !== "") return visibleText(version.unknownBecause);
  if (version.emergency === Emergency.CLOSED && version.stateDigest === "") return "nothing is applied";
  if (version.isNothing)
    return version.column === VerdictColumn.REPORTED ? "no policy was loaded" : "nothing is applied";
  const name =
    version.versionNumber > 0n ? `version ${version.versionNumber}` : `state ${version.stateDigest.slice(0, 8)}`;
  const staged = STAGED_WORDS[version.stagedReason];
  return staged === "" ? name : `${name}, ${staged}`;
}

export function formatPorts(ports: readonly VerdictPorts[]): string {
  const texts = ports.map(({ protocol, low, high, exceptProtocols }) =>
    formatPortRange(protocol ?? 0, low, high, exceptProtocols),
  );
  return texts.length > 3 ? `${texts.slice(0, 3).join(", ")} and ${texts.length - 3} more` : texts.join(", ");
}

/** A protocol and port of the row, to ask about: `null` when the row means every protocol but some. */
export function examplePort(row: VerdictRow): { readonly protocol: number; readonly port: number } {
  const part = row.ports.find(({ protocol }) => protocol !== undefined) ?? row.ports[0];
  if (part?.protocol !== undefined) return { protocol: part.protocol, port: part.low };
  const except = new Set(part?.exceptProtocols ?? []);
  const protocol = [6, 17, 132, 47].find((one) => !except.has(one)) ?? 253;
  return { protocol, port: part?.low ?? 0 };
}

/** The digests that decide at both ends of a part; empty where nobody restricts, or nobody knows. */
export function digestsOf(part: VerdictPart, versions: ReadonlyMap<number, VerdictVersion>) {
  const of = (direction: Direction) => {
    const side = part.sides.find((one) => one.direction === direction);
    return side ? (versions.get(side.versionId)?.stateDigest ?? "") : "";
  };
  const isPromoted = part.sides.some(
    ({ versionId }) => versions.get(versionId)?.stagedReason === StagedReason.OBSERVED_POLICIES,
  );
  return { egress: of(Direction.EGRESS), ingress: of(Direction.INGRESS), isPromoted };
}
