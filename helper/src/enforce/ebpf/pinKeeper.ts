/**
 * Keeps the pins of a tree where they are. Links, programs and tables live while this process holds them, and would end
 * with it when somebody has unmounted the BPF file system or deleted a pin meanwhile.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { pin } from "../../linux/bpf/libbpf.ts";
import { ensureBpffsDirectory } from "../../linux/bpffs.ts";
import { allPins, type PinnedTree } from "./tree.ts";

export interface KeptPins {
  /** How many pins were put back. */
  readonly restored: number;
  /** Directory that a BPF file system was mounted on for that; `null` = none had to be. */
  readonly mountedOn: string | null;
}

/** Puts back every pin of `tree` that is gone. Throws `BpfError` or what the system says when that is not possible. */
export function keepPins(tree: PinnedTree, bpffsDir: string): KeptPins {
  const missing = allPins(tree).filter(([name]) => !existsSync(join(tree.path, name)));
  if (missing.length === 0) return { restored: 0, mountedOn: null };
  const mountedOn = ensureBpffsDirectory(bpffsDir);
  if (!existsSync(tree.path)) mkdirSync(tree.path, { mode: 0o700 });
  for (const [name, fd] of missing) pin(fd, join(tree.path, name));
  return { restored: missing.length, mountedOn };
}
