import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { NewHostSchema } from "@wardline/api/wardline/console/v1/fleet";
import { EnvironmentColor, type Host, Reachability, SshSummarySchema } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RemoteDialerFactory } from "../agent/dialer.ts";
import { createHostNeedsSource } from "../ship/host-needs.ts";
import type { SshSession } from "../ssh/ssh-session.ts";
import { startTestConsole, type TestConsole } from "../testing/console.ts";
import { FakeAgent } from "../testing/fake-agent.ts";

let tester: TestConsole;
let agents: Map<string, FakeAgent>;

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

beforeEach(() => {
  agents = new Map();
  tester = startTestConsole(new FakeAgent(), { remoteDialer, ssh: { environment: { homeDir: "/nonexistent" } } });
});
afterEach(() => tester.close());

function agentAt(address: string, hostName: string, addresses = [address]): FakeAgent {
  const agent = new FakeAgent();
  Object.assign(agent, { hostName, addresses });
  agents.set(address, agent);
  return agent;
}

const add = (...hosts: MessageInitShape<typeof NewHostSchema>[]) => tester.fleet.addHosts({ hosts });

/** The first list of hosts that fits; looking at it connects them. */
async function hostsWhen(fits: (hosts: readonly Host[]) => boolean): Promise<readonly Host[]> {
  const leaving = new AbortController();
  const signal = AbortSignal.any([leaving.signal, AbortSignal.timeout(8000)]);
  try {
    for await (const { hosts } of tester.hosts.watchHosts({}, { signal })) {
      if (fits(hosts)) return hosts;
    }
    throw new Error("the stream ended");
  } finally {
    leaving.abort();
  }
}

async function failureOf(call: Promise<unknown>): Promise<Failure> {
  const reason: unknown = await call.then(
    () => null,
    (error: unknown) => error,
  );
  const failure = failureFromConnectError(ConnectError.from(reason));
  if (!failure) throw new Error("it did not fail as expected");
  return failure;
}

const files = () => tester.backend.workspace.snapshot().files.map(({ path }) => path);
const labelsOf = (name: string) => {
  const { endpoints } = tester.backend.workspace.snapshot().reading.world.inventory;
  const found = endpoints.find((endpoint) => endpoint.key === `Host/${name}`);
  return found && { labels: Object.fromEntries(found.labels), addresses: found.addresses };
};

describe("a remote host", () => {
  it("is connected while somebody looks at hosts, and left afterwards", async () => {
    await tester.close();
    agentAt("192.0.2.5", "far");
    tester = startTestConsole(new FakeAgent(), { remoteDialer, remote: { idleAfterMs: 50 } });
    await add({ access: { address: "192.0.2.5" } });
    const host = tester.backend.registry.hosts[1];
    expect(host?.connection.state.reachability).toBe(Reachability.IDLE);
    await hostsWhen((all) => all[1]?.reachability === Reachability.CONNECTED);
    await expect.poll(() => host?.connection.state.reachability).toBe(Reachability.IDLE);
    expect(host?.connection.state).toMatchObject({ problem: null, status: { info: { name: "far" } } });
  });

  it("does not come back by an edit when another process has forgotten it", async () => {
    const { hostIds } = await add({ alias: "b", access: { address: "192.0.2.9" } });
    const [hostId = ""] = hostIds;
    const other = startTestConsole(new FakeAgent(), { remoteDialer, stateDir: tester.stateDir, collectFlows: false });
    try {
      await other.fleet.removeHost({ hostId });
      const failure = await failureOf(
        tester.fleet.updateHost({ hostId, alias: "c", access: { address: "192.0.2.9" } }),
      );
      expect(failure.code).toBe(ErrorCode.NOT_FOUND);
      await expect.poll(() => tester.backend.registry.hosts.length).toBe(1);
    } finally {
      await other.close();
    }
  });
});

describe("adding hosts", () => {
  it("keeps what was said, writes documents that policies can select, and takes the agent's name at first contact", async () => {
    agentAt("192.0.2.5", "database-5", ["192.0.2.5", "2001:db8::5"]);
    const { hostIds } = await add({
      alias: "db 5".replace(" ", "-"),
      access: { address: "192.0.2.5", user: "ops", port: 2222, jump: "bastion" },
      groups: ["eu", "db"],
      labels: { app: "db" },
      environment: { name: "production", color: EnvironmentColor.RED },
    });
    expect(files()).toContain("hosts/db-5.yaml");
    expect(labelsOf("db-5")).toEqual({
      labels: { "kubernetes.io/hostname": "db-5", app: "db" },
      addresses: ["192.0.2.5"],
    });
    const hosts = await hostsWhen((all) => all[1]?.reachability === Reachability.CONNECTED && all[1].declared);
    expect(hosts[1]).toMatchObject({
      id: hostIds[0],
      name: "database-5",
      alias: "db-5",
      local: false,
      access: { address: "192.0.2.5", user: "ops", port: 2222, jump: "bastion" },
      groups: ["db", "eu"],
      labels: { app: "db", "kubernetes.io/hostname": "database-5" },
      environment: { name: "production", color: EnvironmentColor.RED },
    });
    // The person's address stays; it was given and is true.
    expect(labelsOf("database-5")?.addresses).toEqual(["192.0.2.5"]);
    expect(labelsOf("db-5")).toBeUndefined();
  });

  it("fills in addresses where only a name was known, and leaves a document alone that somebody deleted", async () => {
    agentAt("web.example.com", "web", ["198.51.100.7"]);
    agentAt("gone.example.com", "gone", ["198.51.100.8"]);
    await add({ alias: "web", access: { address: "web.example.com" } });
    await add({ alias: "gone", access: { address: "gone.example.com" } });
    await tester.policies.deleteFile({ path: "hosts/gone.yaml" });
    await hostsWhen((all) => all.filter((each) => each.reachability === Reachability.CONNECTED).length === 3);
    await expect.poll(() => labelsOf("web")?.addresses).toEqual(["198.51.100.7"]);
    expect(labelsOf("gone")).toBeUndefined();
    await expect
      .poll(() => tester.backend.registry.hosts.map(({ record }) => record.documentName))
      .toEqual(["", "", ""]);
  });

  it("adds labels to a document that is there already", async () => {
    const text = "apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: web, labels: {tier: front}} # mine\n";
    await tester.policies.saveFile({ path: "web.yaml", text });
    await add({ alias: "web", access: { address: "192.0.2.1" }, labels: { app: "web" } });
    expect(labelsOf("web")?.labels).toEqual({ tier: "front", app: "web" });
    expect((await tester.policies.getFile({ path: "web.yaml" })).text).toContain("# mine");
  });

  it("puts many documents into one file", async () => {
    const hosts = Array.from({ length: 300 }, (_, index) => ({
      access: { address: `192.0.2.${index % 250}`, port: 1 + index },
      alias: `h${index}`,
    }));
    await add(...hosts);
    expect(files().filter((path) => path.startsWith("hosts/added-"))).toHaveLength(1);
    expect(labelsOf("h299")?.labels).toEqual({ "kubernetes.io/hostname": "h299" });
    expect(
      tester.backend.workspace.snapshot().reading.diagnostics.filter(({ severity }) => severity === "error"),
    ).toEqual([]);
  });

  it.each([
    [[], ErrorCode.INVALID_ARGUMENT, "No host"],
    [[{ access: { address: "a" } }, { access: { address: "" } }], ErrorCode.INVALID_ARGUMENT, "address"],
    [
      [{ access: { address: "a" } }, { access: { address: "-oProxyCommand=id" } }],
      ErrorCode.INVALID_ARGUMENT,
      "address",
    ],
    [[{ access: { address: "a", port: 70_000 } }], ErrorCode.INVALID_ARGUMENT, "port"],
    [[{ access: { address: "a", identityFiles: ["key"] } }], ErrorCode.INVALID_ARGUMENT, "path"],
    [[{ access: { address: "a", agentSocket: "~/agent.sock" } }], ErrorCode.INVALID_ARGUMENT, "absolute"],
    [[{ access: { address: "a", jump: "x;y" } }], ErrorCode.INVALID_ARGUMENT, "in between"],
    [[{ access: { address: "a" }, alias: "all" }], ErrorCode.INVALID_ARGUMENT, "alias"],
    [[{ access: { address: "a" }, alias: "\u001b[31m" }], ErrorCode.INVALID_ARGUMENT, "alias"],
    [[{ access: { address: "a" }, groups: ["a b"] }], ErrorCode.INVALID_ARGUMENT, "group"],
    [[{ access: { address: "a" }, labels: { "a b": "c" } }], ErrorCode.INVALID_ARGUMENT, "label"],
    [[{ access: { address: "a" }, environment: { name: "<b>" } }], ErrorCode.INVALID_ARGUMENT, "environment"],
    [[{}], ErrorCode.INVALID_ARGUMENT, "how the machine is reached"],
    [
      [
        { alias: "x", access: { address: "a" } },
        { alias: "X", access: { address: "b" } },
      ],
      ErrorCode.ALREADY_EXISTS,
      "called x",
    ],
    [
      [
        { alias: "x", access: { address: "a" } },
        { alias: "y", access: { address: "A" } },
      ],
      ErrorCode.ALREADY_EXISTS,
      "same agent as x",
    ],
    [[{ alias: "old", access: { address: "b" } }], ErrorCode.ALREADY_EXISTS, "called old"],
  ])("refuses %j whole", async (hosts, code, message) => {
    await add({ alias: "old", access: { address: "old" } });
    const before = files();
    const failure = await failureOf(add(...(hosts as MessageInitShape<typeof NewHostSchema>[])));
    expect(failure.code).toBe(code);
    expect(`${failure.message} ${failure.hint}`).toContain(message);
    expect(files()).toEqual(before);
    expect(tester.backend.registry.hosts).toHaveLength(2);
  });

  it("changes nothing when the documents cannot be written", async () => {
    const putAll = tester.backend.workspace.putAll.bind(tester.backend.workspace);
    tester.backend.workspace.putAll = (given) => {
      putAll(given);
      throw new Failure({ code: ErrorCode.DISK_FULL, message: "full" });
    };
    expect((await failureOf(add({ access: { address: "a" } }))).code).toBe(ErrorCode.DISK_FULL);
    expect(tester.backend.registry.hosts).toHaveLength(1);
    expect(files()).not.toContain("hosts/a.yaml");
  });
});

describe("a host that is there", () => {
  it("is edited, and found under its new alias", async () => {
    const { hostIds } = await add(
      { alias: "one", access: { address: "192.0.2.1" } },
      { alias: "two", access: { address: "192.0.2.2" } },
    );
    const [hostId = ""] = hostIds;
    await tester.fleet.updateHost({ hostId, alias: "uno", access: { address: "192.0.2.3" }, groups: ["x"] });
    expect(tester.backend.registry.byIdOrName("uno").record).toMatchObject({
      access: { address: "192.0.2.3" },
      groups: ["x"],
    });
    const same = await failureOf(tester.fleet.updateHost({ hostId, alias: "two", access: { address: "192.0.2.3" } }));
    expect(same.code).toBe(ErrorCode.ALREADY_EXISTS);
    await tester.fleet.updateHost({
      hostId: "local",
      groups: ["desk"],
      environment: { name: "office", color: EnvironmentColor.GREEN },
    });
    expect(tester.backend.registry.local.record).toMatchObject({ groups: ["desk"], environment: { name: "office" } });
    const refused = await failureOf(tester.fleet.updateHost({ hostId: "local", access: { address: "a" } }));
    expect(refused.code).toBe(ErrorCode.INVALID_ARGUMENT);
  });

  it("is forgotten and stays as it is; its flows and what it enforces stay", async () => {
    const agent = agentAt("192.0.2.1", "beta");
    const { hostIds } = await add({ alias: "b", access: { address: "192.0.2.1" } });
    await hostsWhen((all) => all[1]?.reachability === Reachability.CONNECTED);
    agent.pushFlows([{ host: "someone-else", sourceAddress: "192.0.2.1", sourceName: "\u001b[2J<b>x" } as never]);
    const flows = async () => (await tester.flows.queryFlows({})).flows;
    await expect.poll(async () => (await flows()).map(({ host }) => host)).toEqual(["beta"]);
    expect((await flows())[0]?.sourceName).toBe("\\u{1b}[2J<b>x");
    const [hostId = ""] = hostIds;
    await tester.fleet.removeHost({ hostId });
    expect(tester.backend.registry.hosts).toHaveLength(1);
    expect((await flows()).map(({ host }) => host)).toEqual(["beta"]);
    expect(agent.applied).toEqual([]);
    expect((await failureOf(tester.fleet.removeHost({ hostId }))).code).toBe(ErrorCode.NOT_FOUND);
    expect((await failureOf(tester.fleet.removeHost({ hostId: "local" }))).code).toBe(ErrorCode.INVALID_ARGUMENT);
  });

  it("is connected when asked, and says why not", async () => {
    const { hostIds } = await add({ alias: "b", access: { address: "192.0.2.1" } });
    const [hostId = ""] = hostIds;
    expect(await tester.fleet.connectHost({ hostId })).toMatchObject({
      reachability: Reachability.UNREACHABLE,
      problem: { code: ErrorCode.HOST_UNREACHABLE, message: "no such machine", host: "b" },
    });
    agentAt("192.0.2.1", "beta");
    expect(await tester.fleet.connectHost({ hostId })).toMatchObject({ reachability: Reachability.CONNECTED });
  });
});

describe("a host that says from where it sees the console", () => {
  let hostId: string;

  beforeEach(async () => {
    await tester.close();
    const agent = new FakeAgent();
    agent.hostName = "far";
    const session = {
      summary: create(SshSummarySchema),
      ended: new AbortController().signal,
      run: async () => ({ exitCode: 0, stdout: "Welcome\n203.0.113.9 50000 192.0.2.1 2222\n", stderr: "" }),
    } as unknown as SshSession;
    const dialer = { address: "far", dial: async () => ({ ...(await agent.dial()), session }) };
    const noFacts = { environment: {}, readText: () => null };
    tester = startTestConsole(new FakeAgent(), {
      remoteDialer: () => dialer,
      hostNeeds: (host) => createHostNeedsSource(noFacts, (id) => tester.backend.origins.of(id))(host),
    });
    const { hostIds } = await add({ alias: "far", access: { address: "192.0.2.1" }, labels: { app: "far" } });
    hostId = hostIds[0] ?? "";
    await hostsWhen((all) => all[1]?.reachability === Reachability.CONNECTED);
  });

  it("is not cut off by a quarantine that nobody could lift", async () => {
    const set = (more: object) => tester.hosts.setQuarantine({ hostId, reason: "odd", ...more });
    for (const more of [
      {},
      { managementCidrs: ["203.0.113.0/24"] },
      { managementCidrs: ["198.51.100.1"], managementPorts: [2222] },
    ]) {
      const failure = await failureOf(set(more));
      expect(failure.code).toBe(ErrorCode.WOULD_LOCK_OUT);
      expect(failure.hint).toContain("--allow-from 203.0.113.9 --port 2222");
    }
    const kept = await set({ managementCidrs: ["203.0.113.0/24"], managementPorts: [22, 2222] });
    expect(kept.status?.quarantines).toHaveLength(1);
    await set({ lifted: true });
    expect((await set({ subject: "default/worker" })).status?.quarantines).toMatchObject([
      { subjectKey: "default/worker" },
    ]);
  });

  it("is not planned for when the policies would not let the console in", async () => {
    const hostIds = [hostId];
    const policy = (cidr: string) => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ssh}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress: [{from: [{ipBlock: {cidr: ${cidr}}}], ports: [{port: 2222}]}]
`;
    await tester.policies.saveFile({ path: "p.yaml", text: policy("198.51.100.0/24") });
    const cut = await tester.ship.plan({ hostIds });
    expect(cut.planId).toBe("");
    expect(cut.diagnostics.map(({ code }) => code)).toContain("WL401");
    expect(JSON.stringify(cut.diagnostics.map(({ message }) => message))).toContain("203.0.113.9");
    const { revision } = await tester.policies.getFile({ path: "p.yaml" });
    await tester.policies.saveFile({ path: "p.yaml", text: policy("203.0.113.0/24"), baseRevision: revision });
    expect((await tester.ship.plan({ hostIds })).planId).not.toBe("");
  });
});

describe("an inventory file", () => {
  it("is read with what is known already, and changes nothing", async () => {
    await add({ alias: "web-1", access: { address: "192.0.2.1" } });
    const text = "[web]\nweb-1\nweb-2 ansible_host=192.0.2.2 wardline_environment=production\nbad name\n";
    const reading = await tester.fleet.readInventory({ name: "hosts.ini", text });
    expect(reading.format).toBe("ansible-ini");
    expect(reading.entries).toMatchObject([
      { alias: "web-1", known: true, line: 2, groups: ["web"] },
      { alias: "web-2", known: false, environment: { name: "production", color: EnvironmentColor.RED } },
      { alias: "bad" },
    ]);
    expect(reading.diagnostics).toMatchObject([{ code: "WL501", source: { line: 4 } }]);
    expect(tester.backend.registry.hosts).toHaveLength(2);
    const large = await failureOf(tester.fleet.readInventory({ name: "x", text: "a".repeat(1024 * 1024 + 1) }));
    expect(large.code).toBe(ErrorCode.TOO_LARGE);
  });
});
