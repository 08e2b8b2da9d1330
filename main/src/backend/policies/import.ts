/**
 * Dropped files: each is judged for itself, so that one bad file never keeps the good ones out. Whatever is refused says
 * why.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type Diagnostic, decodePolicyBytes } from "@wardline/domain/policy";
import { requireWorkspaceBounds, tooLargeFile, WORKSPACE_LIMITS } from "./limits.ts";
import { workspacePath } from "./workspace-path.ts";

export interface DroppedBytes {
  readonly path: string;
  readonly content: Uint8Array;
}

export type ImportDecision =
  | { readonly action: "add" | "replace" | "same"; readonly path: string; readonly text: string }
  | { readonly action: "refuse"; readonly path: string; readonly refusal: Failure };

/**
 * @param current texts of the workspace by path
 * @throws Failure TOO_LARGE when the drop as a whole is beyond the bounds, or would push the workspace over them
 */
export function judgeImport(dropped: readonly DroppedBytes[], current: ReadonlyMap<string, string>): ImportDecision[] {
  requireDropBounds(dropped);
  const names = canonicalNames(dropped);
  const decisions = dropped.map((file) => judgeFile(file, names, current));
  const after = new Map(current);
  for (const decision of decisions) if (decision.action !== "refuse") after.set(decision.path, decision.text);
  let sizeBytes = 0;
  for (const text of after.values()) sizeBytes += Buffer.byteLength(text);
  requireWorkspaceBounds(after.size, sizeBytes);
  return decisions;
}

function requireDropBounds(dropped: readonly DroppedBytes[]): void {
  const totalBytes = dropped.reduce((sum, file) => sum + file.content.byteLength, 0);
  if (dropped.length <= WORKSPACE_LIMITS.fileCount && totalBytes <= WORKSPACE_LIMITS.totalSizeBytes) return;
  throw new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `${dropped.length.toLocaleString("en")} files with ${totalBytes.toLocaleString("en")} bytes were dropped; up to ${WORKSPACE_LIMITS.fileCount.toLocaleString("en")} files with 16 MiB can be imported at once. Nothing was imported.`,
    hint: "Drop only the folder that holds the policies.",
  });
}

/** How often each canonical name occurs: of two files with one name nobody can say which is meant. */
function canonicalNames(dropped: readonly DroppedBytes[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const file of dropped) {
    try {
      const path = workspacePath(file.path);
      counts.set(path, (counts.get(path) ?? 0) + 1);
    } catch {
      // Its own judgement refuses it.
    }
  }
  return counts;
}

function judgeFile(
  file: DroppedBytes,
  names: ReadonlyMap<string, number>,
  current: ReadonlyMap<string, string>,
): ImportDecision {
  try {
    const path = workspacePath(file.path);
    if ((names.get(path) ?? 0) > 1) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: `${names.get(path)} of the dropped files are called ${path}.`,
        hint: "Drop the one that is meant.",
      });
    }
    if (file.content.byteLength > WORKSPACE_LIMITS.fileSizeBytes) throw tooLargeFile(path, file.content.byteLength);
    const decoded = decodePolicyBytes(file.content, path);
    if ("diagnostic" in decoded) throw notText(path, decoded.diagnostic);
    const { text } = decoded;
    const before = current.get(path);
    return { action: before === undefined ? "add" : before === text ? "same" : "replace", path, text };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { action: "refuse", path: file.path, refusal: error };
  }
}

function notText(path: string, diagnostic: Diagnostic): Failure {
  return new Failure({
    code: ErrorCode.NOT_TEXT,
    message: `${path}: ${diagnostic.message}`,
    hint: "Policies are UTF-8 text in YAML or JSON.",
    source: diagnostic.source,
    diagnostics: [diagnostic],
  });
}
