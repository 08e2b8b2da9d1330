/** Requests from the wire, checked and bounded. Everything here throws `Failure` INVALID_ARGUMENT or TOO_LARGE. */
import { createHash } from "node:crypto";
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type {
  ListAuditRequest,
  SetQuarantineRequest,
  ApplyRequest as WireApplyRequest,
} from "@wardline/api/wardline/agent/v1/agent";
import { Emergency as WireEmergency } from "@wardline/api/wardline/v1/host";
import type { DesiredState } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { cidrOfAddress, formatCidr, parseAddress, parseCidr, type SourceFile } from "@wardline/domain/policy";
import type { AuditQuery } from "../audit/auditLog.ts";
import type { Emergency } from "../enforce/enforcer.ts";
import type { ApplyRequest } from "../generations/controllerTypes.ts";
import { fromWireMode } from "../generations/generationMessage.ts";
import type { QuarantineRequest } from "../generations/quarantines.ts";

/** Largest desired state: the sum of its files. */
export const MAX_STATE_BYTES = 16 * 1024 * 1024;
/** Above this a request is cut off while it arrives, and its sender sees a reset stream instead of a reason. */
export const MAX_REQUEST_BYTES = MAX_STATE_BYTES + 8 * 1024 * 1024;
/** Of every method that takes neither policies nor documents. */
export const SMALL_REQUEST_BYTES = 1024 * 1024;
const MAX_FILES = 10_000;
const MAX_PATH_LENGTH = 4_096;
const MAX_REASON_LENGTH = 1_000;
const MAX_SUBJECT_LENGTH = 600;
const MAX_MANAGEMENT_ENTRIES = 16;
const USUAL_MANAGEMENT_PORT = 22;

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

function tooLarge(message: string): Failure {
  return new Failure({ code: ErrorCode.TOO_LARGE, message });
}

export function readFiles(state: DesiredState | undefined): SourceFile[] {
  if (!state) throw invalid("The desired state is missing.");
  if (state.files.length > MAX_FILES) {
    throw tooLarge(`The desired state has ${state.files.length} files; ${MAX_FILES} are the limit.`);
  }
  const sizeBytes = state.files.reduce((sum, { path, text }) => sum + path.length + Buffer.byteLength(text), 0);
  if (sizeBytes > MAX_STATE_BYTES) {
    throw tooLarge(`The desired state has ${sizeBytes} bytes; ${MAX_STATE_BYTES} are the limit.`);
  }
  const paths = new Set<string>();
  return state.files.map(({ path, text }) => {
    if (path === "" || path.length > MAX_PATH_LENGTH) throw invalid("A file's name is empty or too long.");
    if (paths.has(path)) throw invalid(`Two files have the name ${path.slice(0, 200)}.`);
    paths.add(path);
    return { path, text };
  });
}

/** The number of a generation or of an entry as a JavaScript number. */
export function readGeneration(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid("The number is out of range.");
  return Number(value);
}

const MAX_AUDIT_PAGE = 1_000;
const USUAL_AUDIT_PAGE = 100;

export function readAuditQuery({ limit, ascending, beforeSequence, afterSequence }: ListAuditRequest): AuditQuery {
  const page = { limit: Math.min(limit || USUAL_AUDIT_PAGE, MAX_AUDIT_PAGE) };
  if (!ascending && afterSequence > 0n) throw invalid("The page has no beginning: ask for it in ascending order.");
  if (!ascending) return { ...page, before: readGeneration(beforeSequence) };
  if (beforeSequence > 0n) throw invalid("A page is asked for before one entry or after one, not both.");
  return { ...page, after: readGeneration(afterSequence) };
}

export function readReason(reason: string): string {
  if (reason.length > MAX_REASON_LENGTH) throw invalid(`The reason is longer than ${MAX_REASON_LENGTH} characters.`);
  return reason;
}

function readDurationMs(duration: Duration | undefined): number {
  return duration ? durationMs(duration) : Number.NaN;
}

export function readApply(request: WireApplyRequest): ApplyRequest {
  const mode = fromWireMode(request.mode);
  if (mode === null) throw invalid("The mode is missing: observe or enforce.");
  return {
    files: readFiles(request.state),
    mode,
    expectedProgramDigest: request.expectedProgramDigest,
    baseGeneration: readGeneration(request.baseGeneration),
    confirmWithinMs: readDurationMs(request.confirmWithin),
    reason: readReason(request.reason),
  };
}

export function readEmergency(emergency: WireEmergency): Emergency {
  if (emergency === WireEmergency.NONE) return "none";
  if (emergency === WireEmergency.OPEN) return "open";
  if (emergency === WireEmergency.CLOSED) return "closed";
  throw invalid("The emergency is missing: none, open or closed.");
}

export function readQuarantine(request: SetQuarantineRequest): QuarantineRequest {
  const { subjectKey: subject, lifted, managementCidrs, managementPorts } = request;
  if (subject === "") throw invalid("Who is to be quarantined is missing.");
  if (subject.length > MAX_SUBJECT_LENGTH)
    throw invalid(`The subject is longer than ${MAX_SUBJECT_LENGTH} characters.`);
  if (Math.max(managementCidrs.length, managementPorts.length) > MAX_MANAGEMENT_ENTRIES) {
    throw tooLarge(`At most ${MAX_MANAGEMENT_ENTRIES} management addresses and ports can be given.`);
  }
  if (managementCidrs.length === 0 && managementPorts.length > 0 && !lifted) {
    throw invalid("Management ports need the addresses that may reach them.");
  }
  return {
    subject,
    lifted,
    managementCidrs: [...new Set(managementCidrs.map(readCidr))],
    managementPorts:
      managementPorts.length === 0 ? [USUAL_MANAGEMENT_PORT] : [...new Set(managementPorts.map(readPort))],
    reason: readReason(request.reason),
  };
}

function readCidr(text: string): string {
  const bounded = text.slice(0, 100);
  const parsed = parseCidr(bounded);
  if (parsed.ok) return formatCidr(parsed.cidr);
  const address = parseAddress(bounded);
  if (address.ok) return formatCidr(cidrOfAddress(address));
  throw invalid(`${JSON.stringify(bounded)} is not an address or a prefix.`);
}

function readPort(port: number): number {
  if (port >= 1 && port <= 65_535) return port;
  throw invalid(`There is no port ${port}.`);
}

/** SHA-256 of the request, for the audit log. */
export function digestOf<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): string {
  return createHash("sha256").update(toBinary(schema, message)).digest("hex");
}
