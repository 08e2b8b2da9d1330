/** Attributes of netlink messages: length, type, value, padded to four bytes; some hold attributes themselves. */

export const ATTRIBUTE_HEADER_BYTES = 4;
const TYPE_MASK = 0x3fff;

export interface Attribute {
  readonly type: number;
  readonly value: Buffer;
}

export function readAttributes(bytes: Buffer): readonly Attribute[] {
  const attributes: Attribute[] = [];
  for (let start = 0; start + ATTRIBUTE_HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16LE(start);
    if (length < ATTRIBUTE_HEADER_BYTES || start + length > bytes.length) throw new Error("a netlink attribute is cut");
    const value = bytes.subarray(start + ATTRIBUTE_HEADER_BYTES, start + length);
    attributes.push({ type: bytes.readUInt16LE(start + 2) & TYPE_MASK, value });
    start += Math.ceil(length / ATTRIBUTE_HEADER_BYTES) * ATTRIBUTE_HEADER_BYTES;
  }
  return attributes;
}

/** Value of the first attribute of a type; `null` when there is none. Makes nothing else: tables have 100,000 elements. */
export function findAttribute(bytes: Buffer, type: number): Buffer | null {
  for (let start = 0; start + ATTRIBUTE_HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16LE(start);
    if (length < ATTRIBUTE_HEADER_BYTES || start + length > bytes.length) throw new Error("a netlink attribute is cut");
    if ((bytes.readUInt16LE(start + 2) & TYPE_MASK) === type) {
      return bytes.subarray(start + ATTRIBUTE_HEADER_BYTES, start + length);
    }
    start += (length + ATTRIBUTE_HEADER_BYTES - 1) & -ATTRIBUTE_HEADER_BYTES;
  }
  return null;
}

/** The value inside attributes inside attributes. */
export function findNested(bytes: Buffer, ...types: readonly number[]): Buffer | null {
  let inner: Buffer | null = bytes;
  for (const type of types) {
    if (inner === null) return null;
    inner = findAttribute(inner, type);
  }
  return inner;
}

export function textOf(value: Buffer | null): string {
  if (value === null) return "";
  const end = value.indexOf(0);
  return value.toString("utf8", 0, end === -1 ? value.length : end);
}

export function textAttribute(type: number, text: string): Buffer {
  return attribute(type, Buffer.from(`${text}\0`));
}

export function numberAttribute(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return attribute(type, bytes);
}

function attribute(type: number, value: Buffer): Buffer {
  const padded = Math.ceil(value.length / ATTRIBUTE_HEADER_BYTES) * ATTRIBUTE_HEADER_BYTES;
  const bytes = Buffer.alloc(ATTRIBUTE_HEADER_BYTES + padded);
  bytes.writeUInt16LE(ATTRIBUTE_HEADER_BYTES + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  value.copy(bytes, ATTRIBUTE_HEADER_BYTES);
  return bytes;
}
