/** What a source holds, bounded like a workspace. */
import { decodePolicyBytes } from "@wardline/domain/policy";
import { requireWorkspaceBounds, WORKSPACE_LIMITS } from "../../policies/limits.ts";
import { workspacePath } from "../../policies/workspace-path.ts";

export interface SourceState {
  /** By path of the workspace. */
  readonly files: ReadonlyMap<string, string>;
  /** Links, files that are no text, names that no workspace takes. */
  readonly leftOutCount: number;
  /** Commit; empty for a folder. */
  readonly revision: string;
  readonly revisionText: string;
}

/** How a source is read and written. Both may take long and may fail. */
export interface SourceAdapter {
  read(signal: AbortSignal): Promise<SourceState>;
  /** `null` deletes. Returns the commit, or nothing for a folder. */
  write(
    changes: ReadonlyMap<string, string | null>,
    message: string,
    author: string,
    signal: AbortSignal,
  ): Promise<string>;
  /** Calls back when something may have changed; returns how to stop. */
  watch?(onChange: () => void): () => void;
}

export function canHoldPolicy(path: string): boolean {
  return /\.(ya?ml|json)$/i.test(path);
}

/** Takes files one by one and keeps to the bounds. */
export class SourceReader {
  readonly files = new Map<string, string>();
  leftOutCount = 0;
  #sizeBytes = 0;

  leaveOut(): void {
    this.leftOutCount += 1;
  }

  /** @throws Failure TOO_LARGE */
  add(path: string, content: Uint8Array): void {
    const name = nameOf(path);
    const decoded = content.length <= WORKSPACE_LIMITS.fileSizeBytes ? decodePolicyBytes(content, path) : null;
    if (name === null || decoded === null || "diagnostic" in decoded) {
      this.leaveOut();
      return;
    }
    this.#sizeBytes += content.length;
    this.files.set(name, decoded.text);
    requireWorkspaceBounds(this.files.size, this.#sizeBytes);
  }
}

function nameOf(path: string): string | null {
  try {
    return workspacePath(path) === path ? path : null;
  } catch {
    return null;
  }
}
