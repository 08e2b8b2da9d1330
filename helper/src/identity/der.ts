/**
 * The little of DER that is needed to look into a certificate: definite lengths, tags below 31. Node gives the alternative
 * names of a certificate only as one line of text, in which a name can pretend to be several. Throws DerError for what does
 * not fit; the bytes may come from anybody.
 */

export class DerError extends Error {}

export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
  /** With its tag and length. */
  readonly encoded: Uint8Array;
}

const MAX_ELEMENTS = 256;

export const TAG = {
  boolean: 0x01,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  sequence: 0x30,
} as const;

function readLength(bytes: Uint8Array, at: number): { readonly length: number; readonly next: number } {
  const first = bytes[at];
  if (first === undefined) throw new DerError("the length is missing");
  if (first < 0x80) return { length: first, next: at + 1 };
  const count = first & 0x7f;
  if (count === 0 || count > 3) throw new DerError("the length has no form that is allowed");
  let length = 0;
  for (let index = 1; index <= count; index += 1) {
    const byte = bytes[at + index];
    if (byte === undefined) throw new DerError("the length is cut short");
    length = length * 256 + byte;
  }
  const smallest = count === 1 ? 0x80 : 256 ** (count - 1);
  if (length < smallest) throw new DerError("the length is longer than it has to be");
  return { length, next: at + 1 + count };
}

/** The values that follow each other in `bytes`, which they fill to the last byte. */
export function readValues(bytes: Uint8Array): DerValue[] {
  const values: DerValue[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at] as number;
    if ((tag & 0x1f) === 0x1f) throw new DerError("the tag has several bytes");
    const { length, next } = readLength(bytes, at + 1);
    if (next + length > bytes.length) throw new DerError("a value is cut short");
    values.push({ tag, content: bytes.subarray(next, next + length), encoded: bytes.subarray(at, next + length) });
    if (values.length > MAX_ELEMENTS) throw new DerError("there are too many values");
    at = next + length;
  }
  return values;
}

/** The one value that `bytes` is. */
export function readValue(bytes: Uint8Array, tag: number): Uint8Array {
  const [value, ...more] = readValues(bytes);
  if (value === undefined || more.length > 0) throw new DerError("there is not exactly one value");
  return contentOf(value, tag);
}

export function contentOf(value: DerValue | undefined, tag: number): Uint8Array {
  if (value?.tag !== tag) throw new DerError(`there is no value with the tag ${tag} where one has to be`);
  return value.content;
}

export function readBoolean(content: Uint8Array): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw new DerError("a boolean is neither");
  return content[0] === 0xff;
}

/** Dotted decimal. */
export function readObjectIdentifier(content: Uint8Array): string {
  if (content.length === 0 || content.length > 32)
    throw new DerError("an object identifier has no length that is used");
  const numbers: number[] = [];
  let number = 0;
  for (const byte of content) {
    number = number * 128 + (byte & 0x7f);
    if (number > Number.MAX_SAFE_INTEGER / 256) throw new DerError("an object identifier has too large a number");
    if (byte & 0x80) continue;
    numbers.push(number);
    number = 0;
  }
  if ((content.at(-1) as number) & 0x80) throw new DerError("an object identifier is cut short");
  const first = numbers[0] as number;
  const top = Math.min(Math.floor(first / 40), 2);
  return [top, first - top * 40, ...numbers.slice(1)].join(".");
}
