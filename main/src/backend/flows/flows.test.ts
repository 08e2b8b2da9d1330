import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import type { WatchFlowsResponse } from "@wardline/api/wardline/console/v1/flows";
import { type Flow, FlowEventKind, FlowHook, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startTestConsole, type TestConsole } from "../testing/console.ts";

let tester: TestConsole;
let nextId = 1n;

beforeEach(() => {
  nextId = 1n;
  tester = startTestConsole();
});
afterEach(() => tester.close());

function flow(over: MessageInitShape<typeof FlowSchema> = {}): Flow {
  return create(FlowSchema, {
    id: nextId++,
    host: "alpha",
    time: timestampFromMs(Date.now()),
    kind: FlowEventKind.START,
    direction: Direction.INGRESS,
    protocol: 6,
    sourceAddress: "10.0.0.9",
    sourcePort: 40_000,
    destinationAddress: "10.0.0.1",
    destinationPort: 443,
    verdict: Verdict.ALLOW,
    enforced: Verdict.ALLOW,
    generation: 3n,
    subjectKey: "Host/alpha",
    packets: 1n,
    bytes: 60n,
    ...over,
  });
}

const decision = (policyKey: string, summary = `allowed by ${policyKey}`) => ({
  $typeName: "wardline.v1.Decision" as const,
  id: "0123456789abcdef",
  verdict: Verdict.ALLOW,
  reason: 1,
  tier: 3,
  policyKeys: [policyKey],
  rule: "ingress[0]",
  summary,
  observeOnly: false,
});

async function query(filter = {}, over = {}) {
  return tester.flows.queryFlows({ filter, ...over });
}

async function stored(count: number) {
  await expect.poll(async () => Number((await query()).total)).toBe(count);
}

async function failureOf(call: Promise<unknown>) {
  return failureFromConnectError(
    ConnectError.from(
      await call.then(
        () => null,
        (reason: unknown) => reason,
      ),
    ),
  );
}

describe("collecting", () => {
  it("keeps a flow whole, once, although the agent sends its history again", async () => {
    const sent = flow({
      decision: decision("NetworkPolicy/default/web"),
      sourceName: "client",
      cgroupPath: "/system.slice/web.service",
      hook: FlowHook.CONNECT,
      process: { pid: 4711, userId: 33, userName: "www-data", command: "curl", executable: "/usr/bin/curl (deleted)" },
      time: { $typeName: "google.protobuf.Timestamp", seconds: 1_700_000_000n, nanos: 123_456_000 },
    });
    tester.agent.pushFlows([sent, flow({ sourceAddress: "fd00::9", destinationAddress: "fd00::1" })]);
    await stored(2);
    tester.agent.dropConnections();
    tester.agent.pushFlows([flow({ destinationPort: 22 })]);
    await stored(3);
    const { flows } = await query();
    expect(flows.map(({ destinationPort }) => destinationPort)).toEqual([22, 443, 443]);
    expect(flows[2]).toEqual({ ...sent, id: flows[2]?.id });
  });

  it("uses up no id for what it knows already: readers would take the gap for flows that they missed", async () => {
    const sent = Array.from({ length: 30 }, (_, index) => flow({ sourcePort: index }));
    tester.agent.pushFlows(sent);
    await stored(30);
    tester.agent.dropConnections();
    tester.agent.pushFlows([...sent, flow({ destinationPort: 22 })]);
    await stored(31);
    expect((await query()).flows.map(({ id }) => Number(id))).toEqual(
      Array.from({ length: 31 }, (_, index) => 31 - index),
    );
  });

  it("reads the history again after a gap", async () => {
    tester.agent.pushFlows([flow()]);
    await stored(1);
    tester.agent.pushFlows([flow()], 5n);
    tester.agent.flowMessages.splice(1, 1);
    tester.agent.pushFlows([flow()]);
    await stored(2);
  });
});

describe("filters", () => {
  beforeEach(async () => {
    tester.agent.pushFlows([
      flow({ decision: decision("NetworkPolicy/default/web") }),
      flow({ destinationPort: 22, verdict: Verdict.DENY, decision: decision("NetworkPolicy/default/web-admin") }),
      flow({ protocol: 17, destinationPort: 53, direction: Direction.EGRESS, destinationAddress: "192.0.2.53" }),
      flow({ sourceAddress: "fd00:1::9", destinationAddress: "fd00:1::1", sourceName: "Lab_PC 100%" }),
    ]);
    await stored(4);
  });

  it.each<[string, Record<string, unknown>, number[]]>([
    ["nothing", {}, [4, 3, 2, 1]],
    ["verdict", { verdicts: [Verdict.DENY] }, [2]],
    ["direction", { directions: [Direction.EGRESS] }, [3]],
    ["protocol and port", { protocols: [6], ports: [22, 443] }, [4, 2, 1]],
    ["protocol that no flow has with that port", { protocols: [17], ports: [443] }, []],
    ["an address of either end", { addresses: ["192.0.2.53"] }, [3]],
    ["a network of either end", { addresses: ["192.0.2.0/24"] }, [3]],
    ["several networks", { addresses: ["fd00:1::/32", "192.0.2.0/24"] }, [4, 3]],
    ["every IPv4 address and no IPv6 one", { addresses: ["0.0.0.0/0"] }, [3, 2, 1]],
    ["all but a network", { excludeAddresses: ["10.0.0.0/8"] }, [4]],
    ["a policy, and not one whose name begins alike", { policyKeys: ["NetworkPolicy/default/web"] }, [1]],
    ["all but a policy", { excludePolicyKeys: ["NetworkPolicy/default/web"] }, [4, 3, 2]],
    ["all but ports", { excludePorts: [443, 53] }, [2]],
    ["text in any case", { text: "lab_pc" }, [4]],
    ["text with wildcards meant literally", { text: "100%" }, [4]],
    ["text that only a wildcard would find", { text: "L_b" }, []],
    ["text of a decision", { text: "web-admin" }, [2]],
    ["this host", { hostIds: ["local"] }, [4, 3, 2, 1]],
    ["another host", { hostIds: ["other"] }, []],
    ["the future", { since: timestampFromMs(Date.now() + 60_000) }, []],
    ["the past", { until: timestampFromMs(Date.now() - 60_000) }, []],
  ])("by %s", async (_what, filter, expected) => {
    const { flows, total } = await query(filter);
    expect(flows.map(({ id }) => Number(id))).toEqual(expected);
    expect(Number(total)).toBe(expected.length);
  });

  const processes = [
    { pid: 4711, userId: 33, userName: "www-data", command: "curl", executable: "/usr/bin/curl" },
    { pid: 1234, userId: 0, userName: "root", command: "systemd-resolve", executable: "/lib/systemd/systemd-resolved" },
    { pid: 99, userId: 4711, userName: "", command: "1234", executable: "/opt/c_rl (deleted)" },
  ];

  it.each<[string, Record<string, unknown>, number[]]>([
    ["its name", { processes: ["curl"] }, [4711]],
    ["the file name of its program", { processes: ["systemd-resolved"] }, [1234]],
    ["its path, deleted or not", { processes: ["/usr/bin/curl", "/opt/c_rl"] }, [99, 4711]],
    ["its id, and a process that calls itself so", { processes: ["1234"] }, [99, 1234]],
    ["a name with wildcards meant literally", { processes: ["c_rl", "%"] }, [99]],
    ["a part of its path, which is no name", { processes: ["bin/curl"] }, []],
    ["all but a process", { excludeProcesses: ["curl"] }, [99, 1234]],
    ["the name or the number of its user", { users: ["www-data", "0"] }, [1234, 4711]],
    ["all but a user", { excludeUsers: ["4711"] }, [1234, 4711]],
    ["text", { text: "RESOLVED" }, [1234]],
  ])("find a process by %s", async (_what, filter, expected) => {
    tester.agent.pushFlows(processes.map((process) => flow({ process })));
    await stored(7);
    const { flows } = await query(filter);
    expect(flows.flatMap(({ process }) => process?.pid ?? [])).toEqual(expected);
    // Flows of unknown processes are of no process, so excluding one keeps them.
    const keepsUnknown = "excludeProcesses" in filter || "excludeUsers" in filter;
    expect(flows.some(({ process }) => process === undefined)).toBe(keepsUnknown);
  });

  it("page by id", async () => {
    const first = await query({}, { limit: 3 });
    expect(first.flows.map(({ id }) => Number(id))).toEqual([4, 3, 2]);
    const next = await query({}, { limit: 3, beforeId: first.flows.at(-1)?.id });
    expect(next.flows.map(({ id }) => Number(id))).toEqual([1]);
    expect(Number(next.total)).toBe(4);
  });

  it.each([
    ["what is no address", { addresses: ["'; DROP TABLE flows; --"] }],
    ["a prefix that is too long", { addresses: ["10.0.0.0/33"] }],
    ["too many values", { ports: new Array(201).fill(1) }],
    ["too long a text", { text: "a".repeat(201) }],
  ])("refuse %s", async (_what, filter) => {
    expect((await failureOf(query(filter)))?.code).toBe(ErrorCode.INVALID_ARGUMENT);
  });

  it("take hostile text as text", async () => {
    const hostile = `%' OR 1=1 --\u0000"); DROP TABLE flows;`;
    expect((await query({ text: hostile, policyKeys: [hostile] })).flows).toEqual([]);
    expect((await failureOf(query({}, { limit: 1001 })))?.code).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(Number((await query()).total)).toBe(4);
  });
});

describe("watching", () => {
  /** Reads messages until the condition holds. */
  async function watchUntil(request: object, done: (seen: WatchFlowsResponse[]) => boolean, during?: () => void) {
    const reader = new AbortController();
    const seen: WatchFlowsResponse[] = [];
    const timer = setTimeout(() => reader.abort(), 8000);
    try {
      for await (const message of tester.flows.watchFlows(request, { signal: reader.signal })) {
        seen.push(message);
        if (seen.length === 1) during?.();
        if (done(seen)) break;
      }
    } finally {
      clearTimeout(timer);
      reader.abort();
    }
    return seen;
  }

  it("says what the inventory calls the addresses, and nothing of those that have a name", async () => {
    const [own = ""] = tester.agent.addresses;
    tester.agent.pushFlows([
      flow({ sourceAddress: own, destinationAddress: "__proto__" }),
      flow({ sourceAddress: own, sourceName: "client" }),
    ]);
    await stored(2);
    const [first] = await watchUntil({ history: 10 }, ([message]) => message !== undefined);
    expect(first?.flows).toHaveLength(2);
    expect(first?.names).toEqual({ [own]: "alpha" });
  });

  it("answers a question from further back than the newest flows, and goes on with what comes", async () => {
    const rare = () => flow({ destinationPort: 22, process: { pid: 7, command: "ssh" } as never });
    tester.agent.pushFlows([rare(), rare()]);
    for (let batch = 0; batch < 5; batch++) {
      tester.agent.pushFlows(Array.from({ length: 900 }, (_, index) => flow({ sourcePort: batch * 900 + index })));
    }
    await stored(4_502);
    const seen = await watchUntil(
      { history: 10, query: "process:ssh (port:22 OR port:23)" },
      (messages) => messages.flatMap(({ flows }) => flows).length >= 3,
      () => tester.agent.pushFlows([flow(), rare()]),
    );
    expect(seen.flatMap(({ flows }) => flows.map(({ destinationPort }) => destinationPort))).toEqual([22, 22, 22]);
  });

  it.each([
    ["process:ssh OR port:53", 2],
    ["-process:* port:400-500", 2],
    ["-label:app=none port:53", 1],
    ["-(label:app=none port:53) bytes>50", 1],
  ])("follows %j as it answers it afterwards", async (text, ofFour) => {
    const some = () => [
      flow({ process: { pid: 7, command: "ssh" } as never }),
      flow({ protocol: 17, destinationPort: 53 }),
      flow({ kind: FlowEventKind.DENY, verdict: Verdict.DENY, bytes: 0n }),
      flow({ originatorBytes: 40n, responderBytes: 20n }),
    ];
    tester.agent.pushFlows(some());
    await stored(4);
    const seen = await watchUntil(
      { history: 100, query: text },
      (messages) => messages.flatMap(({ flows }) => flows).length >= 3 * ofFour,
      () => tester.agent.pushFlows([...some(), ...some()]),
    );
    await stored(12);
    const { flows, total } = await tester.flows.queryFlows({ query: text });
    expect(Number(total)).toBe(3 * ofFour);
    expect(seen.flatMap((message) => message.flows.map(({ id }) => id))).toEqual(flows.map(({ id }) => id).reverse());
  });

  it("gives the newest of the history first and then what comes", async () => {
    tester.agent.pushFlows(Array.from({ length: 5 }, (_, index) => flow({ sourcePort: index })));
    await stored(5);
    const seen = await watchUntil(
      { history: 3 },
      (messages) => messages.flatMap(({ flows }) => flows).length >= 4,
      () => tester.agent.pushFlows([flow({ sourcePort: 99 })]),
    );
    expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map((_, index) => BigInt(index + 1)));
    expect(seen.flatMap(({ flows }) => flows.map(({ sourcePort }) => sourcePort))).toEqual([2, 3, 4, 99]);
    expect(seen.at(-1)?.ratePerSecond).toBeGreaterThan(0);
    expect(seen.at(-1)?.silentHostIds).toEqual([]);
  });

  it("filters the live stream as it filters the history", async () => {
    const filter = { ports: [22] };
    const seen = await watchUntil(
      { filter, history: 10 },
      (messages) => messages.flatMap(({ flows }) => flows).length >= 1,
      () => tester.agent.pushFlows([flow(), flow({ destinationPort: 22 }), flow()]),
    );
    expect(seen.flatMap(({ flows }) => flows.map(({ destinationPort }) => destinationPort))).toEqual([22]);
  });

  it("sends batches, not one message for each flow", async () => {
    const many = Array.from({ length: 3000 }, () => flow());
    const started = Date.now();
    const seen = await watchUntil(
      {},
      (messages) => messages.flatMap(({ flows }) => flows).length >= 3000,
      () => {
        for (let start = 0; start < many.length; start += 10) tester.agent.pushFlows(many.slice(start, start + 10));
      },
    );
    const seconds = (Date.now() - started) / 1000;
    expect(seen.length).toBeLessThanOrEqual(2 + seconds * 10 + 1);
  });

  it("says how far it is behind the hosts: not of what it begins with, and not when nothing is left", async () => {
    const hoursAgo = (hours: number) => flow({ time: timestampFromMs(Date.now() - hours * 3_600_000) });
    tester.agent.pushFlows([hoursAgo(3)]);
    await stored(1);
    const seen = await watchUntil(
      { history: 10 },
      (messages) => messages.flatMap(({ flows }) => flows).length >= 3 && messages.at(-1)?.flows.length === 0,
      () => tester.agent.pushFlows([hoursAgo(2), hoursAgo(1)]),
    );
    const hours = (behindSeconds = 0) => Math.floor(behindSeconds / 3_600);
    expect(seen.flatMap(({ flows }) => flows)).toHaveLength(3);
    expect(seen[0]).toMatchObject({ behindSeconds: 0, flows: [{}] });
    expect(seen.at(-1)).toMatchObject({ behindSeconds: 0 });
    const [ofNew] = seen.slice(1).filter(({ flows }) => flows.length > 0);
    expect(hours(ofNew?.behindSeconds)).toBe(1);
  });

  it("says which hosts are silent, at least every second", async () => {
    tester.agent.dropConnections();
    const seen = await watchUntil({}, (messages) => messages.length >= 3);
    expect(seen.length).toBe(3);
  });
});

describe("two consoles on one store", () => {
  it("collect once, and both see it", async () => {
    const second = startTestConsole(tester.agent, { stateDir: tester.stateDir });
    try {
      await stored(0);
      tester.agent.pushFlows([flow(), flow()]);
      await stored(2);
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(Number((await second.flows.queryFlows({})).total)).toBe(2);
      const reader = new AbortController();
      let counted = 0;
      for await (const message of second.flows.watchFlows({ history: 0 }, { signal: reader.signal })) {
        // The first message says that the stream has begun.
        if (message.sequence === 1n) tester.agent.pushFlows([flow()]);
        counted += message.flows.length;
        if (counted > 0) break;
      }
      expect(counted).toBe(1);
      reader.abort();
    } finally {
      await second.close();
    }
  });
});
