/** The largest number below 2^64. */
const MOST = 2 ** 64 - 2 ** 11;

/** A count as the wire has it: sums of what a host that lies has said have no bound. */
export function wireCount(count: number): bigint {
  return BigInt(Math.min(count, MOST));
}
