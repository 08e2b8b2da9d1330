/** Flow records of real connections: a real agent in a process of its own, read over its socket, killed and started again. */
import { toBinary } from "@bufbuild/protobuf";
import { FlowEventKind } from "@wardline/api/wardline/v1/flow";
import { type FlowRecord, FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AgentClient, connectAgent, outcomeOf } from "../../testing/agentClient.ts";
import { AgentLab, allowPorts } from "../../testing/agentLab.ts";
import { flowEvent } from "../../testing/flowEvent.ts";
import { HOST_ADDRESS, kernelLabProblem } from "../../testing/kernelLab.ts";
import { TestAgent } from "../../testing/testAgent.ts";

const problem = kernelLabProblem();
const PORT = 7001;
const DENIED = 7002;

/** Reads a journal as a console does: it remembers how far it is, and goes on there over connections. */
class RecordReader {
  readonly records: FlowRecord[] = [];
  readonly sequences: bigint[] = [];
  journalId = "";

  get after(): bigint {
    return this.sequences.at(-1) ?? 0n;
  }

  /** Follows until this holds; a call that fails ends it too. */
  async follow(client: AgentClient, isDone: () => boolean, timeoutMs = 25_000): Promise<void> {
    const stop = AbortSignal.timeout(timeoutMs);
    const request = { journalId: this.journalId, afterSequence: this.after };
    for await (const { journal, batches } of client.records.readRecords(request, { signal: stop })) {
      this.journalId = journal?.journalId ?? "";
      for (const batch of batches) {
        this.sequences.push(batch.sequence);
        this.records.push(...batch.records);
      }
      if (isDone()) return;
    }
  }

  sum(port: number) {
    const found = this.records.filter((record) => record.destinationPort === port);
    const add = (count: "started" | "ended" | "deniedPackets" | "packets" | "originatorBytes" | "responderBytes") =>
      found.reduce((sum, record) => sum + record[count], 0n);
    return {
      started: add("started"),
      ended: add("ended"),
      deniedPackets: add("deniedPackets"),
      packets: add("packets"),
      originatorBytes: add("originatorBytes"),
      responderBytes: add("responderBytes"),
    };
  }
}

describe.skipIf(problem)(`flow records of a real agent${problem ? ` (${problem})` : ""}`, { timeout: 120_000 }, () => {
  let lab: AgentLab;
  const clients: AgentClient[] = [];
  const connect = () => {
    const client = connectAgent(lab.socketPath);
    clients.push(client);
    return client;
  };
  beforeEach(() => {
    lab = new AgentLab();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await lab.close();
  });

  it("count what the kernel says at the end of a connection, over windows, a kill and a restart", async () => {
    await lab.start();
    await lab.applyAndConfirm(0n, allowPorts(PORT));
    const [host, peer] = await Promise.all([lab.kernel.startSocketPeer("host"), lab.kernel.startSocketPeer("peer")]);
    await host.serveTransfers(PORT);
    await host.listenTcp(DENIED);
    const reader = new RecordReader();
    const to = { address: HOST_ADDRESS[4], port: PORT };
    expect(await peer.transferTcp("long", to, { sent: 50_000, received: 700_000 })).toBe("ok");
    await peer.connectTcp("refused", HOST_ADDRESS[4], DENIED);
    // What the living connection moved is there before it ends; its socket tells the flow table every second.
    const trickle = setInterval(() => void peer.transferTcp("long", to, { sent: 8, received: 8 }), 1_200);
    const isThere = () => reader.sum(PORT).responderBytes > 700_000n && reader.sum(DENIED).deniedPackets > 0n;
    await reader.follow(connect(), isThere).finally(() => clearInterval(trickle));
    expect(reader.sum(PORT)).toMatchObject({ started: 1n, ended: 0n });
    expect(reader.records.find(({ destinationPort }) => destinationPort === PORT)).toMatchObject({
      ...{ sourceName: "beta", destinationName: "alpha", windowSeconds: 10 },
      process: { pid: host.pid, userName: "root" },
    });
    const before = reader.after;

    await lab.agent?.end("SIGKILL");
    expect(await peer.transferTcp("long", to, { sent: 60_000, received: 800_000 })).toBe("ok");
    await lab.start();
    const client = connect();
    const stream = client.agent.watchFlows({ history: 100 });
    const ended = (async () => {
      for await (const { flows } of stream)
        for (const flow of flows)
          if (flow.kind === FlowEventKind.END && flow.destinationPort === PORT && flow.protocol === 6) return flow;
      return null;
    })();
    expect(await peer.transferTcp("long", to, { sent: 70_000, received: 900_000 })).toBe("ok");
    await peer.disconnect("long");
    const end = await ended;
    // The stop writes the window that is open.
    await lab.agent?.end("SIGTERM");
    await lab.start();
    await reader.follow(connect(), () => reader.sum(PORT).ended === 1n);
    expect(reader.sum(PORT)).toMatchObject({
      ...{ started: 1n, ended: 1n },
      packets: end?.packets,
      originatorBytes: end?.originatorBytes,
      responderBytes: end?.responderBytes,
    });
    expect(end?.responderBytes).toBeGreaterThan(2_400_000n);
    expect(reader.sequences).toEqual(reader.sequences.map((_, at) => BigInt(at + 1)));
    // Asked again from in between: the same batches, no other ones.
    const again = new RecordReader();
    again.journalId = reader.journalId;
    again.sequences.push(before);
    await again.follow(connect(), () => again.after >= reader.after);
    expect(again.sequences.slice(1)).toEqual(reader.sequences.filter((sequence) => sequence > before));
  });
});

describe("RecordService", { timeout: 30_000 }, () => {
  let test: TestAgent;
  beforeEach(() => {
    test = new TestAgent();
  });
  afterEach(() => test.close());

  const deny = (port: number) => flowEvent({ destinationPort: port, bootNs: test.clock.bootNs() });
  /** One window with one batch. */
  async function window(client: AgentClient, port: number): Promise<void> {
    const { journal: before } = await client.records.getJournal({});
    test.enforcer.emit([deny(port)]);
    for (let tries = 0; tries < 50; tries++) {
      await test.clock.advance(10_300);
      const { journal } = await client.records.getJournal({});
      if (journal && journal.lastSequence > (before?.lastSequence ?? 0n)) return;
    }
    throw new Error("no batch was written");
  }

  it("follows from the disk into what is written, and ends where it is told to", async () => {
    await test.start();
    const client = test.connect();
    for (const port of [1, 2, 3]) await window(client, port);
    const reader = new RecordReader();
    const following = reader.follow(client, () => reader.after >= 5n);
    for (const port of [4, 5]) await window(client, port);
    await following;
    expect(reader.records.map(({ destinationPort }) => destinationPort)).toEqual([1, 2, 3, 4, 5]);
    expect(reader.sequences).toEqual([1n, 2n, 3n, 4n, 5n]);
    const ask = async (afterSequence: bigint, untilSequence: bigint, journalId = reader.journalId) => {
      const seen: bigint[] = [];
      for await (const { batches } of client.records.readRecords({ journalId, afterSequence, untilSequence }))
        seen.push(...batches.map(({ sequence }) => sequence));
      return seen;
    };
    expect(await ask(1n, 3n)).toEqual([2n, 3n]);
    expect(await ask(5n, 5n)).toEqual([]);
    // A reader of another journal begins with the oldest batch of this one.
    expect(await ask(4n, 5n, "0".repeat(32))).toEqual([1n, 2n, 3n, 4n, 5n]);
    const fromTheFuture = client.records.readRecords({ journalId: reader.journalId, afterSequence: 6n });
    expect(await outcomeOf(fromTheFuture[Symbol.asyncIterator]().next())).toBe("HISTORY_DAMAGED");
  });

  it("keeps messages below a mebibyte, and waits for a reader that is slow", async () => {
    await test.start();
    const client = test.connect();
    // 18,000 records of some 100 bytes each, in one window of several batches.
    for (let round = 0; round < 36; round++)
      test.enforcer.emit(
        Array.from({ length: 500 }, (_, at) => ({
          ...deny(round * 500 + at + 1),
          sourceAddress: `10.1.${round}.${at % 250}`,
        })),
      );
    await window(client, 60_000);
    const sizes: number[] = [];
    let records = 0;
    const { journal } = await client.records.getJournal({});
    for await (const { batches } of client.records.readRecords({ untilSequence: journal?.lastSequence ?? 0n })) {
      records += batches.reduce((sum, batch) => sum + batch.records.length, 0);
      sizes.push(batches.reduce((sum, batch) => sum + toBinary(FlowRecordBatchSchema, batch).length, 0));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(records).toBe(18_001);
    const most = Math.max(...sizes);
    expect(most).toBeLessThan(1024 * 1024);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(2 * most);
  });

  it("shows a journal that cannot be written among the problems of the host", async () => {
    const { writeFileSync, mkdirSync } = await import("node:fs");
    mkdirSync(test.options.stateDir, { mode: 0o700 });
    writeFileSync(`${test.options.stateDir}/records`, "not a directory");
    await test.start();
    const { status } = await test.connect().agent.getStatus({});
    expect(status?.problems.join()).toContain("Flow records are not written");
  });
});
