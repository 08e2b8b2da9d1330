/** Instructions of a BPF object file, without loading it. Little-endian ELF64 only. */

const EXECUTABLE = 4n;
const INSTRUCTION_BYTES = 8;
const CALL = 0x85;

export interface BpfCall {
  readonly section: string;
  /** `local` calls a function of the object, `kfunc` one of the kernel by its BTF. */
  readonly kind: "helper" | "local" | "kfunc";
  /** BPF_FUNC_* of <linux/bpf.h> for helpers. */
  readonly id: number;
}

const KINDS = ["helper", "local", "kfunc"] as const;

export interface ElfSection {
  readonly name: string;
  readonly flags: bigint;
  readonly bytes: Buffer;
}

export function readElfSections(object: Buffer): readonly ElfSection[] {
  const headers = Number(object.readBigUInt64LE(40));
  const headerSize = object.readUInt16LE(58);
  const count = object.readUInt16LE(60);
  const placeOf = (index: number) => {
    const at = headers + index * headerSize;
    return { offset: Number(object.readBigUInt64LE(at + 24)), size: Number(object.readBigUInt64LE(at + 32)), at };
  };
  const names = placeOf(object.readUInt16LE(62)).offset;
  return Array.from({ length: count }, (_, index) => {
    const { offset, size, at } = placeOf(index);
    const name = names + object.readUInt32LE(at);
    return {
      name: object.toString("utf8", name, object.indexOf(0, name)),
      flags: object.readBigUInt64LE(at + 8),
      bytes: object.subarray(offset, offset + size),
    };
  });
}

/** Every call instruction of every program and function. */
export function readCalls(object: Buffer): readonly BpfCall[] {
  return readElfSections(object)
    .filter(({ flags }) => (flags & EXECUTABLE) !== 0n)
    .flatMap(({ name: section, bytes }) => {
      const calls: BpfCall[] = [];
      for (let at = 0; at + INSTRUCTION_BYTES <= bytes.length; at += INSTRUCTION_BYTES) {
        if (bytes.readUInt8(at) !== CALL) continue;
        const kind = KINDS[bytes.readUInt8(at + 1) >> 4];
        if (kind !== undefined) calls.push({ section, kind, id: bytes.readInt32LE(at + 4) });
      }
      return calls;
    });
}
