/**
 * Reads a BPF ring buffer in place, through its mapped memory: no callback from C, no system call per event. The layout
 * is part of the kernel's interface (Documentation/bpf/ringbuf.rst): one page with the consumer's position, one with the
 * producer's, then the data mapped twice in a row so that no record wraps.
 */
import { type MappedMemory, mapInfo, mapMemory, pageSize } from "./libbpf.ts";

const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;
const LENGTH_MASK = 0x3fff_ffff;
const HEADER_SIZE = 8;
/** Room that is given back at once: a few dozen records. */
const FREED_BYTES = 4096;

export class RingBuffer {
  readonly #consumer: MappedMemory;
  readonly #producer: MappedMemory;
  readonly #consumerPosition: BigUint64Array;
  readonly #producerPosition: BigUint64Array;
  readonly #headers: Int32Array;
  readonly #data: DataView;
  readonly #mask: number;

  constructor(mapFd: number) {
    const page = pageSize();
    const size = mapInfo(mapFd).maxEntries;
    this.#consumer = mapMemory(mapFd, page, 0, true);
    this.#producer = mapMemory(mapFd, page + 2 * size, page, false);
    this.#consumerPosition = new BigUint64Array(this.#consumer.memory, 0, 1);
    this.#producerPosition = new BigUint64Array(this.#producer.memory, 0, 1);
    this.#headers = new Int32Array(this.#producer.memory, page, (2 * size) / 4);
    this.#data = new DataView(this.#producer.memory, page, 2 * size);
    this.#mask = size - 1;
  }

  /**
   * Calls `read` for each record, oldest first, at most `limit` times, and frees their room. The view is valid only
   * during the call. Returns how many records were read.
   */
  drain(read: (view: DataView, offset: number, length: number) => void, limit: number): number {
    let position = Number(Atomics.load(this.#consumerPosition, 0));
    const end = Number(Atomics.load(this.#producerPosition, 0));
    let freed = position;
    let count = 0;
    try {
      while (position < end && count < limit) {
        // Positions pass 2^31 but not 2^53: bit operations take their low 32 bits, and the mask has fewer.
        const offset = position & this.#mask;
        const header = Atomics.load(this.#headers, offset >> 2) >>> 0;
        if ((header & BUSY) !== 0) break;
        const length = header & LENGTH_MASK;
        position += (length + HEADER_SIZE + 7) & ~7;
        if ((header & DISCARDED) === 0) {
          count += 1;
          read(this.#data, offset + HEADER_SIZE, length);
        }
        // In pieces: each time the line goes to the processors that write.
        if (position - freed < FREED_BYTES) continue;
        freed = position;
        Atomics.store(this.#consumerPosition, 0, BigInt(position));
      }
    } finally {
      if (position !== freed) Atomics.store(this.#consumerPosition, 0, BigInt(position));
    }
    return count;
  }

  close(): void {
    this.#consumer.unmap();
    this.#producer.unmap();
  }
}
