/** The search of bpf/src/tables.h in TypeScript, for tests of images that need no kernel. */
import { type ProgramPacket, parseAddress } from "@wardline/domain/policy";
import type { TableImage } from "../enforce/ebpf/image.ts";
import {
  BRANCH,
  BRANCH_KEYS,
  BUCKET_CLASSES,
  CLASS,
  CLASS_PROBES,
  LEAF,
  LEAF_RANGES,
  LINE_SIZE,
  PLACE_EGRESS,
  RESULT_DENY,
  TABLES,
  VALUE_FLAGS_SHIFT,
  WIDE_BRANCH,
  WIDE_KEYS,
  WIDE_LEAF,
} from "../enforce/ebpf/layout.ts";

export interface ImageAnswer {
  readonly decision: number;
  readonly deny: boolean;
}

/** `null` when the image has no answer, which the kernel would deny. */
export function answerFromImage(image: TableImage, packet: ProgramPacket): ImageAnswer | null {
  const view = new DataView(image.bytes.buffer, image.bytes.byteOffset, image.bytes.length);
  const word = (at: number): number => view.getUint32(at, true);
  const address = parseAddress(packet.remote);
  if (!address.ok) throw new RangeError(packet.remote);
  const bytes = new DataView(address.bytes.buffer, address.bytes.byteOffset, address.bytes.length);
  const atom =
    address.family === 4
      ? findRange(view, word(TABLES.ipv4Root), word(TABLES.ipv4Height), bytes.getUint32(0))
      : findWideRange(view, word(TABLES.ipv6Root), word(TABLES.ipv6Height), [
          bytes.getBigUint64(0),
          bytes.getBigUint64(8),
        ]);
  const direction = packet.direction === "egress" ? PLACE_EGRESS : 0;
  const tree = findClass(view, packet.set, (atom | direction) >>> 0) ?? findClass(view, packet.set, direction);
  if (tree === null) return null;
  const value = findRange(view, tree.root, tree.height, ((packet.protocol << 16) | packet.port) >>> 0);
  return { decision: value & 0x0fff_ffff, deny: ((value >>> VALUE_FLAGS_SHIFT) & RESULT_DENY) !== 0 };
}

function findRange(view: DataView, root: number, height: number, key: number): number {
  const countBelow = (at: number, keys: number): number => {
    let count = 0;
    for (let place = 0; place < keys; place++) count += Number(view.getUint32(at + place * 4, true) < key);
    return count;
  };
  let line = root;
  for (let level = 0; level < height; level++) {
    const at = line * LINE_SIZE;
    line = view.getUint32(at + BRANCH.firstChild, true) + countBelow(at + BRANCH.last, BRANCH_KEYS);
  }
  const at = line * LINE_SIZE;
  return view.getUint32(at + LEAF.value + 4 * countBelow(at + LEAF.last, LEAF_RANGES - 1), true);
}

function findWideRange(view: DataView, root: number, height: number, [high, low]: readonly [bigint, bigint]): number {
  const countBelow = (at: number): number => {
    let count = 0;
    for (let place = 0; place < WIDE_KEYS; place++) {
      const keyHigh = view.getBigUint64(at + place * 16, true);
      const keyLow = view.getBigUint64(at + place * 16 + 8, true);
      count += Number(keyHigh < high || (keyHigh === high && keyLow < low));
    }
    return count;
  };
  let line = root;
  for (let level = 0; level < height; level++) {
    const at = line * LINE_SIZE;
    line = view.getUint32(at + WIDE_BRANCH.firstChild, true) + countBelow(at + WIDE_BRANCH.last);
  }
  const at = line * LINE_SIZE;
  return view.getUint32(at + WIDE_LEAF.value + 4 * countBelow(at + WIDE_LEAF.last), true);
}

function findClass(view: DataView, set: number, place: number): { root: number; height: number } | null {
  const word = (at: number): number => view.getUint32(at, true);
  const product = Math.imul(place + Math.imul(set, 0x85eb_ca77), 0x9e37_79b1);
  const hash = product ^ (product >>> 16);
  for (let probe = 0; probe < CLASS_PROBES; probe++) {
    const bucket = word(TABLES.firstBucket) + ((hash + probe) & word(TABLES.bucketMask));
    for (let index = 0; index < BUCKET_CLASSES; index++) {
      const at = bucket * LINE_SIZE + index * CLASS.size;
      const root = word(at + CLASS.root);
      if (root === 0) return null;
      if (word(at + CLASS.place) === place && word(at + CLASS.set) === set)
        return { root, height: word(at + CLASS.height) };
    }
  }
  return null;
}
