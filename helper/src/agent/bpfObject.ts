/** The compiled BPF object: an asset of the single executable, or what `make -C bpf` built. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { getRawAsset, isSea } from "node:sea";

export const BPF_OBJECT_ASSET = "wardline.bpf.o";

/** `null` when it was not built. */
export function readBpfObject(): Uint8Array | null {
  if (isSea()) return new Uint8Array(getRawAsset(BPF_OBJECT_ASSET));
  try {
    return readFileSync(join(import.meta.dirname, "../../../bpf/build", BPF_OBJECT_ASSET));
  } catch {
    return null;
  }
}
