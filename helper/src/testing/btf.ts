/** Reads struct layouts from the `.BTF` section of an object file (Documentation/bpf/btf.rst). Little-endian ELF64 only. */

export interface StructLayout {
  readonly sizeBytes: number;
  /** Byte offset of each named member. */
  readonly members: ReadonlyMap<string, number>;
}

const KIND = { int: 1, array: 3, struct: 4, union: 5, enum: 6, variable: 14, section: 15 } as const;
const FUNC_PROTO = 13;
const DECLARATION_TAG = 17;
const ENUM64 = 19;
const HEADER_MAGIC = 0xeb9f;

/** Bytes of a section. Throws when the object has none of that name. */
export function readElfSection(object: Buffer, name: string): Buffer {
  const headers = Number(object.readBigUInt64LE(40));
  const headerSize = object.readUInt16LE(58);
  const count = object.readUInt16LE(60);
  const section = (index: number): { name: number; offset: number; size: number } => {
    const at = headers + index * headerSize;
    return {
      name: object.readUInt32LE(at),
      offset: Number(object.readBigUInt64LE(at + 24)),
      size: Number(object.readBigUInt64LE(at + 32)),
    };
  };
  const names = section(object.readUInt16LE(62));
  for (let index = 0; index < count; index++) {
    const { name: nameOffset, offset, size } = section(index);
    if (readString(object, names.offset + nameOffset) === name) return object.subarray(offset, offset + size);
  }
  throw new Error(`no section ${name}`);
}

function readString(bytes: Buffer, offset: number): string {
  return bytes.toString("utf8", offset, bytes.indexOf(0, offset));
}

/** Bytes that follow the 12 of a type's header. */
function trailingBytes(kind: number, members: number): number {
  if (kind === KIND.int || kind === KIND.variable || kind === DECLARATION_TAG) return 4;
  if (kind === KIND.array) return 12;
  if (kind === KIND.struct || kind === KIND.union || kind === KIND.section || kind === ENUM64) return members * 12;
  if (kind === KIND.enum || kind === FUNC_PROTO) return members * 8;
  return 0;
}

/** Every named struct of an object. */
export function readStructLayouts(object: Buffer): ReadonlyMap<string, StructLayout> {
  const btf = readElfSection(object, ".BTF");
  if (btf.readUInt16LE(0) !== HEADER_MAGIC) throw new Error("not BTF");
  const types = btf.readUInt32LE(4) + btf.readUInt32LE(8);
  const end = types + btf.readUInt32LE(12);
  const strings = btf.readUInt32LE(4) + btf.readUInt32LE(16);
  const layouts = new Map<string, StructLayout>();
  for (let at = types; at < end; ) {
    const info = btf.readUInt32LE(at + 4);
    const kind = (info >>> 24) & 0x1f;
    const count = info & 0xffff;
    if (kind === KIND.struct) {
      const members = new Map<string, number>();
      for (let member = at + 12; member < at + 12 + count * 12; member += 12)
        members.set(readString(btf, strings + btf.readUInt32LE(member)), (btf.readUInt32LE(member + 8) & 0xffffff) / 8);
      layouts.set(readString(btf, strings + btf.readUInt32LE(at)), { sizeBytes: btf.readUInt32LE(at + 8), members });
    }
    at += 12 + trailingBytes(kind, count);
  }
  return layouts;
}
