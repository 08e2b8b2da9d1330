/**
 * Notices new cgroups within milliseconds, by inotify on every directory of the hierarchy. Only a hint to look again: what
 * comes between the making of a cgroup and that look waits in the datapath (see `wl_known_cgroups`).
 */
import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import type { CgroupDirectory } from "../../linux/cgroups.ts";

/** Far below the usual limit of inotify watches per user; beyond it the second's poll has to do. */
const MAX_WATCHES = 4096;

export class CgroupWatch {
  readonly #root: string;
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  #isScheduled = false;
  #isClosed = false;

  constructor(root: string, onChange: () => void) {
    this.#root = root;
    this.#onChange = onChange;
  }

  /** Watches the root and these, and nothing else. True when a directory was not watched before: look once more then. */
  update(cgroups: readonly CgroupDirectory[]): boolean {
    const wanted = new Set(["/", ...cgroups.map(({ path }) => path)]);
    for (const [path, watcher] of this.#watchers) {
      if (wanted.has(path)) continue;
      watcher.close();
      this.#watchers.delete(path);
    }
    let isNew = false;
    for (const path of wanted) if (!this.#watchers.has(path)) isNew = this.#add(path) || isNew;
    return isNew;
  }

  close(): void {
    this.#isClosed = true;
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #add(path: string): boolean {
    if (this.#isClosed || this.#watchers.size >= MAX_WATCHES) return false;
    try {
      const watcher = watch(join(this.#root, path), { persistent: false }, (event) => {
        if (event === "rename") this.#schedule();
      });
      // It vanished, or the kernel has no more watches: the poll finds out.
      watcher.on("error", () => watcher.close());
      this.#watchers.set(path, watcher);
      return true;
    } catch {
      return false;
    }
  }

  /** Many cgroups that appear at once are looked at once. */
  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (!this.#isClosed) this.#onChange();
    });
  }
}
