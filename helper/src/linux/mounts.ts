/** Where file systems are mounted, from /proc/self/mountinfo. */
import { readFileSync } from "node:fs";

export interface Mount {
  readonly mountPoint: string;
  readonly fileSystem: string;
}

const OCTAL_ESCAPE = /\\([0-7]{3})/g;

/** Reads the format of proc_pid_mountinfo(5). Lines that do not have it are skipped. */
export function parseMountInfo(text: string): readonly Mount[] {
  return text.split("\n").flatMap((line) => {
    const [before, after] = line.split(" - ");
    const mountPoint = before?.split(" ")[4];
    const fileSystem = after?.split(" ")[0];
    if (mountPoint === undefined || fileSystem === undefined) return [];
    const unescaped = mountPoint.replace(OCTAL_ESCAPE, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    return [{ mountPoint: unescaped, fileSystem }];
  });
}

export function readMounts(): readonly Mount[] {
  return parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** Mount point of the cgroup2 hierarchy (on hybrid hosts not `/sys/fs/cgroup`), or `null`. */
export function findCgroup2Mount(mounts: readonly Mount[] = readMounts()): string | null {
  return mounts.find((mount) => mount.fileSystem === "cgroup2")?.mountPoint ?? null;
}
