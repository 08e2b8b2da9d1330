import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { JournalStateSchema } from "@wardline/api/wardline/agent/v1/records";
import type { FlowRecord, FlowRecordBatch } from "@wardline/api/wardline/v1/flow_record";
import { EVERYTHING } from "@wardline/domain/flows";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AgentConnection } from "../agent/agent-connection.ts";
import { ChangeSignal } from "../async/signal.ts";
import type { ManagedHost } from "../hosts/managed-host.ts";
import { silentLogger, systemClock } from "../ports.ts";
import { FakeAgent } from "../testing/fake-agent.ts";
import { CollectedHosts } from "./collected-hosts.ts";
import type { JournalGap } from "./flow-history.ts";
import { RecordCollector } from "./record-collector.ts";
import { RecordJudge } from "./record-judge.ts";
import { MemoryHistory } from "./testing/memory-history.ts";
import { randomBatches, randomRecord, seededRandom } from "./testing/random-records.ts";

const NOW_MS = Date.UTC(2026, 5, 1);
const random = seededRandom(3);

/** A host with a journal in memory. */
class FakeJournal {
  journalId = "journal-1";
  batches: FlowRecordBatch[] = [];
  readonly asked: { readonly after: bigint; readonly until: bigint }[] = [];
  readonly #written = new ChangeSignal();
  #streams = new AbortController();

  /** As when the connection is lost. */
  endStreams(): void {
    this.#streams.abort();
    this.#streams = new AbortController();
  }

  write(count: number, records = 3): void {
    const firstSequence = Number(this.batches.at(-1)?.sequence ?? 0n) + 1;
    this.batches.push(...randomBatches(random, { firstSequence, batches: count, records, startMs: NOW_MS }));
    this.#written.notify();
  }

  state() {
    return create(JournalStateSchema, {
      journalId: this.journalId,
      firstSequence: this.batches[0]?.sequence ?? 0n,
      lastSequence: this.batches.at(-1)?.sequence ?? 0n,
    });
  }

  routes() {
    const journal = this;
    return {
      getJournal: () => ({ journal: journal.state() }),
      async *readRecords(
        request: { journalId: string; afterSequence: bigint; untilSequence: bigint },
        { signal }: { signal: AbortSignal },
      ) {
        journal.asked.push({ after: request.afterSequence, until: request.untilSequence });
        let last = request.journalId === journal.journalId ? request.afterSequence : 0n;
        const until = request.untilSequence || 1n << 60n;
        yield { journal: journal.state(), batches: [] };
        const lost = AbortSignal.any([signal, journal.#streams.signal]);
        while (!lost.aborted) {
          const seen = journal.#written.version;
          for (const batch of journal.batches.filter(({ sequence }) => sequence > last && sequence <= until)) {
            last = batch.sequence;
            yield { journal: journal.state(), batches: [structuredClone(batch)] };
          }
          if (request.untilSequence > 0n) return;
          await journal.#written.wait(seen, 10_000, lost);
        }
      },
    };
  }
}

describe("the collector of records", () => {
  let agent: FakeAgent;
  let journal: FakeJournal;
  let history: MemoryHistory;
  let collected: CollectedHosts;
  let connection: AgentConnection;
  let stop: AbortController;
  let running: Promise<void>;
  const writer = { isWriting: true, changes: new ChangeSignal() };

  beforeEach(() => {
    agent = new FakeAgent();
    journal = new FakeJournal();
    agent.records = journal.routes();
    history = new MemoryHistory();
    collected = new CollectedHosts();
    writer.isWriting = true;
  });
  afterEach(() => end());

  function start(): void {
    connection = new AgentConnection({ dialer: agent, clock: systemClock, logger: silentLogger });
    const host = { id: "h1", local: false, connection, enforced: null, record: null } as unknown as ManagedHost;
    const clock = { ...systemClock, nowMs: () => NOW_MS + 60_000 };
    stop = new AbortController();
    connection.start();
    running = new RecordCollector({ host, history, writer, collected, clock, logger: silentLogger }).run(stop.signal);
  }

  async function end(reason?: string): Promise<void> {
    stop.abort(reason);
    await Promise.all([running, connection.close()]);
  }

  const storedRecords = async () => (await history.state()).records;
  const stored = (count: number) => expect.poll(storedRecords).toBe(count);
  const facts = () => collected.hosts()[0]!;

  it("reads what there is, then what comes, and knows how far it is", async () => {
    journal.write(4);
    start();
    await stored(12);
    journal.write(2);
    await stored(18);
    await expect.poll(() => facts().lastSequence).toBe(6n);
    expect(facts()).toMatchObject({ hostId: "h1", host: "alpha", waitingBatches: 0n, missedBatches: 0n, problem: "" });
  });

  it("goes on where it was after it was started again, and after the connection was lost", async () => {
    journal.write(4);
    start();
    await stored(12);
    journal.endStreams();
    journal.write(1);
    await stored(15);
    await end();
    start();
    journal.write(1);
    await stored(18);
    expect(journal.asked.map(({ after }) => after)).toEqual([0n, 4n, 5n]);
  });

  it("counts what the host had removed before it was read", async () => {
    journal.write(9);
    journal.batches.splice(0, 5);
    start();
    await stored(12);
    await expect.poll(() => facts().missedBatches).toBe(5n);
  });

  it("reads a gap again, and gives up what is gone", async () => {
    journal.write(9);
    journal.batches.splice(0, 2);
    const gaps: JournalGap[] = [{ journalId: "journal-1", firstSequence: 1n, lastSequence: 4n }];
    const abandoned: JournalGap[] = [];
    history.gaps = () => Promise.resolve(gaps);
    history.abandon = (_hostId, gap) => Promise.resolve(void abandoned.push(gap));
    start();
    await stored(21);
    expect(journal.asked).toEqual([
      { after: 0n, until: 4n },
      { after: 4n, until: 0n },
    ]);
    expect(abandoned).toEqual(gaps);
  });

  it("says that an agent is older than records, and does not ask it again and again", async () => {
    agent.records = null;
    start();
    await expect.poll(() => facts().problem).toMatch(/older than flow records/);
    agent.records = journal.routes();
    journal.write(1);
    agent.dropConnections();
    await stored(3);
    expect(facts().problem).toBe("");
  });

  it("waits while another process writes", async () => {
    writer.isWriting = false;
    journal.write(1);
    start();
    await expect.poll(() => connection.records !== null).toBe(true);
    expect([journal.asked, collected.hosts()]).toEqual([[], []]);
    writer.isWriting = true;
    writer.changes.notify();
    await stored(3);
    expect(facts().hostId).toBe("h1");
    writer.isWriting = false;
    writer.changes.notify();
    // What it knew grows old now: whoever asks looks at what is stored.
    await expect.poll(() => collected.hosts()).toEqual([]);
  });

  it("loses nothing while the disk is full", async () => {
    journal.write(3);
    const ingest = history.ingest.bind(history);
    let isFull = true;
    history.ingest = (batches) => (isFull ? Promise.reject(new Error("disk")) : ingest(batches));
    start();
    await expect.poll(() => facts()?.problem).not.toBe("");
    isFull = false;
    await stored(9);
    expect(facts().problem).toBe("");
  });

  it("has a forgotten host forgotten", async () => {
    journal.write(1);
    start();
    await stored(3);
    await end("forgotten");
    await stored(0);
  });

  it("keeps a host that lies about its name, its times and its counts to itself", async () => {
    const [batch] = randomBatches(random, { firstSequence: 1, batches: 1, records: 1, startMs: NOW_MS });
    const lies = impossibleRecords();
    batch!.records.push(...lies);
    batch!.sealedAt = timestampFromMs(NOW_MS + 3_660_000);
    journal.batches = [batch!];
    start();
    await stored(1);
    expect(facts().refusedRecords).toBe(BigInt(lies.length));
    await expect.poll(() => facts().clockOffsetMs).toBe(3_600_000n);
  });
});

function impossibleRecords(): FlowRecord[] {
  const changes: ((record: FlowRecord) => void)[] = [
    (record) => Object.assign(record, { windowStart: timestampFromMs(NOW_MS + 2 * 86_400_000) }),
    (record) => Object.assign(record, { windowStart: timestampFromMs(Date.UTC(2019, 0, 1)) }),
    (record) => delete record.windowStart,
    (record) => Object.assign(record, { lastSeen: timestampFromMs(NOW_MS - 1) }),
    (record) => Object.assign(record, { windowSeconds: 0 }),
    (record) => Object.assign(record, { windowSeconds: 3_601 }),
    (record) => Object.assign(record, { originatorBytes: 1n << 53n }),
    (record) => Object.assign(record, { sourceAddress: "10.0.0.300" }),
    (record) => Object.assign(record, { destinationAddress: "", foldedFlows: 0 }),
    (record) => Object.assign(record, { verdict: 9 }),
    (record) => Object.assign(record, { direction: 0 }),
    (record) => Object.assign(record, { destinationPort: 70_000 }),
  ];
  return changes.map((change) => {
    const record = randomRecord(random, NOW_MS);
    change(record);
    return record;
  });
}

describe("the judge of records", () => {
  it("refuses what cannot be true", () => {
    const judge = new RecordJudge();
    for (const record of impossibleRecords()) expect(judge.judge([record], NOW_MS)).toEqual([]);
    expect(judge.refused).toBe(impossibleRecords().length);
  });

  it("keeps what was folded without the ends that differed, as a scan is", () => {
    const record = Object.assign(randomRecord(random, NOW_MS), { destinationAddress: "", foldedFlows: 40_000 });
    expect(new RecordJudge().judge([record], NOW_MS)).toMatchObject([{ destinationAddress: "", foldedFlows: 40_000 }]);
  });

  it("makes texts harmless, and addresses canonical", () => {
    const record = randomRecord(random, NOW_MS);
    record.sourceAddress = "FD00:0:0:0::7";
    record.observedName = "evil\u001b[2J\u202ename";
    record.cgroupPath = "x".repeat(10_000);
    record.process = {
      $typeName: "wardline.v1.FlowProcess",
      pid: 1,
      userId: 0,
      userName: "",
      command: "<b>hi</b>",
      executable: "",
    };
    const [kept] = new RecordJudge().judge([record], NOW_MS);
    expect(kept).toMatchObject({ sourceAddress: "fd00::7", observedName: "evil\\u{1b}[2J\\u{202e}name" });
    expect(kept!.cgroupPath).toHaveLength(4_096);
    expect(kept!.process?.command).toBe("<b>hi</b>");
  });

  it("is as good as the reference for what it lets through", async () => {
    const history = new MemoryHistory();
    const batches = randomBatches(random, { firstSequence: 1, batches: 1, records: 50, startMs: NOW_MS });
    const judge = new RecordJudge();
    for (const batch of batches) batch.records = judge.judge(batch.records, NOW_MS);
    await history.ingest([{ hostId: "h1", hostName: "alpha", journalId: "j", batches }]);
    expect(judge.refused).toBe(0);
    const pieces = history.replay(EVERYTHING, { labels: () => ({ subjectKeys: [], addresses: [] }) }, stopSignal);
    for await (const piece of pieces) expect(piece).toHaveLength(50);
  });
});

const stopSignal = new AbortController().signal;
