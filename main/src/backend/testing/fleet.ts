/** A console with several hosts whose agents are in memory. */
import { create } from "@bufbuild/protobuf";
import { type Environment, HostAccessSchema } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { RemoteDialerFactory } from "../agent/dialer.ts";
import type { BackendOptions } from "../backend.ts";
import type { HostRecord } from "../store/managed-hosts-table.ts";
import { startTestConsole, type TestConsole } from "./console.ts";
import { FakeAgent } from "./fake-agent.ts";

export interface TestFleet {
  readonly agents: ReadonlyMap<string, FakeAgent>;
  /** Agent of a host; the machine of the console is `alpha`. */
  agent(name: string): FakeAgent;
  /** Another console, on the same store when `stateDir` is given. */
  start(options?: Partial<BackendOptions>): TestConsole;
  connected(tester: TestConsole): Promise<void>;
}

/** Hosts with the given names, which are their ids, besides the machine of the console. */
export function testFleet(names: readonly string[], environments: Record<string, Environment> = {}): TestFleet {
  const agents = new Map(["alpha", ...names].map((name, index) => [name, agentNamed(name, index)]));
  const remoteDialer: RemoteDialerFactory = (record) => ({
    get address() {
      return record().access?.address ?? "";
    },
    dial: (options) => {
      const agent = agents.get(record().access?.address ?? "");
      if (agent) return agent.dial(options);
      return Promise.reject(new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "no such machine" }));
    },
  });
  return {
    agents,
    agent(name) {
      const agent = agents.get(name);
      if (!agent) throw new Error(`there is no ${name}`);
      return agent;
    },
    start(options = {}) {
      const tester = startTestConsole(agents.get("alpha"), { remoteDialer, introducesLocalHost: false, ...options });
      const { manager, registry } = tester.backend;
      const added = names.filter((name) => !registry.find(name));
      if (added.length > 0) manager.add(added.map((name, index) => recordOf(name, index, environments[name] ?? null)));
      return tester;
    },
    async connected({ backend }) {
      await Promise.all(backend.registry.hosts.map(({ connection }) => connection.client()));
    },
  };
}

function agentNamed(name: string, index: number): FakeAgent {
  const agent = new FakeAgent();
  agent.hostName = name;
  agent.addresses = [`10.0.${Math.floor(index / 250)}.${(index % 250) + 1}`];
  return agent;
}

function recordOf(name: string, index: number, environment: Environment | null): HostRecord {
  const access = create(HostAccessSchema, { address: name });
  return { id: name, alias: name, access, groups: [], environment, addedAtMs: index + 1, documentName: "" };
}
