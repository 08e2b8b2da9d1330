/** `wardline policy verdicts`: what the draft, the next and the present state of the hosts and their records say. */
import { create, toJson } from "@bufbuild/protobuf";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  ListVerdictsRequestSchema,
  ShownVerdict,
  StagedReason,
  type VerdictCell,
  VerdictColumn,
  type VerdictDone,
  VerdictDoneSchema,
  type VerdictPart,
  type VerdictPorts,
  type VerdictRow,
  VerdictRowSchema,
  type VerdictVersion,
  VerdictVersionSchema,
} from "@wardline/api/wardline/console/v1/verdicts";
import { protocolNumber } from "@wardline/domain/flows";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import { selectHostIds } from "../input/host-selection.ts";
import { formatPort, parsePort } from "../input/port.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import { VERDICT_WORDS, type VerdictsOptions } from "./policy-verdicts.options.ts";

const PROGRESS_INTERVAL_MS = 500;

const COLUMNS = [
  ["draft", VerdictColumn.DRAFT],
  ["staged", VerdictColumn.STAGED],
  ["enforced", VerdictColumn.ENFORCED],
  ["reported", VerdictColumn.REPORTED],
] as const;

const WORDS: Readonly<Record<(typeof VERDICT_WORDS)[number], ShownVerdict>> = {
  allow: ShownVerdict.ALLOW,
  deny: ShownVerdict.DENY,
  observed: ShownVerdict.OBSERVED,
  unknown: ShownVerdict.UNKNOWN,
  nothing: ShownVerdict.NOTHING,
  mixed: ShownVerdict.MIXED,
};

interface Table {
  readonly rows: VerdictRow[];
  readonly versions: VerdictVersion[];
  done: VerdictDone | null;
}

/** Exits with 1 when columns disagree, and when it was stopped before the end. */
export async function policyVerdicts(output: Output, options: VerdictsOptions): Promise<ExitCode> {
  if (!Number.isInteger(options.limit) || options.limit < 1) throw new UsageError("--limit takes a number from 1 on.");
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    return await withSession(options, {}, async (session) => {
      const hostIds = selectHostIds(session, options.hosts);
      const isAll = options.hosts === "all";
      // What hosts enforce is asked of all of them: connections have two ends.
      await Promise.allSettled(session.backend.registry.hosts.map(({ connection }) => connection.client()));
      const request = requestOf(options, isAll ? [] : hostIds);
      const table: Table = { rows: [], versions: [], done: null };
      let toldAtMs = performance.now();
      for await (const { event } of session.backend.services.verdicts.list(request, stopping.signal)) {
        if (event.case === "basis") table.versions.push(...event.value.versions);
        if (event.case === "rows") table.rows.push(...event.value.rows);
        if (event.case === "done") {
          table.done = event.value;
          table.versions.push(...event.value.versions);
        }
        if (event.case !== "progress" || !process.stderr.isTTY) continue;
        if (performance.now() - toldAtMs < PROGRESS_INTERVAL_MS) continue;
        toldAtMs = performance.now();
        const { readRecords, totalRecords } = event.value;
        output.note(`${number(readRecords)} of ${number(totalRecords)} records read`);
      }
      show(output, table);
      return table.done !== null && table.done.disagreeingRows === 0n ? EXIT.done : EXIT.problems;
    });
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

function requestOf(options: VerdictsOptions, hostIds: readonly string[]) {
  const port = options.port === undefined ? null : parsePort(options.port);
  const protocol = port === null ? null : protocolNumber(port.protocol);
  return create(ListVerdictsRequestSchema, {
    ...(options.since === undefined ? {} : { since: timestampFromMs(Date.now() - options.since) }),
    hostIds: [...hostIds],
    includeAgreeing: options.all,
    group: options.group,
    policy: options.policy,
    ...(protocol === null ? {} : { protocol }),
    ...(port === null || port.port === null ? {} : { port: port.port }),
    where: COLUMNS.flatMap(([name, column]) => {
      const word = VERDICT_WORDS.find((one) => one === options[name]);
      return word === undefined ? [] : [{ column, verdicts: [WORDS[word]] }];
    }),
    maxRows: options.limit,
  });
}

function show(output: Output, { rows, versions, done }: Table): void {
  if (output.format === "json") {
    output.json({
      versions: versions.map((version) => toJson(VerdictVersionSchema, version)),
      rows: rows.map((row) => toJson(VerdictRowSchema, row)),
      done: done === null ? null : toJson(VerdictDoneSchema, done),
    });
    return;
  }
  const { style } = output;
  const lines = versions.filter(({ column }) => column !== VerdictColumn.REPORTED).map(formatVersion);
  for (const row of rows) {
    const what = `${visible(row.from)} → ${visible(row.to)}`;
    lines.push("", `${what}  ${style.bold(formatPorts(row.ports))}${row.disagrees ? "" : style.dim("  agree")}`);
    for (const [name, cell] of [
      ["draft", row.draft],
      ["staged", row.staged],
      ["enforced", row.enforced],
      ["reported", row.reported],
    ] as const) {
      if (cell) lines.push(...formatCell(output, name, cell, versions));
    }
  }
  lines.push("", summary(done, rows.length));
  output.text(`${lines.join("\n")}\n`);
}

function formatVersion(version: VerdictVersion): string {
  const column = COLUMNS.find(([, wire]) => wire === version.column)?.[0] ?? "?";
  const hosts = version.hosts.map(({ hostName, generation, deadline }) => {
    const until = deadline ? `, until ${timestampDate(deadline).toISOString()}` : "";
    return `${visible(hostName)}${generation > 0n ? ` generation ${generation}${until}` : ""}`;
  });
  return `${column.padEnd(9)} ${versionText(version)}${hosts.length > 0 ? `: ${hosts.join(", ")}` : ""}`;
}

const STAGED_TEXTS: Readonly<Record<StagedReason, string>> = {
  [StagedReason.UNSPECIFIED]: "",
  [StagedReason.WAITS_FOR_CONFIRMATION]: ", waits for confirmation",
  [StagedReason.OBSERVED_GENERATION]: ", in observe mode",
  [StagedReason.ROLLOUT]: ", on its way by a roll-out",
  [StagedReason.OBSERVED_POLICIES]: ", its policies in observe mode as if enforced",
};

function versionText(version: VerdictVersion): string {
  if (version.unknownBecause !== "") return `unknown: ${visible(version.unknownBecause)}`;
  if (version.isNothing)
    return version.column === VerdictColumn.REPORTED ? "no policy was loaded" : "nothing is applied";
  const kept = version.versionNumber > 0n ? `version ${version.versionNumber}, ` : "";
  const when = version.time ? `, ${timestampDate(version.time).toISOString()}` : "";
  const author = version.author === "" ? "" : ` by ${visible(version.author)}`;
  return `${kept}${version.stateDigest.slice(0, 12)}${STAGED_TEXTS[version.stagedReason]}${when}${author}`;
}

function formatCell(output: Output, name: string, cell: VerdictCell, versions: readonly VerdictVersion[]): string[] {
  const { style } = output;
  if (cell.parts.length === 0) return [`  ${name.padEnd(9)} ${style.dim(wordOf(cell.verdict))}`];
  return cell.parts.map((part, index) => {
    const decides = part.sides.filter((side) => side.verdict === part.verdict && side.decision);
    const why = decides.map(({ decision }) => {
      const place = decision?.source?.file ? ` (${decision.source.file}:${decision.source.line})` : "";
      return visible(`${decision?.summary ?? ""}${place}`);
    });
    const unknown = part.sides.flatMap(({ versionId }) => versions.find(({ id }) => id === versionId) ?? []);
    const hosts = hostsText(part);
    // Without a generation: none was loaded, or several decided. The decision behind it says what did.
    const generation = part.generation > 0n ? `, generation ${part.generation}` : "";
    const count = part.lastSeen
      ? ` ${number(part.count)} times, last ${timestampDate(part.lastSeen).toISOString()}${generation}`
      : "";
    const because = part.verdict === ShownVerdict.UNKNOWN ? unknown.map(versionText) : why;
    const text = because.length > 0 ? style.dim(`  ${because.join("; ")}`) : "";
    return `  ${(index === 0 ? name : "").padEnd(9)} ${wordOf(part.verdict)}${count}${hosts}${text}`;
  });
}

/** By name while they are few: both ends of a connection tell of it, and their lines would read alike. */
function hostsText({ hostCount, hostNames }: VerdictPart): string {
  if (hostCount === 0) return "";
  if (hostCount <= 3 && hostNames.length === hostCount) return ` on ${visible(hostNames.join(", "))}`;
  return ` on ${hostCount} ${hostCount === 1 ? "host" : "hosts"}`;
}

function wordOf(verdict: ShownVerdict): string {
  return VERDICT_WORDS.find((word) => WORDS[word] === verdict) ?? "?";
}

function formatPorts(ports: readonly VerdictPorts[]): string {
  const texts = ports.map(({ protocol, exceptProtocols, low, high }) => {
    if (protocol === undefined) {
      return exceptProtocols.length === 0 ? "everything" : `every protocol but ${exceptProtocols.join(", ")}`;
    }
    const first = formatPort(protocol, low);
    return low === high
      ? first
      : low === 0 && high === 65_535
        ? `any ${first.replace(/^.*\//, "")}`
        : `${low}-${formatPort(protocol, high)}`;
  });
  return texts.slice(0, 6).join(", ") + (texts.length > 6 ? ` and ${texts.length - 6} more` : "");
}

function summary(done: VerdictDone | null, shown: number): string {
  if (done === null) return "Stopped before the end.";
  const { source, disagreeingRows, leftOut } = done;
  const cut = source?.isCut ? ", the newest of more" : "";
  const records = `${number(source?.readRecords ?? 0n)} records read${cut}`;
  const left = leftOut > 0n ? `, ${number(leftOut)} more rows not listed` : "";
  const gaps = (source?.gaps ?? []).map((gap) => `\n${visible(gap)}`).join("");
  return `${number(disagreeingRows)} groups of connections in which columns disagree; ${shown} rows${left}; ${records}.${gaps}`;
}

function number(value: bigint): string {
  return value.toLocaleString("en");
}
