/** Which cgroup belongs to which policy set, kept up to date while cgroups come and go. */
import type { PolicySet } from "@wardline/domain/policy";
import { createCgroupMatcher, listCgroups } from "../../linux/cgroups.ts";
import type { PackedTable } from "./image.ts";

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
