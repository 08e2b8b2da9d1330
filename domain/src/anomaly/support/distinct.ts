/**
 * How many different values there were, in bounded memory: exact up to 64, then a HyperLogLog of 256 registers (standard error
 * 6.5 %). Over time as a ring of buckets, so that old values leave.
 */
export interface Distinct {
  /** 32 mixed bits each; empty once the registers are used. */
  values: number[];
  registers: Uint8Array | null;
}

const EXACT_LIMIT = 64;
const REGISTERS = 256;
const REGISTER_BITS = 8;
const ALPHA = 0.7213 / (1 + 1.079 / REGISTERS);

export function distinct(): Distinct {
  return { values: [], registers: null };
}

/** `bits` must be well mixed. True when the count grew, as far as can be told. */
export function addDistinct(counter: Distinct, bits: number): boolean {
  if (counter.registers) return addToRegisters(counter.registers, bits);
  if (counter.values.includes(bits)) return false;
  counter.values.push(bits);
  if (counter.values.length > EXACT_LIMIT) {
    counter.registers = registersOf(counter);
    counter.values = [];
  }
  return true;
}

export function countDistinct(counter: Distinct): number {
  return counter.registers ? estimate(counter.registers) : counter.values.length;
}

function addToRegisters(registers: Uint8Array, bits: number): boolean {
  const index = bits & (REGISTERS - 1);
  const rank = Math.clz32(bits >>> REGISTER_BITS) - REGISTER_BITS + 1;
  if ((registers[index] ?? 0) >= rank) return false;
  registers[index] = rank;
  return true;
}

function registersOf(counter: Distinct): Uint8Array {
  if (counter.registers) return counter.registers;
  const registers = new Uint8Array(REGISTERS);
  for (const bits of counter.values) addToRegisters(registers, bits);
  return registers;
}

function estimate(registers: Uint8Array): number {
  let sum = 0;
  let zeros = 0;
  for (const rank of registers) {
    sum += 2 ** -rank;
    if (rank === 0) zeros++;
  }
  const raw = (ALPHA * REGISTERS * REGISTERS) / sum;
  return Math.round(raw <= 2.5 * REGISTERS && zeros > 0 ? REGISTERS * Math.log(REGISTERS / zeros) : raw);
}

/** The last `buckets` pieces of time, each `bucketMs` long. */
export interface RollingDistinct {
  readonly bucketMs: number;
  readonly buckets: number;
  /** Oldest first. */
  parts: { slot: number; counter: Distinct }[];
}

export function rollingDistinct(bucketMs: number, buckets: number): RollingDistinct {
  return { bucketMs, buckets, parts: [] };
}

/** True when the count of the newest bucket grew. */
export function addRolling(rolling: RollingDistinct, bits: number, atMs: number): boolean {
  const slot = Math.floor(atMs / rolling.bucketMs);
  let last = rolling.parts.at(-1);
  if (last === undefined || last.slot < slot) {
    last = { slot, counter: distinct() };
    rolling.parts.push(last);
  }
  dropOldParts(rolling, slot);
  return addDistinct(last.counter, bits);
}

export function countRolling(rolling: RollingDistinct, atMs: number): number {
  dropOldParts(rolling, Math.floor(atMs / rolling.bucketMs));
  const [first, ...others] = rolling.parts;
  if (first === undefined) return 0;
  if (others.length === 0) return countDistinct(first.counter);
  if (rolling.parts.every(({ counter }) => counter.registers === null)) {
    return new Set(rolling.parts.flatMap(({ counter }) => counter.values)).size;
  }
  const merged = new Uint8Array(REGISTERS);
  for (const { counter } of rolling.parts) {
    const registers = registersOf(counter);
    for (let index = 0; index < REGISTERS; index++) {
      if ((registers[index] ?? 0) > (merged[index] ?? 0)) merged[index] = registers[index] ?? 0;
    }
  }
  return estimate(merged);
}

function dropOldParts(rolling: RollingDistinct, slot: number): void {
  while (rolling.parts[0] !== undefined && rolling.parts[0].slot <= slot - rolling.buckets) rolling.parts.shift();
}
