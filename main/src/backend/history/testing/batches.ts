import type { IngestBatch } from "../flow-history.ts";

/** Batches of one of three made-up hosts. */
export function batchOf(hostId: string, batches: IngestBatch["batches"]): IngestBatch {
  const hostName = { h1: "alpha", h2: "beta", h3: "gamma" }[hostId] ?? hostId;
  return { hostId, hostName, journalId: `journal-${hostId}`, batches };
}
