/** The BPF file system in which pins live. */

import { chmodSync, existsSync, mkdirSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { makeDirectory } from "../files/directory.ts";
import { mountBpffs } from "./bpf/libbpf.ts";

const BPFFS_MAGIC = 0xcafe4a11;
const STANDARD_MOUNT = "/sys/fs/bpf";

export function isBpffs(directory: string): boolean {
  return existsSync(directory) && statfsSync(directory).type === BPFFS_MAGIC;
}

/**
 * Makes `directory` a private directory inside a BPF file system: mounts one at the standard place, or at the directory
 * itself when it lies elsewhere. Returns the directory that was mounted on, or `null` when there was nothing to mount.
 */
export function ensureBpffsDirectory(directory: string): string | null {
  if (isBpffs(directory)) return null;
  if (isBpffs(dirname(directory))) {
    mkdirSync(directory, { mode: 0o700 });
    chmodSync(directory, 0o700);
    return null;
  }
  if (directory.startsWith(`${STANDARD_MOUNT}/`) && !isBpffs(STANDARD_MOUNT)) {
    mountBpffs(STANDARD_MOUNT);
    makeDirectory(directory, 0o700);
    return null;
  }
  makeDirectory(directory, 0o700);
  mountBpffs(directory);
  chmodSync(directory, 0o700);
  return directory;
}
