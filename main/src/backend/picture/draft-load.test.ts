/** Policies for a whole fleet from many records, and everybody else meanwhile. */
import type { FlowRecord } from "@wardline/domain/flows";
import { readPolicyFiles, stateDigest } from "@wardline/domain/policy";
import { expect, it } from "vitest";
import { systemClock } from "../ports.ts";
import { FlowReplays } from "../replay/flow-replays.ts";
import { hostAddress, largeFleet } from "../testing/large-fleet.ts";
import { watchTurns } from "../testing/longest-turn.ts";
import { draftFor } from "./draft-for.ts";

const HOSTS = 1_000;
const PIECES = 40;
const RECORDS_IN_PIECE = 1_000;

function record(index: number): FlowRecord & { readonly hostId: string } {
  const [from, to] = [index % HOSTS, (index * 7 + 1) % HOSTS];
  return {
    ...{ host: `host-${to}`, hostId: `host-${to}`, windowStartMs: 0, windowMs: 60_000, firstSeenMs: 1, lastSeenMs: 2 },
    ...{ direction: "ingress", protocol: 6, sourceAddress: hostAddress(from), destinationAddress: hostAddress(to) },
    ...{ destinationPort: 1_024 + (index % 400), sourceName: "", destinationName: "", observedName: "" },
    ...{ verdict: "allow", enforced: "allow", policyKeys: [], decisionSummary: "", subjectKey: `Host/host-${to}` },
    ...{ cgroupPath: "", process: { pid: 0, userId: 0, userName: "", command: "", executable: "" } },
    ...{ started: 20, ended: 20, deniedPackets: 0, packets: 40, originatorBytes: 1, responderBytes: 1, foldedFlows: 0 },
  };
}

async function* replay(): AsyncGenerator<readonly (FlowRecord & { readonly hostId: string })[]> {
  for (let piece = 0; piece < PIECES; piece++) {
    yield Array.from({ length: RECORDS_IN_PIECE }, (_, index) => record(piece * RECORDS_IN_PIECE + index));
    // A store answers piece by piece.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

it("leaves this thread to others while a draft is written", async () => {
  const files = largeFleet({ hosts: HOSTS, workloads: 0, rules: 0 });
  const { inventory } = readPolicyFiles(files).world;
  const replays = new FlowReplays({
    flows: { newestId: () => 0, oldestId: () => 0, countBetween: () => 0, recordedBetween: () => [] },
    clock: systemClock,
  });
  const stored = files.map((file) => ({ ...file, revision: 1, modifiedAtMs: 0 }));
  try {
    const { result, longestMs } = await watchTurns(() =>
      draftFor(
        {
          ...{ draft: { stateDigest: stateDigest(files), files: stored }, changed: [], replays, inventory },
          ...{ nodes: [{ members: inventory.endpoints }], grouping: { by: "labels", keys: ["app"] } },
          ...{ window: { sinceMs: 0, untilMs: 10 }, history: { replay }, isTaken: () => false },
          labels: () => ({ subjectKeys: [], addresses: [] }),
        },
        new AbortController().signal,
      ),
    );
    expect(result.flowRecords).toBe(BigInt(PIECES * RECORDS_IN_PIECE));
    expect(result.suggestions.length).toBeGreaterThan(100);
    // Processor time of this thread; computing the policies takes many times as much.
    expect(longestMs).toBeLessThan(100);
  } finally {
    await replays.close();
  }
}, 120_000);
