/** An agent inside the test process, on a real socket, with the doubles of enforcer, engine and clock. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { AgentOptions } from "../agent/options.ts";
import { type AgentPorts, type RunningAgent, runAgent } from "../agent/runAgent.ts";
import { EnforcerSession } from "../enforce/enforcerSession.ts";
import { type AgentClient, connectAgent } from "./agentClient.ts";
import { FakeClock } from "./fakeClock.ts";
import { FakeEnforcer, FakeKernel } from "./fakeEnforcer.ts";
import { FakeEngine } from "./fakeEngine.ts";

export class TestAgent {
  readonly directory = mkdtempSync(join(tmpdir(), "wardline-agent-"));
  readonly clock = new FakeClock();
  readonly kernel = new FakeKernel();
  readonly options: AgentOptions = {
    socketPath: join(this.directory, "agent.sock"),
    stateDir: join(this.directory, "state"),
    bpffsDir: "/nowhere",
    cgroupRoot: null,
    hostName: "alpha",
    backend: "ebpf",
    logLevel: "fatal",
    edge: false,
    earlyDrop: [],
    bootFailure: "closed",
  };
  enforcer = new FakeEnforcer(this.clock, this.kernel);
  #running: RunningAgent[] = [];
  #clients: AgentClient[] = [];

  async start(over: Partial<AgentOptions & AgentPorts> = {}): Promise<RunningAgent> {
    const enforcer = new FakeEnforcer(this.clock, this.kernel);
    this.enforcer = enforcer;
    const ports: AgentPorts = {
      log: pino({ level: "silent" }),
      clock: this.clock,
      engine: new FakeEngine(),
      bootId: "boot-1",
      chooseBackend: async () => ({
        enforcer: new EnforcerSession(enforcer),
        reason: "A double.",
        capabilities: [],
        cgroupRoot: "/nowhere",
      }),
      ...over,
    };
    const running = await runAgent({ ...this.options, ...over }, ports);
    this.#running.push(running);
    return running;
  }

  /** A client with a connection of its own. */
  connect(): AgentClient {
    const client = connectAgent(this.options.socketPath);
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    for (const running of this.#running) await running.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
