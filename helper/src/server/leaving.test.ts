/** Readers that leave: what is open for them ends, and nobody is told of an error. */
import { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  Code,
  type ConnectError,
  createContextValues,
  type HandlerContext,
  type UnaryRequest,
} from "@connectrpc/connect";
import { AgentService } from "@wardline/api/wardline/agent/v1/agent";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { outcomeOf } from "../testing/agentClient.ts";
import { fakeProgram } from "../testing/fakeEngine.ts";
import { TestAgent } from "../testing/testAgent.ts";
import { Guard, type GuardPorts, refuseLate } from "./guard.ts";

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

it("does not begin a change whose caller was told that it failed while it waited for its turn", async () => {
  await tester.start();
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  const prepare = tester.enforcer.prepare.bind(tester.enforcer);
  tester.enforcer.prepare = async () => {
    tester.enforcer.prepare = prepare;
    await held;
    throw new Error("no room");
  };
  const request = (text: string) => ({
    state: { files: [{ path: "a.yaml", text }] },
    mode: EnforcementMode.ENFORCE,
    expectedProgramDigest: fakeProgram(text).digest,
    confirmWithin: durationFromMs(10_000),
  });
  const first = outcomeOf(tester.connect().agent.apply(request("one")));
  const { agent } = tester.connect();
  await expect(agent.apply(request("two"), { timeoutMs: 300 })).rejects.toMatchObject({ code: Code.DeadlineExceeded });
  letGo();
  expect(await first).toBe("INTERNAL");
  const refused = () => agent.listAudit({ limit: 1 });
  await expect.poll(async () => (await refused()).entries[0]?.detail).toContain("did not wait for the turn");
  expect((await agent.getStatus({})).status?.pending).toBeUndefined();
  expect(tester.enforcer.deciding()).toBe(0);
  expect(await outcomeOf(agent.apply(request("three")))).toBe("ok");
});

it("tells a change that its deadline has passed", async () => {
  vi.useFakeTimers();
  try {
    const { interceptor } = new Guard({ log: log() } as GuardPorts);
    const contextValues = createContextValues();
    const call = { method: AgentService.method.apply, contextValues } as unknown as UnaryRequest;
    const context = { values: contextValues, signal: new AbortController().signal } as HandlerContext;
    const answer = interceptor(() => new Promise(() => {}))(call).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(59_999);
    expect(() => refuseLate(context)).not.toThrow();
    await vi.advanceTimersByTimeAsync(1);
    expect(await answer).toMatchObject({ code: Code.DeadlineExceeded });
    expect(() => refuseLate(context)).toThrow("nothing was changed");
  } finally {
    vi.useRealTimers();
  }
});
