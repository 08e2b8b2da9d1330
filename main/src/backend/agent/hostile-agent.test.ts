/** Agents that mean harm: what they send is bounded before it is kept or shown, and the other hosts notice nothing. */
import { mkdtempSync, rmSync } from "node:fs";
import type { Http2Server } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { type HostStatus, HostStatusSchema, RuleCounterSchema } from "@wardline/api/wardline/v1/host";
import { ErrorCode } from "@wardline/domain/errors";
import { hasInvisible } from "@wardline/domain/text";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger, systemClock } from "../ports.ts";
import { FakeAgent } from "../testing/fake-agent.ts";
import { AgentConnection } from "./agent-connection.ts";
import { boundMessage } from "./bounded-message.ts";
import { ConnectSlots } from "./connect-slots.ts";
import type { AgentDialer } from "./dialer.ts";
import { UnixSocketDialer } from "./unix-dialer.ts";

const EVIL = "\u001b]0;owned\u0007\u001b[2J\u202e<img src=x onerror=alert(1)>\r\n\u0000";

let directory: string;
let server: Http2Server | null = null;
const open: AgentConnection[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-hostile-"));
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((connection) => connection.close()));
  server?.close();
  server = null;
  rmSync(directory, { recursive: true });
});

function connectionTo(dialer: AgentDialer): AgentConnection {
  const connection = new AgentConnection({
    dialer,
    clock: systemClock,
    logger: silentLogger,
    nameBefore: () => "the-alias",
    onDemand: { slots: new ConnectSlots() },
  });
  connection.start();
  connection.need();
  open.push(connection);
  return connection;
}

const connected = (connection: AgentConnection) =>
  expect.poll(() => connection.state.reachability, { timeout: 15_000 }).toBe(Reachability.CONNECTED);

/** Sends whatever statuses it is told to, one after the other, for ever. */
class HostileAgent extends FakeAgent {
  sent = 0;
  readonly #statusOf: (sequence: bigint) => HostStatus;
  readonly #pauseMs: number;

  constructor(statusOf: (sequence: bigint) => HostStatus, pauseMs: number) {
    super();
    this.#statusOf = statusOf;
    this.#pauseMs = pauseMs;
  }

  protected override async *watchStatus(signal: AbortSignal) {
    for (let sequence = 1n; !signal.aborted; sequence++) {
      this.sent++;
      yield { sequence, status: this.#statusOf(sequence) };
      if (this.#pauseMs > 0) await systemClock.sleep(this.#pauseMs, signal);
    }
  }
}

describe("an agent that means harm", () => {
  it("cannot hide anything in texts, nor choose a name that is none, nor fill the console", async () => {
    const agent = new HostileAgent(() => {
      const status = new FakeAgent().status();
      const info = status.info!;
      Object.assign(info, { name: `../${EVIL}`, operatingSystem: EVIL.repeat(1000), backendLimits: [EVIL, EVIL] });
      info.addresses = Array.from({ length: 50_000 }, () => EVIL);
      status.problems = Array.from({ length: 50_000 }, () => "x".repeat(50));
      status.counters = Array.from({ length: 60_000 }, (_, index) =>
        create(RuleCounterSchema, { decisionId: `${index}${EVIL}` }),
      );
      status.$unknown = [{ no: 99, wireType: 2, data: Buffer.from([5, 1, 2, 3, 4, 5]) }];
      return status;
    }, 2_000);
    server = await agent.serve(join(directory, "agent.sock"));
    const connection = connectionTo(new UnixSocketDialer(join(directory, "agent.sock")));
    await connected(connection);
    const { status } = connection.state;
    expect(connection.hostName).toBe("the-alias");
    expect(status?.problems[0]).toContain("is no host name");
    expect(hasInvisible(JSON.stringify(status, (_, value) => (typeof value === "bigint" ? "" : value)))).toBe(false);
    expect(status?.$unknown).toBeUndefined();
    expect(status?.info?.addresses).toHaveLength(1_000);
    expect(status?.problems.length).toBeLessThanOrEqual(1_001);
    expect(status?.counters).toHaveLength(50_000);
    expect(toBinary(HostStatusSchema, status!).length).toBeLessThan(8 * 1024 * 1024);
  });

  it("is left when one message is larger than anything an agent has to say", async () => {
    const agent = new HostileAgent(() => {
      const status = new FakeAgent().status();
      status.problems = ["y".repeat(64 * 1024 * 1024)];
      return status;
    }, 2_000);
    server = await agent.serve(join(directory, "agent.sock"));
    const connection = connectionTo(new UnixSocketDialer(join(directory, "agent.sock")));
    await expect.poll(() => connection.state.problem?.code, { timeout: 15_000 }).toBe(ErrorCode.TOO_LARGE);
    expect(connection.state.status).toBeNull();
  });

  it("is read slowly when it never stops, and nobody else waits for it", async () => {
    const agent = new HostileAgent(() => {
      const status = new FakeAgent().status();
      status.problems = Array.from({ length: 200 }, () => "z".repeat(500));
      return status;
    }, 0);
    server = await agent.serve(join(directory, "agent.sock"));
    const delay = monitorEventLoopDelay({ resolution: 5 });
    const hostile = connectionTo(new UnixSocketDialer(join(directory, "agent.sock")));
    await connected(hostile);
    delay.enable();
    let seen = 0;
    const stop = hostile.changes.subscribe(() => seen++);
    const honest = connectionTo(new FakeAgent());
    await connected(honest);
    await systemClock.sleep(2_000);
    stop();
    // A burst at first, then ten a second.
    expect(seen).toBeLessThan(100);
    expect(hostile.state.reachability).toBe(Reachability.CONNECTED);
    // What is not read stays with the sender: its stream stands still.
    const sentBefore = agent.sent;
    await systemClock.sleep(500);
    expect(agent.sent - sentBefore).toBeLessThan(60);
    expect(delay.percentile(50) / 1e6).toBeLessThan(100);
  });

  it("does not make anybody wait when it never answers", async () => {
    const silent: AgentDialer = { address: "silent", dial: () => new Promise(() => {}) };
    const started = performance.now();
    const [refused] = await Promise.allSettled([
      connectionTo(silent).client(200),
      connected(connectionTo(new FakeAgent())),
    ]);
    expect(refused.status).toBe("rejected");
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

describe("the bounds of a message", () => {
  it("leave out times that cannot be written down: they would break the list of all hosts", () => {
    const status = create(HostStatusSchema, {
      info: { startedAt: { seconds: -(2n ** 63n) } },
      observedAt: { seconds: 2n ** 62n },
      pending: { remaining: { seconds: 5n, nanos: -1 }, deadline: { seconds: 5n, nanos: 2_000_000_000 } },
      enforced: { appliedAt: { seconds: 1_700_000_000n, nanos: 5 } },
    });
    boundMessage(HostStatusSchema, status);
    expect(toJson(HostStatusSchema, status)).toEqual({
      info: {},
      pending: {},
      enforced: { appliedAt: "2023-11-14T22:13:20.000000005Z" },
    });
  });

  it("hold for texts, lists and their sum, and leave what is within them alone", () => {
    const status = create(HostStatusSchema, {
      problems: ["fine", "x".repeat(20), "\u001b"],
      info: { name: "a", addresses: ["b", "c"] },
    });
    boundMessage(HostStatusSchema, status, { maxItems: 2, maxTextLength: 10, maxTotalLength: 13 });
    expect(status.info).toMatchObject({ name: "a", addresses: ["b", "c"] });
    expect(status.problems).toEqual(["fine", "xxxxx…"]);
  });
});
