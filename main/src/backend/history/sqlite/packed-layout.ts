/** Records on their way to the writer's thread: how they lie. Apart from the packing, so that threads need not load it. */

/** Columns of a packed record. Texts and addresses are indexes of `texts`, decisions of `decisions` plus 1 (0 = none). */
export const FIELD = {
  direction: 0,
  protocol: 1,
  source: 2,
  destination: 3,
  port: 4,
  sourceName: 5,
  destinationName: 6,
  observedName: 7,
  verdict: 8,
  enforced: 9,
  decision: 10,
  subject: 11,
  cgroup: 12,
  hook: 13,
  userId: 14,
  userName: 15,
  command: 16,
  executable: 17,
  hasProcess: 18,
  isKnownProcess: 19,
  startMs: 20,
  lengthMs: 21,
  firstMs: 22,
  lastMs: 23,
  started: 24,
  ended: 25,
  denied: 26,
  packets: 27,
  outBytes: 28,
  inBytes: 29,
  pid: 30,
  generation: 31,
  folded: 32,
} as const;
export const FIELD_COUNT = 33;

export interface PackedDecision {
  readonly wire: Uint8Array;
  readonly policyKeys: readonly string[];
  readonly summary: string;
  /** Two decisions with the same one are the same. */
  readonly key: string;
}

export interface PackedBatch {
  readonly hostId: string;
  readonly hostName: string;
  readonly journalId: string;
  readonly sequence: number;
  /** Records of it in {@link PackedBatches.records}. */
  readonly count: number;
}

export interface PackedBatches {
  readonly texts: readonly string[];
  readonly decisions: readonly PackedDecision[];
  /** {@link FIELD_COUNT} numbers for each record, in the order of the batches. */
  readonly records: Float64Array<ArrayBuffer>;
  readonly batches: readonly PackedBatch[];
}
