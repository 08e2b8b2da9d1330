/** Cgroups that the agent has looked at: the datapath lets flows of all others wait while the agent is about to. */
import { deleteElement, readBatches, updateBatch } from "../../linux/bpf/libbpf.ts";

const SIZES = { keySize: 8, valueSize: 4, cursorSize: 4 };
/** Half of the kernel's room. Ids are never used again, so those of removed cgroups may stay a while. */
const MAX_KNOWN = 32_768;

export class KnownCgroups {
  readonly #fd: number;
  readonly #ids = new Set<bigint>();

  constructor(fd: number) {
    this.#fd = fd;
    for (const { keys, count } of readBatches(fd, SIZES))
      for (let position = 0; position < count; position++) this.#ids.add(keys.readBigUInt64LE(position * 8));
  }

  /** Tells the kernel about those that are new. Call it after their workloads were written. */
  add(ids: readonly bigint[]): void {
    const added = ids.filter((id) => !this.#ids.has(id));
    if (added.length === 0) return;
    this.#makeRoom(added.length, new Set(ids));
    const keys = Buffer.alloc(added.length * 8);
    added.forEach((id, position) => void keys.writeBigUInt64LE(id, position * 8));
    updateBatch(this.#fd, keys, Buffer.alloc(added.length * 4, 1), added.length);
    for (const id of added) this.#ids.add(id);
  }

  /** Forgets the oldest that no longer exist. */
  #makeRoom(needed: number, existing: ReadonlySet<bigint>): void {
    const key = Buffer.alloc(8);
    for (const id of this.#ids) {
      if (this.#ids.size + needed <= MAX_KNOWN) return;
      if (existing.has(id)) continue;
      key.writeBigUInt64LE(id);
      deleteElement(this.#fd, key);
      this.#ids.delete(id);
    }
  }
}
