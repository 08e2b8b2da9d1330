/** When each host was last recorded: of what this process reads, of what another one does, and of hosts that are away. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import { beforeEach, describe, expect, it } from "vitest";
import type { ManagedHost } from "../../hosts/managed-host.ts";
import { CollectedHosts } from "../collected-hosts.ts";
import type { HostFacts } from "../record-collector.ts";
import { MemoryHistory } from "../testing/memory-history.ts";
import { randomRecord, seededRandom } from "../testing/random-records.ts";
import { type HistoryHostsPorts, historyHosts } from "./history-hosts.ts";

const NOW_MS = Date.UTC(2026, 5, 1);

describe("the hosts in the status of the history", () => {
  let history: MemoryHistory;
  let collected: CollectedHosts;
  let storedMs = 0;

  const hostOf = (id: string) =>
    ({ id, local: false, connection: { hostName: id }, record: null }) as unknown as ManagedHost;
  const hosts = ["known", "new"].map(hostOf);
  const ports = () =>
    ({
      ...{ collected, history, registry: { hosts } },
      book: { known: () => ({ labels: () => ({ subjectKeys: [], addresses: [] }) }) },
    }) as unknown as HistoryHostsPorts;
  const factsOf = (hostId: string, lastSequence = 0n): HostFacts => ({
    ...{ hostId, host: hostId, lastSequence, missedBatches: 0n, waitingBatches: 0n, refusedRecords: 0n },
    ...{ clockOffsetMs: 0n, problem: "" },
  });
  const shown = async () =>
    (await historyHosts(ports())).map(({ hostId, lastSequence, lastRecordAt, problem }) => [
      ...[hostId, lastSequence, lastRecordAt ? timestampMs(lastRecordAt as never) : null, problem],
    ]);

  beforeEach(async () => {
    history = new MemoryHistory();
    collected = new CollectedHosts();
    const record = randomRecord(seededRandom(1), NOW_MS);
    storedMs = timestampMs(record.lastSeen!);
    const batch = create(FlowRecordBatchSchema, { sequence: 7n, records: [record] });
    await history.ingest([{ hostId: "known", hostName: "known", journalId: "j", batches: [batch] }]);
  });

  it("are those of the store while another process reads them, and it says so", async () => {
    const problem = "not read by this process";
    expect(await shown()).toEqual([
      ["known", 7n, storedMs, problem],
      ["new", 0n, null, problem],
    ]);
  });

  it("have no such problem in the process that reads them, also before anything came since it began", async () => {
    for (const { id } of hosts) collected.add(id, () => factsOf(id));
    expect(await shown()).toEqual([
      ["known", 7n, storedMs, ""],
      ["new", 0n, null, ""],
    ]);
  });

  it("are known by what was read since, where something was", async () => {
    const lastRecordAt = timestampFromMs(NOW_MS + 60_000);
    collected.add("known", () => ({ ...factsOf("known", 9n), lastRecordAt }));
    collected.add("new", () => factsOf("new"));
    expect(await shown()).toEqual([
      ["known", 9n, NOW_MS + 60_000, ""],
      ["new", 0n, null, ""],
    ]);
  });
});
