/** The thread for what takes long and nobody waits for: sealing, merging, checking, removing a host. */
import { statSync } from "node:fs";
import type { HistoryResolution } from "../flow-history.ts";
import { describeFile, fileChecksum, writeDescription } from "./description.ts";
import { forgetInFile } from "./forget.ts";
import type { Description } from "./layout.ts";
import { DamagedFile } from "./partition-database.ts";
import { type RollUpOrder, rollUp } from "./roll-up.ts";
import { sealLeaf } from "./seal.ts";
import { serve } from "./thread-protocol.ts";

serve({
  seal({ path, leaf, nowMs }: { path: string; leaf: number; nowMs: number }) {
    sealLeaf(path, leaf, nowMs);
  },
  rollUp(order: RollUpOrder) {
    rollUp(order);
  },
  /** Makes the description again that a crash kept from being written. */
  describe({ path, resolution }: { path: string; resolution: HistoryResolution }) {
    writeDescription(path, describeFile(path, resolution));
  },
  /** Reads a sealed file whole and compares. */
  check({ path, description }: { path: string; description: Description }) {
    if (statSync(path).size !== description.sizeBytes) throw new DamagedFile(path, "it has another size than it had");
    if (fileChecksum(path) !== description.checksum) throw new DamagedFile(path, "its checksum is wrong");
  },
  forget({ path, resolution, hostId }: { path: string; resolution: HistoryResolution; hostId: string }) {
    return forgetInFile(path, resolution, hostId);
  },
});
