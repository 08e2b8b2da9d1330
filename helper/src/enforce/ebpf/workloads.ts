/** Which cgroup belongs to which policy set, kept up to date while cgroups come and go. */
import { statSync } from "node:fs";
import type { PolicySet } from "@wardline/domain/policy";
import { monotonicTimeNs } from "../../linux/bootClock.ts";
import { deleteElement, updateElement } from "../../linux/bpf/libbpf.ts";
import { type CgroupDirectory, createCgroupMatcher, listCgroups, MAX_CGROUPS } from "../../linux/cgroups.ts";
import { CgroupWatch } from "./cgroupWatch.ts";
import type { Control } from "./control.ts";
import { KnownCgroups } from "./knownCgroups.ts";
import { type PackedTable, withWorkloads } from "./tables.ts";
import type { PinnedTree } from "./tree.ts";

/** cgroup id to set. Where several sets match one cgroup, the last one in the program's order has it. */
export function findWorkloads(
  cgroups: readonly CgroupDirectory[],
  sets: readonly PolicySet[],
): ReadonlyMap<bigint, number> {
  const matchers = sets.flatMap(({ id, match }) =>
    match === null ? [] : [{ id, matches: createCgroupMatcher(match) }],
  );
  const found = new Map<bigint, number>();
  if (matchers.length === 0) return found;
  for (const cgroup of cgroups)
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

/** How long the datapath lets flows of unknown cgroups wait after the last look; the agent looks every second. */
const HOLD_NS = 3_000_000_000n;

/** The workloads of both slots, as this process wrote them into the kernel. */
export class WorkloadFollower {
  readonly #cgroupRoot: string;
  readonly #slots: [SlotWorkloads | null, SlotWorkloads | null] = [null, null];
  #open: { readonly known: KnownCgroups; readonly watch: CgroupWatch } | null = null;

  constructor(cgroupRoot: string) {
    this.#cgroupRoot = cgroupRoot;
  }

  /** `onNewCgroup` is called a moment after a cgroup was made or removed: refresh then. */
  open(tree: PinnedTree, onNewCgroup: () => void): void {
    this.#open = {
      known: new KnownCgroups(tree.maps.wl_known_cgroups),
      watch: new CgroupWatch(this.#cgroupRoot, onNewCgroup),
    };
  }

  close(): void {
    this.#open?.watch.close();
    this.#open = null;
    this.forget(0);
    this.forget(1);
  }

  forget(slot: 0 | 1): void {
    this.#slots[slot] = null;
  }

  follows(slot: 0 | 1): boolean {
    return this.#slots[slot] !== null;
  }

  /** Looks for the cgroups of a program that is about to fill a slot. */
  find(sets: readonly PolicySet[]): ReadonlyMap<bigint, number> {
    return sets.length < 2 ? new Map() : findWorkloads(listCgroups(this.#cgroupRoot), sets);
  }

  follow(slot: 0 | 1, sets: readonly PolicySet[], known: ReadonlyMap<bigint, number>): void {
    this.#slots[slot] = { sets, known };
  }

  /**
   * Looks at every cgroup, writes what changed into both slots, and tells the datapath that it has looked. Returns the
   * slots that changed: their flows have to be judged again.
   */
  refresh(tree: PinnedTree, control: Control): readonly (0 | 1)[] {
    if (this.#open === null) return [];
    if (!this.#slots.some((slot) => slot !== null && slot.sets.length > 1)) {
      control.holdUnknownCgroups(0n);
      this.#open.watch.update([]);
      return [];
    }
    let cgroups = listCgroups(this.#cgroupRoot);
    // What was made below a directory before it was watched would be seen a second later.
    if (this.#open.watch.update(cgroups)) cgroups = listCgroups(this.#cgroupRoot);
    const changed = ([0, 1] as const).filter((slot) => this.#refreshSlot(tree, slot, cgroups));
    this.#open.known.add([rootId(this.#cgroupRoot), ...cgroups.map(({ id }) => id)]);
    const { slot: active, deadlineArmed } = control.read();
    const deciding = ([0, 1] as const).filter((slot) => slot === active || deadlineArmed);
    const knowsAll = cgroups.length < MAX_CGROUPS && deciding.every((slot) => this.#isFollowed(control, slot));
    control.holdUnknownCgroups(knowsAll ? monotonicTimeNs() + HOLD_NS : 0n);
    return changed;
  }

  /** A slot that an earlier process filled cannot be followed before its program is named again. */
  #isFollowed(control: Control, slot: 0 | 1): boolean {
    const { epoch, workloadSets } = control.readSlot(slot);
    return epoch === 0 || workloadSets === 0 || this.follows(slot);
  }

  #refreshSlot(tree: PinnedTree, slot: 0 | 1, cgroups: readonly CgroupDirectory[]): boolean {
    const workloads = this.#slots[slot];
    if (workloads === null || workloads.sets.length < 2) return false;
    const found = findWorkloads(cgroups, workloads.sets);
    const changes = compareWorkloads(workloads.known, found);
    if (changes.set.size + changes.removed.length === 0) return false;
    withWorkloads(tree, slot, (fd) => writeChanges(fd, changes));
    workloads.known = found;
    return true;
  }
}

function rootId(cgroupRoot: string): bigint {
  return statSync(cgroupRoot, { bigint: true }).ino;
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
