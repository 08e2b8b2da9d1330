import { create } from "@bufbuild/protobuf";
import { HostAccessSchema, Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RemoteDialerFactory } from "../agent/dialer.ts";
import type { HostRecord } from "../store/managed-hosts-table.ts";
import { startTestConsole, type TestConsole } from "../testing/console.ts";
import { FakeAgent } from "../testing/fake-agent.ts";
import { hostNameOf } from "./managed-host.ts";

let tester: TestConsole;
let agents: Map<string, FakeAgent>;

/** Each remote host has the agent that is registered under its address. */
const remoteDialer: RemoteDialerFactory = (record) => ({
  get address() {
    return record().access?.address ?? "";
  },
  dial: (options) => {
    const agent = agents.get(record().access?.address ?? "");
    return agent
      ? agent.dial(options)
      : Promise.reject(new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "no such machine" }));
  },
});

function agentNamed(hostName: string): FakeAgent {
  const agent = new FakeAgent();
  agent.hostName = hostName;
  return agent;
}

function record(id: string, address: string, change: Partial<HostRecord> = {}): HostRecord {
  const access = create(HostAccessSchema, { address });
  return { id, alias: id, access, groups: [], environment: null, addedAtMs: 1, documentName: "", ...change };
}

beforeEach(() => {
  agents = new Map([["192.0.2.1", agentNamed("beta")]]);
  tester = startTestConsole(new FakeAgent(), { remoteDialer });
});
afterEach(() => tester.close());

/** Somebody looks at it: else a remote host is not connected. */
function stateOf(id: string, { backend } = tester) {
  const { connection } = backend.registry.byId(id);
  connection.need();
  return connection.state;
}

describe("the hosts of a console", () => {
  it("are connected when they are added, collect flows, and keep them when they are removed", async () => {
    const { manager, registry } = tester.backend;
    manager.add([record("b", "192.0.2.1", { groups: ["db"] })]);
    await expect.poll(() => stateOf("b").reachability).toBe(Reachability.CONNECTED);
    expect(registry.hosts.map(hostNameOf)).toEqual(["alpha", "beta"]);
    agents.get("192.0.2.1")?.pushFlows([{ host: "beta", sourceAddress: "192.0.2.1" } as never]);
    const flows = async () => (await tester.flows.queryFlows({})).flows.map(({ host }) => host);
    await expect.poll(flows).toEqual(["beta"]);
    await manager.remove("b");
    expect(registry.hosts.map(hostNameOf)).toEqual(["alpha"]);
    expect(await flows()).toEqual(["beta"]);
    expect(() => registry.byId("b")).toThrow("no host");
  });

  it("are there again after a restart, with what was said of them", async () => {
    const environment = { name: "production", color: 1 } as never;
    tester.backend.manager.add([record("b", "192.0.2.1", { groups: ["db", "eu"], environment, alias: "the-b" })]);
    await tester.backend.close();
    const next = startTestConsole(new FakeAgent(), { remoteDialer, stateDir: tester.stateDir });
    try {
      expect(next.backend.registry.hosts.map(({ id }) => id)).toEqual(["local", "b"]);
      expect(next.backend.registry.byId("b").record).toMatchObject({
        alias: "the-b",
        access: { address: "192.0.2.1" },
        groups: ["db", "eu"],
        environment: { name: "production", color: 1 },
      });
      await expect.poll(() => stateOf("b", next).reachability).toBe(Reachability.CONNECTED);
    } finally {
      await next.close();
    }
  });

  it("go over to another address when it is edited, and keep their identity", async () => {
    const { manager, registry } = tester.backend;
    manager.add([record("b", "192.0.2.9")]);
    await expect.poll(() => stateOf("b").problem?.message).toBe("no such machine");
    manager.update(record("b", "192.0.2.1"));
    await expect.poll(() => stateOf("b").reachability).toBe(Reachability.CONNECTED);
    agents.set("192.0.2.2", agentNamed("gamma"));
    manager.update(record("b", "192.0.2.2"));
    stateOf("b");
    await expect.poll(() => hostNameOf(registry.byId("b"))).toBe("gamma");
  });

  it("reach a console that another process has changed, and its streams", async () => {
    const other = startTestConsole(new FakeAgent(), { remoteDialer, stateDir: tester.stateDir, collectFlows: false });
    try {
      const seen: string[][] = [];
      const reading = (async () => {
        for await (const { hosts } of tester.hosts.watchHosts({})) {
          seen.push(hosts.map(({ id, alias }) => `${id} ${alias}`));
          if (hosts.length === 1 && seen.some((shown) => shown.length === 2)) return;
        }
      })();
      other.backend.manager.add([record("b", "192.0.2.1")]);
      await expect.poll(() => seen.at(-1)).toEqual(["local ", "b b"]);
      other.backend.manager.update(record("b", "192.0.2.1", { alias: "renamed" }));
      await expect.poll(() => seen.at(-1)).toEqual(["local ", "b renamed"]);
      await other.backend.manager.remove("b");
      await reading;
    } finally {
      await other.close();
    }
  });

  it("are told apart by alias when two claim one name", () => {
    const { manager, registry } = tester.backend;
    manager.add([record("x", "192.0.2.7", { alias: "one" }), record("y", "192.0.2.8", { alias: "alpha" })]);
    expect(registry.byIdOrName("one").id).toBe("x");
    // The person's word counts more than what a machine says of itself.
    expect(registry.byIdOrName("alpha").id).toBe("y");
    expect(() => registry.byIdOrName("nobody")).toThrow("no host");
  });
});

it("refuses a name that two agents claim", async () => {
  agents.set("192.0.2.2", agentNamed("beta"));
  tester.backend.manager.add([record("x", "192.0.2.1"), record("y", "192.0.2.2")]);
  await expect.poll(() => stateOf("y").reachability).toBe(Reachability.CONNECTED);
  await expect.poll(() => stateOf("x").reachability).toBe(Reachability.CONNECTED);
  expect(() => tester.backend.registry.byIdOrName("beta")).toThrow("2 hosts call themselves");
});
