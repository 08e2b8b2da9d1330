/**
 * The flows of the layout before, for the table of a new tree: who opened them, or replies and old connections would be
 * judged by a guess once the new tree decides. Their counts stay behind: that layout did not tell the ends apart.
 */
import { closeSync } from "node:fs";
import { join } from "node:path";
import { mapInfo, openPin, readBatches, updateBatch } from "../../linux/bpf/libbpf.ts";
import { BpfError } from "../../linux/bpf/library.ts";
import { FLOW, FLOW_KEY } from "./layout.ts";

/** `wardline_flow` of layout 3. */
const FORMER = {
  directory: "layout-3",
  size: 56,
  lastSeenNs: 0,
  cgroupId: 24,
  set: 40,
  flags: 44,
  policyPort: 48,
  tick: 52,
};
const ENTRIES_AT_ONCE = 4096;

/**
 * Copies flows that were allowed or denied there. They carry no epoch, so each is judged again with its next packet after the
 * first activation. Returns how many; 0 where there is no such tree, or none that can be read: that is no reason not to start.
 */
export function takeFormerFlows(bpffsDir: string, flowsFd: number): number {
  const formerFd = openPin(join(bpffsDir, FORMER.directory, "wl_flows"));
  if (formerFd === null) return 0;
  try {
    const { keySize, valueSize } = mapInfo(formerFd);
    if (keySize !== FLOW_KEY.size || valueSize !== FORMER.size) return 0;
    let taken = 0;
    const sizes = { keySize, valueSize, cursorSize: 4 };
    for (const { keys, values, count } of readBatches(formerFd, sizes, ENTRIES_AT_ONCE)) {
      const flows = Buffer.alloc(count * FLOW.size);
      for (let position = 0; position < count; position++) {
        const from = position * FORMER.size;
        const to = position * FLOW.size;
        const copy = (former: number, now: number, bytes: number) =>
          values.copy(flows, to + now, from + former, from + former + bytes);
        copy(FORMER.lastSeenNs, FLOW.lastSeenNs, 8);
        copy(FORMER.cgroupId, FLOW.cgroupId, 8);
        copy(FORMER.set, FLOW.set, 4);
        copy(FORMER.flags, FLOW.flags, 4);
        // With the direction behind it.
        copy(FORMER.policyPort, FLOW.policyPort, 3);
        copy(FORMER.tick, FLOW.tick, 4);
      }
      updateBatch(flowsFd, keys, flows, count);
      taken += count;
    }
    return taken;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return 0;
  } finally {
    closeSync(formerFd);
  }
}
