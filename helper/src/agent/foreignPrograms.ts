/** Programs of others at the hooks that Wardline uses: any of them may drop what Wardline allows. */
import { closeSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type ForeignProgram, ForeignProgramSchema } from "@wardline/api/wardline/v1/host";
import { CGROUP_HOOKS } from "../enforce/ebpf/layout.ts";
import { attachedPrograms } from "../linux/bpf/attached.ts";
import { cgroupLinkInfo, openPin } from "../linux/bpf/libbpf.ts";

const LOOK_EVERY_MS = 10_000;
const MAX_LISTED = 64;

export class ForeignPrograms {
  readonly #cgroupRoot: string;
  readonly #bpffsDir: string;
  readonly #nowMs: () => number;
  #known: ForeignProgram[] = [];
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** `cgroupRoot`: empty when nothing is attached anywhere. */
  constructor(cgroupRoot: string, bpffsDir: string, nowMs: () => number) {
    this.#cgroupRoot = cgroupRoot;
    this.#bpffsDir = bpffsDir;
    this.#nowMs = nowMs;
  }

  /** At most 10 s old. Empty where the kernel cannot be asked. */
  list(): ForeignProgram[] {
    const nowMs = this.#nowMs();
    if (nowMs - this.#lookedAtMs >= LOOK_EVERY_MS) {
      this.#lookedAtMs = nowMs;
      this.#known = this.#look();
    }
    return this.#known;
  }

  #look(): ForeignProgram[] {
    if (this.#cgroupRoot === "") return [];
    try {
      const own = ownProgramIds(this.#bpffsDir);
      return attachedPrograms(this.#cgroupRoot, CGROUP_HOOKS)
        .filter(({ id }) => !own.has(id))
        .slice(0, MAX_LISTED)
        .map((program) => create(ForeignProgramSchema, program));
    } catch {
      // A cgroup that went, a kernel that refuses the question: the status must not fail for that.
      return [];
    }
  }
}

/** The programs behind the links that an agent pinned here. */
function ownProgramIds(bpffsDir: string): ReadonlySet<number> {
  const ids = new Set<number>();
  for (const tree of readdirSync(bpffsDir).filter((name) => name.startsWith("layout-"))) {
    for (const name of readdirSync(join(bpffsDir, tree))) {
      if (!name.startsWith("link_")) continue;
      const fd = openPin(join(bpffsDir, tree, name));
      if (fd === null) continue;
      ids.add(cgroupLinkInfo(fd).programId);
      closeSync(fd);
    }
  }
  return ids;
}
