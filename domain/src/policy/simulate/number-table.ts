/** Numbers for keys of five whole numbers: a hash table in flat memory, because maps in maps miss every cache. */

export const NUMBERS_IN_KEY = 5;
const FIRST_CAPACITY = 2 ** 10;

export class NumberTable {
  #capacity = FIRST_CAPACITY;
  /** Keys by their number, in the order in which they came. */
  #keys = new Int32Array((FIRST_CAPACITY / 2) * NUMBERS_IN_KEY);
  /** Number of the key plus one; 0 = free. */
  #slots = new Int32Array(FIRST_CAPACITY);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The number of a key: {@link size} before the call when it is new, negative when it is new and must not be added. */
  numberOf(first: number, second: number, third: number, fourth: number, fifth: number, mayAdd = true): number {
    const mask = this.#capacity - 1;
    const keys = this.#keys;
    for (let slot = hashOf(first, second, third, fourth, fifth) & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]! - 1;
      if (number < 0) return mayAdd ? this.#add(slot, first, second, third, fourth, fifth) : number;
      const at = number * NUMBERS_IN_KEY;
      if (
        keys[at] === first &&
        keys[at + 1] === second &&
        keys[at + 2] === third &&
        keys[at + 3] === fourth &&
        keys[at + 4] === fifth
      ) {
        return number;
      }
    }
  }

  #add(slot: number, first: number, second: number, third: number, fourth: number, fifth: number): number {
    const number = this.#size++;
    const at = number * NUMBERS_IN_KEY;
    this.#keys[at] = first;
    this.#keys[at + 1] = second;
    this.#keys[at + 2] = third;
    this.#keys[at + 3] = fourth;
    this.#keys[at + 4] = fifth;
    this.#slots[slot] = number + 1;
    if (this.#size * 2 >= this.#capacity) this.#grow();
    return number;
  }

  /** At most half of the slots are in use. */
  #grow(): void {
    this.#capacity *= 2;
    const keys = new Int32Array((this.#capacity / 2) * NUMBERS_IN_KEY);
    keys.set(this.#keys);
    this.#keys = keys;
    this.#slots = new Int32Array(this.#capacity);
    const mask = this.#capacity - 1;
    for (let number = 0; number < this.#size; number++) {
      const at = number * NUMBERS_IN_KEY;
      let slot = hashOf(keys[at]!, keys[at + 1]!, keys[at + 2]!, keys[at + 3]!, keys[at + 4]!) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = number + 1;
    }
  }
}

/** Multiply and shift for each number; the last shift brings the high bits to where slots are taken from. */
function hashOf(first: number, second: number, third: number, fourth: number, fifth: number): number {
  let hash = Math.imul(first ^ 0x2545f491, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15) ^ second, 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 15) ^ third, 0xc2b2ae3d);
  hash = Math.imul(hash ^ (hash >>> 15) ^ fourth, 0x27d4eb2f);
  hash = Math.imul(hash ^ (hash >>> 15) ^ fifth, 0x9e3779b1);
  return hash ^ (hash >>> 16);
}
