/** Loading a program into the slot that decides nothing, in turns with everything else that the agent does. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgram } from "@wardline/domain/policy";
import { mapInfo } from "../../linux/bpf/libbpf.ts";
import type { PreparedProgram } from "../enforcer.ts";
import type { Control } from "./control.ts";
import type { Edge } from "./edge/edge.ts";
import { asFailure } from "./failure.ts";
import type { ImagePacker, TableImage } from "./image.ts";
import { selfTest } from "./selfTest.ts";
import type { SlotImages } from "./slotImages.ts";
import type { SlotReaders } from "./slotReaders.ts";
import type { Slots } from "./slots.ts";
import { finishInTurns, type Steps } from "./steps.ts";
import type { PinnedTree } from "./tree.ts";
import type { Upkeep } from "./upkeep.ts";
import { packWorkloads, type WorkloadFollower } from "./workloads.ts";

export interface PreparationParts {
  readonly tree: PinnedTree;
  readonly control: Control;
  readonly slots: Slots;
  readonly upkeep: Upkeep;
  readonly edge: Edge;
  readonly readers: SlotReaders;
  readonly workloads: WorkloadFollower;
  readonly packer: ImagePacker;
  readonly images: SlotImages;
  /** The program in force, as far as this process knows it: the self-test asks about what differs from it. */
  readonly before: HostProgram | null;
  /** False when the enforcer let go of the tree while others had their turn. */
  readonly isOpen: () => boolean;
}

/** One at a time. Throws `Failure`; then the slot cannot be returned to, and nothing else has changed. */
export async function prepareSlot(
  parts: PreparationParts,
  program: HostProgram,
  generation: number,
): Promise<PreparedProgram> {
  const start = performance.now();
  const maxDecisions = mapInfo(parts.tree.maps.wl_counters).maxEntries / 2;
  const image = await inTurns(parts, parts.packer.steps(program, maxDecisions));
  const slot = parts.slots.vacate();
  parts.workloads.forget(slot);
  const found = await inTurns(parts, fill(parts, slot, program, image));
  const filled = performance.now();
  await inTurns(parts, selfTest(parts.tree.programs.selftest, slot, program, parts.before));
  const tested = performance.now();
  asFailure(INTENTION, () => {
    parts.workloads.follow(slot, program.sets, found);
    // Before the flip: the datapath lets cgroups wait that nobody has looked at.
    parts.upkeep.refreshWorkloads();
    const { decisionCount, workloadSets } = image;
    parts.slots.labelFilled(slot, { generation, digest: program.digest, decisionCount, workloadSets });
  });
  const timings = { fillUs: Math.round((filled - start) * 1000), selfTestUs: Math.round((tested - filled) * 1000) };
  return { generation, program, timings };
}

const INTENTION = "take the new tables";

/** Returns the cgroups that were written. */
function* fill(
  { tree, control, edge, readers, workloads, images }: PreparationParts,
  slot: 0 | 1,
  program: HostProgram,
  image: TableImage,
): Steps<ReadonlyMap<bigint, number>> {
  const found = workloads.find(program.sets);
  readers.wait();
  yield* images.fill(tree, slot, image, packWorkloads(found));
  edge.fill(slot, program);
  control.renewStamp(slot);
  return found;
}

function inTurns<Result>({ isOpen }: PreparationParts, steps: Steps<Result>): Promise<Result> {
  return finishInTurns(asFailures(steps), () => {
    if (isOpen()) return;
    throw new Failure({
      code: ErrorCode.CANCELED,
      message: "The enforcer was closed while it prepared a generation. Nothing was changed.",
    });
  });
}

/** Errors of the kernel in any of the steps as `Failure`. */
function* asFailures<Result>(steps: Steps<Result>): Steps<Result> {
  for (;;) {
    const step = asFailure(INTENTION, () => steps.next());
    if (step.done) return step.value;
    yield;
  }
}
