/** Requests from the wire, checked and bounded. Everything here throws `Failure` INVALID_ARGUMENT or TOO_LARGE. */
import { createHash } from "node:crypto";
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { ApplyRequest as WireApplyRequest } from "@wardline/api/wardline/agent/v1/agent";
import type { DesiredState } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { SourceFile } from "@wardline/domain/policy";
import type { ApplyRequest } from "../generations/controllerTypes.ts";
import { fromWireMode } from "../generations/generationMessage.ts";

/** Largest desired state: the sum of its files. */
export const MAX_STATE_BYTES = 16 * 1024 * 1024;
/** Above this a request is cut off while it arrives, and its sender sees a reset stream instead of a reason. */
export const MAX_REQUEST_BYTES = MAX_STATE_BYTES + 8 * 1024 * 1024;
const MAX_FILES = 10_000;
const MAX_PATH_LENGTH = 4_096;
const MAX_REASON_LENGTH = 1_000;

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

/** A generation's number as a JavaScript number. */
export function readGeneration(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid("The number of the generation is out of range.");
  return Number(value);
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

/** SHA-256 of the request, for the audit log. */
export function digestOf<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): string {
  return createHash("sha256").update(toBinary(schema, message)).digest("hex");
}
