/** Machines that ~/.ssh/config names: every `Host` that is one name and not a pattern. */
import { create } from "@bufbuild/protobuf";
import { type Candidate, CandidateSchema } from "@wardline/api/wardline/console/v1/fleet";
import { Failure } from "@wardline/domain/errors";
import { requireAddress } from "./addresses.ts";
import { type ConfigFile, type ConfigPaths, loadConfig } from "./config-files.ts";

const MOST_CANDIDATES = 2000;

export interface Candidates {
  readonly candidates: Candidate[];
  /** What could not be read or was left out, one sentence each. */
  readonly problems: string[];
}

/** In the order of the files. Never throws for what is in a file: that becomes a problem. */
export async function listCandidates(paths: ConfigPaths): Promise<Candidates> {
  try {
    const { files, problems } = await loadConfig({ ...paths, systemConfigPath: null });
    const found = new Map<string, Candidate>();
    const left: string[] = [...problems];
    for (const file of files) collect(file, paths.homeDir, found, left);
    const candidates = [...found.values()];
    if (candidates.length > MOST_CANDIDATES) {
      left.push(`${candidates.length} hosts are named; the first ${MOST_CANDIDATES} are listed.`);
    }
    return { candidates: candidates.slice(0, MOST_CANDIDATES), problems: left };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { candidates: [], problems: [`${error.message} ${error.hint}`.trim()] };
  }
}

function collect(file: ConfigFile, homeDir: string, found: Map<string, Candidate>, problems: string[]): void {
  for (const item of file.items) {
    if (item.kind === "include") {
      for (const included of item.files) collect(included, homeDir, found, problems);
      continue;
    }
    if (item.line.keyword !== "host") continue;
    const origin = `${shortened(item.path, homeDir)}:${item.line.line}`;
    for (const name of item.line.args) {
      if (/[*?!]/.test(name) || found.has(name)) continue;
      try {
        requireAddress(name);
        found.set(name, create(CandidateSchema, { alias: name, access: { address: name }, origin }));
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        problems.push(`${origin}: ${error.message}`);
      }
    }
  }
}

function shortened(path: string, homeDir: string): string {
  return path.startsWith(`${homeDir}/`) ? `~${path.slice(homeDir.length)}` : path;
}
