/** Plain data with maps, sets and typed arrays as JSON and back, without loss. */
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";

const TYPED = { f32: Float32Array, u8: Uint8Array, u32: Uint32Array } as const;
type TypedName = keyof typeof TYPED;

export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== "object" || part === null) return part;
    if (part instanceof Map) return { $map: [...part] };
    if (!ArrayBuffer.isView(part)) return part;
    for (const name of Object.keys(TYPED) as TypedName[]) {
      if (part instanceof TYPED[name])
        return { [`$${name}`]: bytesToHex(new Uint8Array(part.buffer, part.byteOffset, part.byteLength)) };
    }
    return part;
  });
}

/** @throws SyntaxError or TypeError when it is no such text. */
export function fromJson(text: string): unknown {
  return JSON.parse(text, (_, part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    const keys = Object.keys(part);
    const [key = ""] = keys;
    if (keys.length !== 1 || !key.startsWith("$")) return part;
    const inner = (part as Record<string, unknown>)[key];
    if (key === "$map" && Array.isArray(inner)) return new Map(inner as [unknown, unknown][]);
    const type = TYPED[key.slice(1) as TypedName];
    if (type !== undefined && typeof inner === "string") return new type(hexToBytes(inner).slice().buffer);
    throw new TypeError(`unknown part ${key.slice(0, 20)}`);
  });
}

/** Whether `value` has the parts of `like`, of the same types, as far as `like` shows them. */
export function hasShapeOf(like: unknown, value: unknown): boolean {
  if (like === null) return true;
  if (value === null || value === undefined) return false;
  if (typeof like !== typeof value) return false;
  if (typeof like === "number") return Number.isFinite(value);
  if (typeof like !== "object") return true;
  if (Array.isArray(like) || like instanceof Map || ArrayBuffer.isView(like)) {
    return Object.getPrototypeOf(like) === Object.getPrototypeOf(value);
  }
  if (Array.isArray(value) || value instanceof Map) return false;
  return Object.entries(like).every(([key, part]) => hasShapeOf(part, (value as Record<string, unknown>)[key]));
}
