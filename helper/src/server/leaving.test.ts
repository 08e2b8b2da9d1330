/** Readers that leave: what is open for them ends, and nobody is told of an error. */
import { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { TestAgent } from "../testing/testAgent.ts";
import { Guard, type GuardPorts } from "./guard.ts";

let tester: TestAgent;
let logged: string[];
const log = () =>
  pino(
    { level: "warn" },
    new Writable({
      write(line, _encoding, done) {
        logged.push(String(line));
        done();
      },
    }),
  );

beforeEach(() => {
  tester = new TestAgent();
  logged = [];
});
afterEach(() => tester.close());

it("writes no error when a console leaves any of the streams, and ends what it read", async () => {
  await tester.start({ log: log() });
  for (let round = 0; round < 3; round++) {
    const client = tester.connect();
    const { agent, anomalies, mesh, records } = client;
    const ended = new AbortController();
    const options = { signal: ended.signal };
    const streams: readonly AsyncIterable<unknown>[] = [
      agent.watchStatus({}, options),
      agent.watchFlows({}, options),
      anomalies.watchFindings({}, options),
      mesh.watchMesh({}, options),
      records.readRecords({}, options),
    ];
    const read = async (stream: AsyncIterable<unknown>) => {
      for await (const _ of stream);
    };
    const reading = Promise.allSettled(streams.map(read));
    await sleep(400);
    // One console says that it leaves, another one is gone.
    if (round % 2 === 0) ended.abort();
    else client.close();
    await reading;
  }
  await sleep(600);
  expect(logged).toEqual([]);
});

it("tells a failure of the call from a reader that left", async () => {
  const guard = new Guard({ log: log() } as GuardPorts);
  let isEnded = false;
  async function* endless() {
    try {
      for (;;) yield 1;
    } finally {
      isEnded = true;
    }
  }
  const left = guard.stream("WatchFindings", endless());
  await left.next();
  const gone = Object.assign(new Error("The stream has been destroyed"), { code: "ERR_HTTP2_INVALID_STREAM" });
  await expect(left.throw(gone)).rejects.toBe(gone);
  expect([isEnded, logged]).toEqual([true, []]);
  async function* broken() {
    yield 1;
    throw new Error("a defect");
  }
  const failing = guard.stream("WatchFindings", broken());
  await failing.next();
  await expect(failing.next()).rejects.toMatchObject({ name: "ConnectError" } satisfies Partial<ConnectError>);
  expect(logged.join()).toContain("a defect");
});
