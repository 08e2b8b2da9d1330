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

/** A function of the object with its own frame in bytes, and the functions that it calls. */
export interface BpfFunction {
  readonly name: string;
  readonly frameBytes: number;
  readonly callees: readonly string[];
}

const SYMBOL_BYTES = 24;
const RELOCATION_BYTES = 16;
const FUNCTION_SYMBOL = 2;
const PSEUDO_CALL = 1;
const FRAME_POINTER = 10;
const COPY = 0xbf;
const ADD_NUMBER = 0x07;
/** Instruction classes that read or write memory: LDX, ST, STX. */
const MEMORY_CLASSES: readonly number[] = [1, 2, 3];

interface Symbol {
  readonly name: string;
  readonly isFunction: boolean;
  readonly section: number;
  readonly value: number;
  readonly size: number;
}

function readSymbols(sections: readonly ElfSection[]): readonly Symbol[] {
  const table = sections.find(({ name }) => name === ".symtab")?.bytes ?? Buffer.alloc(0);
  const names = sections.find(({ name }) => name === ".strtab")?.bytes ?? Buffer.alloc(0);
  return Array.from({ length: table.length / SYMBOL_BYTES }, (_, index) => {
    const at = index * SYMBOL_BYTES;
    const name = table.readUInt32LE(at);
    return {
      name: names.toString("utf8", name, names.indexOf(0, name)),
      isFunction: (table.readUInt8(at + 4) & 15) === FUNCTION_SYMBOL,
      section: table.readUInt16LE(at + 6),
      value: Number(table.readBigUInt64LE(at + 8)),
      size: Number(table.readBigUInt64LE(at + 16)),
    };
  });
}

/** The deepest byte below the frame pointer that the instructions touch, or take the address of. */
function frameOf(code: Buffer): number {
  let deepest = 0;
  const copies = new Set<number>();
  for (let at = 0; at + INSTRUCTION_BYTES <= code.length; at += INSTRUCTION_BYTES) {
    const operation = code.readUInt8(at);
    const registers = code.readUInt8(at + 1);
    const [target, source] = [registers & 15, registers >> 4];
    if (MEMORY_CLASSES.includes(operation & 7)) {
      const base = (operation & 7) === 1 ? source : target;
      if (base === FRAME_POINTER) deepest = Math.max(deepest, -code.readInt16LE(at + 2));
    } else if (operation === COPY) {
      if (source === FRAME_POINTER) copies.add(target);
      else copies.delete(target);
    } else if (operation === ADD_NUMBER && copies.delete(target)) {
      deepest = Math.max(deepest, -code.readInt32LE(at + 4));
    }
  }
  return deepest;
}

/** Every function, by its symbol. Calls between sections are relocations; those within one are offsets. */
export function readFunctions(object: Buffer): readonly BpfFunction[] {
  const sections = readElfSections(object);
  const symbols = readSymbols(sections);
  const functions = symbols.filter(({ isFunction }) => isFunction);
  return functions.map(({ name, section, value, size }) => {
    const own = sections[section];
    const relocations = sections.find((other) => other.name === `.rel${own?.name}`)?.bytes ?? Buffer.alloc(0);
    const called = new Map<number, Symbol | undefined>();
    for (let at = 0; at < relocations.length; at += RELOCATION_BYTES)
      called.set(Number(relocations.readBigUInt64LE(at)), symbols[relocations.readUInt32LE(at + 12)]);
    const code = own?.bytes.subarray(value, value + size) ?? Buffer.alloc(0);
    const callees: string[] = [];
    for (let at = 0; at + INSTRUCTION_BYTES <= code.length; at += INSTRUCTION_BYTES) {
      if (code.readUInt8(at) !== CALL || code.readUInt8(at + 1) >> 4 !== PSEUDO_CALL) continue;
      const symbol = called.get(value + at);
      // A relocation against a section says with the instruction where in it the function begins.
      const place = symbol === undefined ? value + at : symbol.value;
      const begins = place + (code.readInt32LE(at + 4) + 1) * INSTRUCTION_BYTES;
      const callee = symbol?.isFunction
        ? symbol
        : functions.find((other) => other.section === (symbol?.section ?? section) && other.value === begins);
      if (callee === undefined) throw new Error(`${name} calls something unknown at ${at}`);
      callees.push(callee.name);
    }
    return { name, frameBytes: frameOf(code), callees };
  });
}
