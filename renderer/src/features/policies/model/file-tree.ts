import { FileState, type FileSummary } from "@wardline/api/wardline/console/v1/policies";
import type { NoticeTone } from "../../../ui/index.ts";

export interface Folder {
  /** Empty for files at the top. */
  readonly name: string;
  readonly files: readonly FileSummary[];
}

/** Files by folder, both in order of name. */
export function groupByFolder(files: readonly FileSummary[]): Folder[] {
  const folders = new Map<string, FileSummary[]>();
  for (const file of files) {
    const cut = file.path.lastIndexOf("/");
    const name = cut < 0 ? "" : file.path.slice(0, cut);
    const list = folders.get(name);
    if (list) list.push(file);
    else folders.set(name, [file]);
  }
  return [...folders]
    .map(([name, list]) => ({ name, files: list.sort((a, b) => compareText(a.path, b.path)) }))
    .sort((a, b) => compareText(a.name, b.name));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** How a file stands against what this machine enforces. */
export function stateTag(state: FileState): { readonly text: string; readonly tone: NoticeTone } {
  switch (state) {
    case FileState.ENFORCED:
      return { text: "enforced", tone: "allow" };
    case FileState.NEW:
      return { text: "new", tone: "info" };
    case FileState.CHANGED:
      return { text: "changed", tone: "observed" };
    case FileState.DELETED:
      return { text: "removed", tone: "deny" };
    default:
      return { text: "unknown", tone: "unknown" };
  }
}
