import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { Worker } from "node:worker_threads";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { HealthCheckKind, ServiceHealth, type ServiceInstance } from "@wardline/api/wardline/v1/cluster";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../../agent/clock.ts";
import { eventually, HandLeadership, instanceOf, KEYS } from "../../testing/discoveryLab.ts";
import { MemoryClusterStore, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { SimulatedClock } from "../../testing/simulatedClock.ts";
import { waitFor } from "../leadership/waiting.ts";
import { HealthChecker } from "./healthChecker.ts";
import { ServiceRegistry } from "./registry.ts";
import { ServiceView } from "./serviceView.ts";
import { checkTcp, type TcpCheck } from "./tcpCheck.ts";

const log = { info: () => {}, warn: () => {} };
const { PASSING, FAILING, UNKNOWN } = ServiceHealth;

/** Checks never touch loopback, so targets listen on an address of this machine. */
const OWN_ADDRESS = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family }) => !internal && family === "IPv4")?.address;
const problem = OWN_ADDRESS === undefined ? "needs an IPv4 address besides loopback" : null;

class Lab {
  readonly clock: Clock;
  readonly store: MemoryClusterStore;
  readonly leadership: HandLeadership;
  readonly registry: ServiceRegistry;
  readonly services: ServiceView;
  #running: Promise<void> | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
    this.store = new MemoryClusterStore(new MemoryStoreState(clock));
    this.leadership = new HandLeadership(this.store);
    this.registry = new ServiceRegistry({ store: this.store, keys: KEYS, clock });
    this.services = new ServiceView({ store: this.store, prefix: KEYS.services, clock, random: () => 0.5, log });
    this.services.start();
  }

  async lead(check: TcpCheck): Promise<void> {
    const term = await this.leadership.elect();
    await this.#running?.catch(() => {});
    const { store, services, clock } = this;
    this.#running = new HealthChecker({ store, services, clock, random: () => 0.5, log, check }).run(term);
    // A term that ends while something is written is no failure of the test.
    this.#running.catch(() => {});
  }

  async resign(): Promise<void> {
    this.leadership.end();
    await this.#running?.catch(() => {});
  }

  async register(fields: Partial<ServiceInstance>): Promise<void> {
    const term = this.leadership.held() ?? (await this.leadership.elect());
    const wanted = instanceOf({ check: HealthCheckKind.TCP, checkInterval: durationFromMs(1_000) });
    await this.registry.register(term, Object.assign(wanted, fields), "");
  }

  only = async (): Promise<ServiceInstance | undefined> =>
    (await this.registry.list({ namespace: "", service: "" }))[0];

  health = async () => (await this.only())?.health;
}

describe("health checks in simulated time", () => {
  let clock: SimulatedClock;
  let lab: Lab;
  /** What the target says at the moment. */
  let answer: string | null;
  let asked: number;
  const check: TcpCheck = async () => {
    asked += 1;
    return answer;
  };

  beforeEach(() => {
    clock = new SimulatedClock();
    lab = new Lab(clock);
    [answer, asked] = [null, 0];
  });
  afterEach(async () => {
    await lab.resign();
    await lab.services.stop();
  });

  it("need one success to pass and two failures in a row to fail, and write only the change", async () => {
    await lab.lead(check);
    await lab.register({});
    expect(await lab.health()).toBe(UNKNOWN);
    await clock.advance(300);
    expect(await lab.health()).toBe(PASSING);
    const { revision } = lab.store.state;
    await clock.advance(10_000);
    expect(asked).toBeGreaterThan(8);
    expect(lab.store.state.revision).toBe(revision);
    answer = "the connection was refused";
    asked = 0;
    await clock.advance(1_000);
    expect([asked, await lab.health()]).toEqual([1, PASSING]);
    await clock.advance(1_000);
    expect(await lab.only()).toMatchObject({ health: FAILING, healthDetail: "the connection was refused" });
    answer = null;
    await clock.advance(1_000);
    expect(await lab.only()).toMatchObject({ health: PASSING, healthDetail: "" });
  });

  it("hold a service that flaps until it has passed five times", async () => {
    await lab.lead(check);
    await lab.register({});
    await clock.advance(300);
    for (let round = 0; round < 3; round++) {
      answer = "down";
      await clock.advance(2_000);
      answer = null;
      await clock.advance(round < 2 ? 1_000 : 4_000);
    }
    expect(await lab.health()).toBe(FAILING);
    await clock.advance(1_100);
    expect(await lab.health()).toBe(PASSING);
  });

  it("go on at the next leader from what the last one knew", async () => {
    await lab.lead(check);
    await lab.register({});
    answer = "down";
    await clock.advance(5_000);
    expect(await lab.health()).toBe(FAILING);
    const { revision } = lab.store.state;
    await lab.lead(check);
    const since = (await lab.only())?.healthSince;
    await clock.advance(5_000);
    // Two writes made the new leader; none said again what was known.
    expect(lab.store.state.revision - revision).toBe(2n);
    expect((await lab.only())?.healthSince).toEqual(since);
    answer = null;
    await clock.advance(1_100);
    expect(await lab.health()).toBe(PASSING);
  });

  it("of a leader that was deposed in the middle of one change nothing", async () => {
    let release = (_: string | null) => {};
    const slow: TcpCheck = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    await lab.lead(slow);
    await lab.register({});
    await clock.advance(300);
    await lab.leadership.elect();
    release(null);
    await clock.advance(100);
    expect(await lab.health()).toBe(UNKNOWN);
  });

  it("follow what is registered anew, elsewhere, or no longer", async () => {
    const targets: string[] = [];
    await lab.lead(async ({ address, port }) => {
      targets.push(`${address}:${port}`);
      return null;
    });
    await lab.register({ instance: "one" });
    await clock.advance(2_000);
    await lab.register({ instance: "one", port: 9 });
    targets.length = 0;
    await clock.advance(2_000);
    expect(new Set(targets)).toEqual(new Set(["10.0.0.5:9"]));
    await lab.register({ instance: "one", check: HealthCheckKind.NONE });
    targets.length = 0;
    await clock.advance(5_000);
    expect(targets).toEqual([]);
  });

  it("are made a bounded number at a time, and one that hangs holds up no other", async () => {
    let open = 0;
    let most = 0;
    await lab.lead(async ({ port }, timeoutMs, signal) => {
      open += 1;
      most = Math.max(most, open);
      await waitFor(clock, port === 1 ? timeoutMs : 50, signal);
      open -= 1;
      return port === 1 ? "no answer" : null;
    });
    for (let at = 0; at < 300; at++) {
      const address = `10.0.${at >> 8}.${at & 255}`;
      await lab.register({ service: `s${at % 10}`, address, port: at < 30 ? 1 : 2 });
    }
    await clock.advance(5_000);
    const all = await lab.registry.list({ namespace: "", service: "" });
    expect(all.filter(({ health }) => health === PASSING)).toHaveLength(270);
    expect(all.filter(({ health }) => health === FAILING)).toHaveLength(30);
    expect(most).toBe(64);
  });

  it("are tried again when the store did not take the change", async () => {
    await lab.lead(check);
    await lab.register({});
    const transact = lab.store.transact.bind(lab.store);
    lab.store.transact = () => Promise.reject(new Error("away"));
    await clock.advance(1_000);
    expect(await lab.health()).toBe(UNKNOWN);
    lab.store.transact = transact;
    await clock.advance(1_100);
    expect(await lab.health()).toBe(PASSING);
  });
});

describe("a TCP check", () => {
  const never = new AbortController().signal;

  it.each(["127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "nonsense"])(
    "opens no connection to %s",
    async (address) => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      let connections = 0;
      server.on("connection", () => connections++);
      const { port } = server.address() as { port: number };
      expect(await checkTcp({ address, port }, 1_000, never)).toContain("its address is");
      expect(connections).toBe(0);
      server.close();
    },
  );

  it("ends with its signal", async () => {
    const ended = AbortSignal.abort();
    expect(await checkTcp({ address: "192.0.2.1", port: 9 }, 60_000, ended)).toBe("the check was broken off");
  });
});

describe.skipIf(problem !== null)(`health checks of real targets${problem === null ? "" : ` (${problem})`}`, () => {
  const address = OWN_ADDRESS ?? "";

  it("see a service come, go and come back", async () => {
    const lab = new Lab(systemClock);
    const sockets = new Set<Socket>();
    const listen = async (port: number): Promise<Server> => {
      const server = createServer((socket) => sockets.add(socket)).listen(port, address);
      await once(server, "listening");
      return server;
    };
    let server = await listen(0);
    const { port } = server.address() as { port: number };
    await lab.lead(checkTcp);
    await lab.register({ address, port });
    await eventually(lab.health, (health) => health === PASSING);
    for (const socket of sockets) socket.destroy();
    server.close();
    await eventually(lab.only, (one) => one?.health === FAILING);
    expect((await lab.only())?.healthDetail).toBe("the connection was refused");
    server = await listen(port);
    await eventually(lab.health, (health) => health === PASSING);
    for (const socket of sockets) socket.destroy();
    server.close();
    await lab.resign();
    await lab.services.stop();
  });

  it("give up a target that hangs after the time they have", async () => {
    // Somebody who listens and never accepts: once its queue is full the kernel answers no more.
    const source = `const { createServer } = require("node:net"); const { parentPort } = require("node:worker_threads");
      const server = createServer(); server.listen({ port: 0, host: ${JSON.stringify(address)}, backlog: 1 }, () => {
        parentPort.postMessage(server.address().port);
        setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
      });`;
    const worker = new Worker(source, { eval: true });
    const [port] = (await once(worker, "message")) as [number];
    const answers: (string | null)[] = [];
    for (let at = 0; at < 6; at++) answers.push(await checkTcp({ address, port }, 300, new AbortController().signal));
    await worker.terminate();
    expect(answers.at(-1)).toBe("no answer in 0.3 s");
  });
});
