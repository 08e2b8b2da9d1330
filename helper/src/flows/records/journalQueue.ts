/** Windows that wait for the disk: the newest of them, and how much was lost with the others. */
import type { EventLosses } from "../../enforce/enforcer.ts";

/** Encoded records of one window, in pieces that each become a batch. */
export interface RecordGroup {
  /** `records` fields of a `FlowRecordBatch`, at most 512 KiB each; one empty piece when there is only something to report. */
  readonly pieces: readonly Uint8Array[];
  readonly records: number;
  /** Events that are in it; they are lost when it is. */
  readonly events: number;
  readonly sealedMs: number;
  readonly windowEndMs: number;
  /** Of the enforcer, since the group before. */
  readonly lost: EventLosses;
  /** Called right before it is written, each time that is tried, with the sequence of its last batch. */
  readonly prepare?: (lastSequence: bigint) => Promise<void>;
}

export interface LostEvents extends EventLosses {
  /** Events of windows that never reached the disk. */
  readonly unwritten: bigint;
}

export const NOTHING_LOST: LostEvents = { ringFull: 0n, rateLimited: 0n, notFollowed: 0n, unwritten: 0n };

export class JournalQueue {
  readonly #maxBytes: number;
  readonly #groups: RecordGroup[] = [];
  #sizeBytes = 0;
  #lost = NOTHING_LOST;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get first(): RecordGroup | undefined {
    return this.#groups[0];
  }

  get length(): number {
    return this.#groups.length;
  }

  /** What was lost since the last group that left; for the batch that is written next. */
  get lost(): LostEvents {
    return this.#lost;
  }

  /** Drops the oldest when there are too many. Returns how many events were lost with them. */
  push(group: RecordGroup): number {
    this.#groups.push(group);
    this.#sizeBytes += sizeOf(group);
    this.#lost = add(this.#lost, { ...group.lost, unwritten: 0n });
    let dropped = 0;
    while (this.#sizeBytes > this.#maxBytes && this.#groups.length > 1) dropped += this.#dropFirst();
    return dropped;
  }

  /** The first group is on the disk, with everything that `lost` said. */
  shift(reported: LostEvents): void {
    const first = this.#groups.shift();
    if (first) this.#sizeBytes -= sizeOf(first);
    this.#lost = add(this.#lost, {
      ringFull: -reported.ringFull,
      rateLimited: -reported.rateLimited,
      notFollowed: -reported.notFollowed,
      unwritten: -reported.unwritten,
    });
  }

  #dropFirst(): number {
    const first = this.#groups.shift();
    if (!first) return 0;
    this.#sizeBytes -= sizeOf(first);
    this.#lost = add(this.#lost, { ...NOTHING_LOST, unwritten: BigInt(first.events) });
    return first.events;
  }
}

function sizeOf({ pieces }: RecordGroup): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

function add(left: LostEvents, right: LostEvents): LostEvents {
  return {
    ringFull: left.ringFull + right.ringFull,
    rateLimited: left.rateLimited + right.rateLimited,
    notFollowed: left.notFollowed + right.notFollowed,
    unwritten: left.unwritten + right.unwritten,
  };
}
