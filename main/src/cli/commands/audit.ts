import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  AuditFormat,
  AuditState,
  type AuditVerdict,
  AuditVerdictSchema,
  type MirroredEntry,
  MirroredEntrySchema,
} from "@wardline/api/wardline/console/v1/audit";
import { Role } from "@wardline/api/wardline/v1/host";
import { CONSOLE_LOG_ID } from "../../backend/audit/console-audit.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { selectHostIds } from "../input/host-selection.ts";
import type { Output } from "../output.ts";
import { type Session, withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { AuditAcceptOptions, AuditListOptions, AuditVerifyOptions } from "./audit.options.ts";

const STATES: Record<AuditState, string> = {
  [AuditState.UNSPECIFIED]: "",
  [AuditState.VERIFIED]: "verified",
  [AuditState.BROKEN]: "broken",
  [AuditState.TRUNCATED]: "cut short",
  [AuditState.FORKED]: "written anew",
  [AuditState.UNKNOWN]: "unknown",
};

const ROLES: Record<Role, string> = {
  [Role.UNSPECIFIED]: "",
  [Role.VIEWER]: "viewer",
  [Role.OPERATOR]: "operator",
  [Role.ADMIN]: "admin",
};

/** `wardline audit list`, from the mirror; what hosts have written since is fetched first where they can be reached. */
export async function auditList(output: Output, options: AuditListOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const hostIds = logIds(session, options.hosts);
    await session.audit.verifyAudit({ hostIds });
    const { action, actor, text, limit } = options;
    if (options.export) return exportEntries(output, session, { hostIds, action, actor, text }, options.export);
    const { entries, hosts } = await session.audit.listAudit({ hostIds, action, actor, text, limit });
    if (output.format === "json") output.json({ entries: entries.map((entry) => toJson(MirroredEntrySchema, entry)) });
    else if (entries.length === 0) output.text("No entries.\n");
    else output.text(formatEntries(entries));
    for (const host of hosts) if (isSuspicious(host)) output.note(`${visible(host.hostName)}: ${host.explanation}`);
    return EXIT.done;
  });
}

const FORMATS = { csv: AuditFormat.CSV, ndjson: AuditFormat.NDJSON } as const;

async function exportEntries(
  output: Output,
  session: Session,
  filter: { hostIds: string[]; action: string; actor: string; text: string },
  format: "csv" | "ndjson",
): Promise<ExitCode> {
  for await (const { chunk } of session.audit.exportAudit({ filter, format: FORMATS[format] }))
    output.text(Buffer.from(chunk).toString("utf8"));
  return EXIT.done;
}

/** `wardline audit verify`. Exit code 1 when a log does not verify, 3 when a host could not be asked. */
export async function auditVerify(output: Output, options: AuditVerifyOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const hostIds = logIds(session, options.hosts);
    const { hosts } = await session.audit.verifyAudit({ hostIds });
    if (output.format === "json") output.json({ hosts: hosts.map((host) => toJson(AuditVerdictSchema, host)) });
    else output.text(formatVerdicts(hosts));
    if (hosts.some(isSuspicious)) return EXIT.problems;
    return hosts.every(({ state }) => state === AuditState.VERIFIED) ? EXIT.done : EXIT.unreachable;
  });
}

/** `wardline audit accept HOST`. */
export async function auditAccept(output: Output, options: AuditAcceptOptions, host: string): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const { verdict } = await session.audit.acceptAudit({ hostId: host, reason: options.reason });
    if (!verdict) return EXIT.problems;
    if (output.format === "json") output.json(toJson(AuditVerdictSchema, verdict));
    else
      output.text(`${visible(verdict.hostName)}: the log that it has now is followed. What was seen before is kept.\n`);
    return EXIT.done;
  });
}

/** "all" is every host and this console itself. */
function logIds(session: Session, selector: string): string[] {
  if (selector === CONSOLE_LOG_ID) return [CONSOLE_LOG_ID];
  const ids = selectHostIds(session, selector);
  return selector === "all" ? [...ids, CONSOLE_LOG_ID] : [...ids];
}

function isSuspicious({ state }: AuditVerdict): boolean {
  return state === AuditState.BROKEN || state === AuditState.TRUNCATED || state === AuditState.FORKED;
}

function formatEntries(entries: readonly MirroredEntry[]): string {
  return formatTable(
    ["TIME", "HOST", "ENTRY", "ACTOR", "ROLE", "ACTION", "OUTCOME", "DETAIL"],
    entries.map(({ hostName, entry }) => [
      entry?.time ? new Date(timestampMs(entry.time)).toISOString() : "",
      hostName,
      String(entry?.sequence ?? ""),
      entry?.actor ?? "",
      ROLES[entry?.role ?? Role.UNSPECIFIED],
      entry?.action ?? "",
      entry?.outcome ?? "",
      entry?.detail ?? "",
    ]),
  );
}

function formatVerdicts(hosts: readonly AuditVerdict[]): string {
  return formatTable(
    ["HOST", "LOG", "ENTRIES HERE", "WHAT IT MEANS"],
    hosts.map(({ hostName, state, entryCount, explanation, error }) => [
      hostName,
      STATES[state],
      String(entryCount),
      error ? `${explanation} ${error.message}` : explanation,
    ]),
  );
}
