/** Reads what was dropped or picked, files and folders alike, within bounds. Content is bytes: it may be anything. */

export interface DroppedContent {
  readonly path: string;
  readonly content: Uint8Array;
}

export interface DroppedSet {
  readonly files: readonly DroppedContent[];
  /** Sentences about what was left out, for the person. */
  readonly leftOut: readonly string[];
}

const MOST_FILES = 500;
/** As of every policy file, here and on hosts. */
const LARGEST_FILE_BYTES = 1024 * 1024;
const LARGEST_SUM_BYTES = 24 * 1024 * 1024;
const POLICY_NAME = /\.(ya?ml|json)$/i;

/** One file that can be read later; `isFromFolder` tells a file that was chosen from one that a folder brought along. */
export interface Candidate {
  readonly path: string;
  readonly isFromFolder: boolean;
  readonly file: Pick<File, "size" | "arrayBuffer">;
}

/** A file that is in memory already, because the desktop handed it over. */
export function toCandidate({ path, content }: DroppedContent): Candidate {
  const file = { size: content.length, arrayBuffer: async () => content.slice().buffer as ArrayBuffer };
  return { path, isFromFolder: false, file };
}

export async function readCandidates(candidates: readonly Candidate[]): Promise<DroppedSet> {
  const files: DroppedContent[] = [];
  const leftOut: string[] = [];
  let sumBytes = 0;
  let otherFiles = 0;
  for (const { path, isFromFolder, file } of candidates) {
    if (isFromFolder && !POLICY_NAME.test(path)) {
      otherFiles += 1;
    } else if (files.length >= MOST_FILES) {
      leftOut.push(`${path}: more than ${MOST_FILES} files at once.`);
    } else if (file.size > LARGEST_FILE_BYTES) {
      leftOut.push(`${path}: larger than 1 MiB, which is what a policy file may have.`);
    } else if (sumBytes + file.size > LARGEST_SUM_BYTES) {
      leftOut.push(`${path}: more than 24 MiB at once.`);
    } else {
      try {
        files.push({ path, content: new Uint8Array(await file.arrayBuffer()) });
        sumBytes += file.size;
      } catch {
        leftOut.push(`${path}: it could not be read (moved, or no permission).`);
      }
    }
  }
  if (otherFiles > 0) leftOut.push(`${otherFiles} files of the folder that are not .yaml, .yml or .json.`);
  return { files, leftOut };
}

/** Must be called inside the drop event: the items are gone afterwards. */
export function collectDropped(data: DataTransfer): Promise<Candidate[]> {
  const entries = [...data.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry());
  const plainFiles = [...data.files];
  if (entries.some((entry) => entry !== null)) {
    return Promise.all(entries.map((entry) => (entry ? walkEntry(entry, "", 0) : []))).then((lists) => lists.flat());
  }
  return Promise.resolve(plainFiles.map((file) => ({ path: file.name, isFromFolder: false, file })));
}

const DEEPEST_FOLDER = 12;

async function walkEntry(entry: FileSystemEntry, folder: string, depth: number): Promise<Candidate[]> {
  const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path, isFromFolder: depth > 0, file }];
  }
  if (!entry.isDirectory || depth >= DEEPEST_FOLDER || entry.name === ".git" || entry.name === "node_modules")
    return [];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Candidate[] = [];
  for (;;) {
    // The reader hands over about 100 entries at a time, and an empty list at the end.
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return found;
    for (const child of batch) found.push(...(await walkEntry(child, path, depth + 1)));
    if (found.length > MOST_FILES * 20) return found;
  }
}

/** From a file input; a folder input gives each file its path below the folder. */
export function collectPicked(list: FileList): Candidate[] {
  return [...list].map((file) => ({
    path: file.webkitRelativePath || file.name,
    isFromFolder: file.webkitRelativePath !== "",
    file,
  }));
}
