/** The cgroup2 hierarchy below the agent's root, and which of its directories belong to which workload. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { WorkloadMatch } from "@wardline/domain/policy";

export interface CgroupDirectory {
  /** Relative to the root, with a leading slash. */
  readonly path: string;
  /** The kernel's id of the cgroup: the inode number of its directory. */
  readonly id: bigint;
}

/** Bounds one scan; a host with more reports the fact. */
export const MAX_CGROUPS = 20_000;
const MAX_DEPTH = 16;

/** Every cgroup below `root`, parents first. Cgroups that vanish meanwhile are left out. */
export function listCgroups(root: string): readonly CgroupDirectory[] {
  const found: CgroupDirectory[] = [];
  const visit = (path: string, depth: number): void => {
    if (found.length >= MAX_CGROUPS || depth > MAX_DEPTH) return;
    const directory = join(root, path);
    let names: readonly string[];
    try {
      if (depth > 0) found.push({ path, id: statSync(directory, { bigint: true }).ino });
      names = readdirSync(directory, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name);
    } catch {
      return;
    }
    for (const name of names) visit(`${path === "/" ? "" : path}/${name}`, depth + 1);
  };
  visit("/", 0);
  return found;
}

/** User id of a login name, a number as it is; `null` when unknown. */
export function resolveUserId(user: string, passwd: string): number | null {
  if (/^\d+$/.test(user)) return Number(user);
  const line = passwd.split("\n").find((entry) => entry.startsWith(`${user}:`));
  const id = Number(line?.split(":")[2]);
  return line !== undefined && Number.isInteger(id) ? id : null;
}

function readPasswd(): string {
  try {
    return readFileSync("/etc/passwd", "utf8");
  } catch {
    return "";
  }
}

/** Short container ids are prefixes of the full one; shorter than this would match by chance. */
const MIN_CONTAINER_ID_LENGTH = 12;

/** Returns a test for cgroup paths. A cgroup's descendants belong to it by the datapath's walk, not by this test. */
export function createCgroupMatcher(match: WorkloadMatch): (path: string) => boolean {
  switch (match.kind) {
    case "cgroupPath": {
      const wanted = `/${match.path.split("/").filter(Boolean).join("/")}`;
      return (path) => path === wanted;
    }
    case "systemdUnit":
      return (path) => basename(path) === match.unit;
    case "container": {
      if (match.id.length < MIN_CONTAINER_ID_LENGTH) return () => false;
      // docker-<id>.scope, cri-containerd-<id>.scope, libpod-<id>.scope, or the bare id.
      return (path) => {
        const name = basename(path).replace(/\.scope$/, "");
        return name.slice(name.lastIndexOf("-") + 1).startsWith(match.id);
      };
    }
    case "user": {
      const id = resolveUserId(match.user, readPasswd());
      return (path) => id !== null && basename(path) === `user-${id}.slice`;
    }
  }
}
