import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, describe, expect, it } from "vitest";
import { silentLogger, systemClock } from "../ports.ts";
import { FakeAgent } from "../testing/fake-agent.ts";
import { AgentConnection, type OnDemandOptions } from "./agent-connection.ts";
import { ConnectSlots } from "./connect-slots.ts";
import type { AgentDialer, AgentLink, DialOptions } from "./dialer.ts";

const open: AgentConnection[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((connection) => connection.close()));
});

function remote(dialer: AgentDialer, onDemand: Partial<OnDemandOptions> = {}): AgentConnection {
  const connection = new AgentConnection({
    dialer,
    clock: systemClock,
    logger: silentLogger,
    onDemand: { slots: new ConnectSlots(), idleAfterMs: 30, ...onDemand },
  });
  connection.start();
  open.push(connection);
  return connection;
}

/** A machine that accepts and then says nothing, and does not mind being told to stop. */
class DeadMachine implements AgentDialer {
  readonly address = "dead";
  dials = 0;
  dial(): Promise<AgentLink> {
    this.dials++;
    return new Promise(() => {});
  }
}

class FailingMachine implements AgentDialer {
  readonly address = "failing";
  readonly asked: boolean[] = [];
  failure: Failure;
  constructor(code: ErrorCode) {
    this.failure = new Failure({ code, message: "no", hint: "do" });
  }
  dial({ isInteractive = false }: DialOptions = {}): Promise<AgentLink> {
    this.asked.push(isInteractive);
    return Promise.reject(this.failure);
  }
}

const reached = (connection: AgentConnection, reachability: Reachability) =>
  expect.poll(() => connection.state.reachability).toBe(reachability);

describe("a host on demand", () => {
  it("is not contacted before somebody needs it, and left after nobody does", async () => {
    const agent = new FakeAgent();
    const connection = remote(agent);
    const following = connection.waitForClient(AbortSignal.timeout(10_000));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(connection.state.reachability).toBe(Reachability.IDLE);
    expect(agent.dials).toBe(0);
    const release = connection.need();
    expect(connection.state.reachability).toBe(Reachability.CONNECTING);
    expect(await following).not.toBeNull();
    const second = connection.need();
    release();
    release();
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(connection.state.reachability).toBe(Reachability.CONNECTED);
    second();
    await reached(connection, Reachability.IDLE);
    expect(connection.state).toMatchObject({ problem: null, status: { info: { name: "alpha" } } });
    expect(await connection.call((client) => client.getEnforcedState({}))).toBeDefined();
    expect(agent.dials).toBe(2);
  });

  it.each([
    [ErrorCode.HOST_UNREACHABLE, Reachability.UNREACHABLE],
    [ErrorCode.HOST_KEY_UNKNOWN, Reachability.HOST_KEY],
    [ErrorCode.HOST_KEY_CHANGED, Reachability.HOST_KEY],
    [ErrorCode.SSH_AUTHENTICATION_FAILED, Reachability.AUTHENTICATION],
    [ErrorCode.AGENT_MISSING, Reachability.NO_AGENT],
    [ErrorCode.PERMISSION_DENIED, Reachability.PERMISSION_DENIED],
    [ErrorCode.HOST_UNSUPPORTED, Reachability.PERMISSION_DENIED],
    [ErrorCode.AGENT_UNREACHABLE, Reachability.NO_AGENT],
    [ErrorCode.DEADLINE_EXCEEDED, Reachability.UNREACHABLE],
  ])("names the cause of failure %i", async (code, reachability) => {
    const connection = remote(new FailingMachine(code));
    await expect(connection.client()).rejects.toThrow("no");
    expect(connection.state).toMatchObject({ reachability, problem: { code, hint: "do" } });
  });

  it("does not try refused logins and unknown keys again by itself, but for a person it does", async () => {
    const machine = new FailingMachine(ErrorCode.SSH_AUTHENTICATION_FAILED);
    const connection = remote(machine);
    connection.need();
    await reached(connection, Reachability.AUTHENTICATION);
    await expect(connection.client()).rejects.toThrow("no");
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(machine.asked).toEqual([false]);
    const state = await connection.connect(AbortSignal.timeout(5000));
    expect(state.problem?.message).toBe("no");
    expect(machine.asked).toEqual([false, true]);
  });

  it("tries again by itself when the machine could not be reached", async () => {
    const machine = new FailingMachine(ErrorCode.HOST_UNREACHABLE);
    const connection = remote(machine);
    connection.need();
    await expect.poll(() => machine.asked.length).toBeGreaterThan(2);
  });

  it("leaves an attempt that may not ask for one that may", async () => {
    let isInteractive = false;
    const agent = new FakeAgent();
    const dialer: AgentDialer = {
      address: "asks",
      dial: (options) => {
        isInteractive = options?.isInteractive ?? false;
        return isInteractive ? agent.dial() : new Promise(() => {});
      },
    };
    const connection = remote(dialer);
    connection.need();
    await new Promise((resolve) => setTimeout(resolve, 30));
    const state = await connection.connect(AbortSignal.timeout(5000));
    expect(state.reachability).toBe(Reachability.CONNECTED);
  });

  it("ends at once while a machine hangs", async () => {
    const connection = remote(new DeadMachine());
    connection.need();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const started = performance.now();
    await connection.close();
    // The machine hangs for ever.
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe("fifty hosts", () => {
  it("of which twenty hang: the others are connected all the same, a few at a time", async () => {
    const slots = new ConnectSlots(4, 200);
    const connections: AgentConnection[] = [];
    let underWay = 0;
    let most = 0;
    for (let index = 0; index < 50; index++) {
      const agent = new FakeAgent();
      agent.hostName = `host-${index}`;
      const living: AgentDialer = {
        address: `host-${index}`,
        dial: async () => {
          most = Math.max(most, ++underWay);
          await new Promise((resolve) => setTimeout(resolve, 10));
          underWay--;
          return agent.dial();
        },
      };
      connections.push(remote(index % 5 < 2 ? new DeadMachine() : living, { slots, idleAfterMs: 60_000 }));
    }
    for (const connection of connections) connection.need();
    const states = () => connections.map(({ state }) => state.reachability);
    await expect.poll(() => states().filter((each) => each === Reachability.CONNECTED).length).toBe(30);
    expect(states().filter((each) => each === Reachability.CONNECTING)).toHaveLength(20);
    expect(most).toBeLessThanOrEqual(4);
  });
});

describe("places for connecting", () => {
  it("go from hand to hand, and past those who have left", async () => {
    const slots = new ConnectSlots(1, 60_000);
    const never = new AbortController().signal;
    const giveBack = await slots.take(never);
    const leaving = new AbortController();
    const left = slots.take(leaving.signal);
    let second: (() => void) | null = null;
    const waiting = slots.take(never).then((give) => {
      second = give;
    });
    leaving.abort();
    (await left)();
    expect(second).toBeNull();
    giveBack();
    giveBack();
    await waiting;
    let third = false;
    const last = slots.take(never).then((give) => {
      third = true;
      return give;
    });
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(third).toBe(false);
    (second as unknown as () => void)();
    (await last)();
  });
});
