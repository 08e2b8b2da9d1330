/** Which cgroup belongs to which policy set, kept up to date while cgroups come and go. */
import type { PolicySet } from "@wardline/domain/policy";
import { deleteElement, updateElement } from "../../linux/bpf/libbpf.ts";
import { createCgroupMatcher, listCgroups } from "../../linux/cgroups.ts";
import { type PackedTable, withWorkloads } from "./tables.ts";
import type { PinnedTree } from "./tree.ts";

/** cgroup id to set. Where several sets match one cgroup, the last one in the program's order has it. */
export function findWorkloads(cgroupRoot: string, sets: readonly PolicySet[]): ReadonlyMap<bigint, number> {
  const matchers = sets.flatMap(({ id, match }) =>
    match === null ? [] : [{ id, matches: createCgroupMatcher(match) }],
  );
  const found = new Map<bigint, number>();
  if (matchers.length === 0) return found;
  for (const cgroup of listCgroups(cgroupRoot))
    for (const { id, matches } of matchers) if (matches(cgroup.path)) found.set(cgroup.id, id);
  return found;
}

export function packWorkloads(workloads: ReadonlyMap<bigint, number>): PackedTable {
  const keys = Buffer.alloc(workloads.size * 8);
  const values = Buffer.alloc(workloads.size * 4);
  let position = 0;
  for (const [cgroupId, set] of workloads) {
    keys.writeBigUInt64LE(cgroupId, position * 8);
    values.writeUInt32LE(set, position * 4);
    position += 1;
  }
  return { keys, values, count: workloads.size };
}

export interface WorkloadChanges {
  readonly set: ReadonlyMap<bigint, number>;
  readonly removed: readonly bigint[];
}

export function compareWorkloads(
  before: ReadonlyMap<bigint, number>,
  after: ReadonlyMap<bigint, number>,
): WorkloadChanges {
  return {
    set: new Map([...after].filter(([id, set]) => before.get(id) !== set)),
    removed: [...before.keys()].filter((id) => !after.has(id)),
  };
}

interface SlotWorkloads {
  readonly sets: readonly PolicySet[];
  known: ReadonlyMap<bigint, number>;
}

/** The workloads of both slots, as this process wrote them into the kernel. */
export class WorkloadFollower {
  readonly #cgroupRoot: string;
  readonly #slots: [SlotWorkloads | null, SlotWorkloads | null] = [null, null];

  constructor(cgroupRoot: string) {
    this.#cgroupRoot = cgroupRoot;
  }

  forget(slot: 0 | 1): void {
    this.#slots[slot] = null;
  }

  follows(slot: 0 | 1): boolean {
    return this.#slots[slot] !== null;
  }

  /** Looks for the cgroups of a program that is about to fill a slot. */
  find(sets: readonly PolicySet[]): ReadonlyMap<bigint, number> {
    return findWorkloads(this.#cgroupRoot, sets);
  }

  follow(slot: 0 | 1, sets: readonly PolicySet[], known: ReadonlyMap<bigint, number>): void {
    this.#slots[slot] = { sets, known };
  }

  /** Writes what changed since. True when anything did. */
  refresh(tree: PinnedTree, slot: 0 | 1): boolean {
    const workloads = this.#slots[slot];
    if (workloads === null || workloads.sets.length < 2) return false;
    const found = this.find(workloads.sets);
    const changes = compareWorkloads(workloads.known, found);
    if (changes.set.size + changes.removed.length === 0) return false;
    withWorkloads(tree, slot, (fd) => writeChanges(fd, changes));
    workloads.known = found;
    return true;
  }
}

function writeChanges(fd: number, changes: WorkloadChanges): void {
  const { keys, values, count } = packWorkloads(changes.set);
  for (let position = 0; position < count; position++)
    updateElement(fd, keys.subarray(position * 8, position * 8 + 8), values.subarray(position * 4, position * 4 + 4));
  for (const id of changes.removed) {
    const key = Buffer.alloc(8);
    key.writeBigUInt64LE(id);
    deleteElement(fd, key);
  }
}
