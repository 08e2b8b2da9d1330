import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { enforcedVerdict } from "../decision.ts";
import { evaluate } from "../evaluate.ts";
import type { PolicyWorld } from "../model.ts";
import {
  addressPeer,
  arbitraryWorld,
  endpointsPeer,
  host,
  policy,
  ports,
  rule,
  selectorFor,
  workload,
  world,
} from "../testing/index.ts";
import { FlowJudge } from "./flow-judge.ts";
import { type FlowBatch, FlowLineReader } from "./read-flows.ts";
import type { RecordedFlow } from "./recorded-flow.ts";
import { Simulation, simulateFlows } from "./simulation.ts";

const ENDPOINTS = [
  host("web-1", { labels: new Map([["app", "web"]]), addresses: ["10.0.0.1"] }),
  host("web-2", { labels: new Map([["app", "web"]]), addresses: ["10.0.0.2"] }),
  host("db-1", { labels: new Map([["app", "db"]]), addresses: ["10.0.0.9"] }),
];

const onlyPort = (port: number) =>
  policy("db", {
    subject: selectorFor("app=db"),
    isolates: { ingress: true, egress: false },
    rules: [rule("ingress", { peers: [endpointsPeer("app=web")], ports: [ports(6, port)] })],
  });

const candidate = world(ENDPOINTS, [onlyPort(5432)]);

function recorded(over: Partial<RecordedFlow> = {}): RecordedFlow {
  return {
    timeMs: 1000,
    kind: "start",
    direction: "ingress",
    protocol: 6,
    sourceAddress: "10.0.0.1",
    destinationAddress: "10.0.0.9",
    port: 5432,
    verdict: "allow",
    enforced: "allow",
    subjectKey: "Host/db-1",
    host: "db-1",
    ...over,
  };
}

function simulate(flows: readonly RecordedFlow[], options: Partial<ConstructorParameters<typeof Simulation>[0]> = {}) {
  const simulation = new Simulation({ candidate, ...options });
  for (const flow of flows) simulation.add(flow);
  return simulation.result();
}

describe("a simulation", () => {
  it("sorts flows by what was recorded and what the candidate says, changes first", () => {
    const result = simulate([
      recorded({ timeMs: 5000 }),
      recorded({ sourceAddress: "10.0.0.2", timeMs: 2000, kind: "end" }),
      recorded({ port: 22 }),
      recorded({ port: 23, enforced: "deny", verdict: "deny" }),
      recorded({ enforced: "deny", verdict: "deny" }),
      recorded({ sourceAddress: "192.0.2.1", destinationAddress: "192.0.2.2", subjectKey: "", host: "" }),
      recorded({ enforced: null, verdict: null }),
    ]);
    expect(result).toMatchObject({
      read: 7,
      judged: 7,
      sampledOut: 0,
      firstSeenMs: 1000,
      lastSeenMs: 5000,
      base: null,
    });
    expect(result.recorded).toEqual({
      "newly-blocked": 1,
      "newly-allowed": 1,
      "stays-allowed": 2,
      "still-blocked": 1,
      unmatched: 2,
    });
    expect(result.unmatched).toMatchObject({ "ends-unknown": 1, "no-recorded-verdict": 1 });
    expect(
      result.groups.map(({ recordedClass, from, to, port, flows }) => [recordedClass, from, to, port, flows]),
    ).toEqual([
      ["newly-blocked", "default app=web", "default app=db", 22, 1],
      ["newly-allowed", "default app=web", "default app=db", 5432, 1],
      ["unmatched", "192.0.2.0/24", "192.0.2.0/24", 5432, 1],
      ["unmatched", "default app=web", "default app=db", 5432, 1],
      ["still-blocked", "default app=web", "default app=db", 23, 1],
      ["stays-allowed", "default app=web", "default app=db", 5432, 2],
    ]);
    expect(result.groups.at(-1)).toMatchObject({ ends: 1, firstSeenMs: 2000, lastSeenMs: 5000 });
    expect(result.groups[0]?.example.answer).toMatchObject({
      fromKey: "Host/web-1",
      toKey: "Host/db-1",
      direction: "ingress",
      decision: { policyKeys: ["Policy/default/db"] },
    });
  });

  it("tells a change by the candidate from one that the present policies make already", () => {
    const present = world(ENDPOINTS, [onlyPort(22)]);
    const { base, groups } = simulate([recorded(), recorded({ port: 22 }), recorded({ port: 80 })], { base: present });
    expect(base).toMatchObject({ "newly-allowed": 1, "newly-blocked": 1, "still-blocked": 1 });
    expect(groups.map(({ baseClass, recordedClass, port }) => [baseClass, recordedClass, port])).toEqual([
      ["newly-blocked", "newly-blocked", 22],
      ["newly-allowed", "stays-allowed", 5432],
      ["still-blocked", "newly-blocked", 80],
    ]);
  });

  it("counts what observed policies would deny as allowed, and says so", () => {
    const observing = world(ENDPOINTS, [{ ...onlyPort(1), mode: "observe" }]);
    const result = simulate([recorded()], { candidate: observing });
    expect(result.recorded["stays-allowed"]).toBe(1);
    expect(result.observed).toBe(1);
  });

  it("judges a connection that was refused before it had an address as the subject's", () => {
    const refused = recorded({
      kind: "deny",
      direction: "egress",
      sourceAddress: "0.0.0.0",
      verdict: "deny",
      enforced: "deny",
      subjectKey: "Host/web-1",
      host: "web-1",
    });
    const judge = new FlowJudge(candidate);
    expect(judge.answer(refused)).toMatchObject({ verdict: "allow", fromKey: "Host/web-1", toKey: "Host/db-1" });
    // A workload without an address of its own uses its host's.
    const pod = workload("pod", "web-2");
    const withPod = new FlowJudge(world([...ENDPOINTS, pod], [onlyPort(5432)]));
    expect(withPod.answer({ ...refused, subjectKey: pod.key, host: "web-2" }).verdict).toBe("allow");
    // Nobody knows the subject: then the address says nothing, and no rule is for it.
    expect(judge.answer({ ...refused, subjectKey: "Host/other", host: "other" }).verdict).toBe("deny");
    expect(judge.answer({ ...refused, sourceAddress: "::" })).toMatchObject({ reason: "mixed-families" });
  });

  it("has no answer where endpoints behind one address are treated differently", () => {
    const shared = world(
      [host("web-1", { addresses: ["10.0.0.1"] }), workload("job", "web-1", { labels: new Map([["app", "job"]]) })],
      [policy("job", { subject: selectorFor("app=job") })],
    );
    const flow = recorded({
      direction: null,
      subjectKey: "",
      sourceAddress: "192.0.2.1",
      destinationAddress: "10.0.0.1",
    });
    expect(simulate([flow], { candidate: shared }).unmatched["several-endpoints"]).toBe(1);
    // The host that recorded it knows which one it was.
    const known = { ...flow, direction: "ingress" as const, subjectKey: "Workload/default/job" };
    expect(simulate([known], { candidate: shared }).recorded["newly-blocked"]).toBe(1);
    expect(simulate([{ ...known, subjectKey: "Host/web-1" }], { candidate: shared }).recorded["stays-allowed"]).toBe(1);
  });

  it("is exact about samples", () => {
    const result = simulate(
      Array.from({ length: 10 }, (_, index) => recorded({ timeMs: index })),
      { sampleEvery: 3 },
    );
    expect(result).toMatchObject({ read: 10, judged: 4, sampledOut: 6, firstSeenMs: 0, lastSeenMs: 9 });
    expect(result.groups[0]?.flows).toBe(4);
  });

  it("lists no more groups than asked for and loses no flow of the others", () => {
    const flows = Array.from({ length: 300 }, (_, index) => recorded({ port: 1 + (index % 100) }));
    const { groups, other, recorded: classes } = simulate(flows, { maxGroups: 5 });
    expect(groups).toHaveLength(5);
    expect(classes["newly-blocked"]).toBe(300);
    expect(other.recorded["newly-blocked"] + groups.reduce((sum, group) => sum + group.flows, 0)).toBe(300);
  });

  it("ends at the limit or when it is cancelled, with what it has", async () => {
    const batch: FlowBatch = { flows: [recorded(), recorded()], problems: [], problemCount: 1 };
    const run = async (options: { limit?: number; signal?: AbortSignal }, after = () => {}) => {
      const steps = simulateFlows([batch, batch, batch], { candidate, ...options });
      for (;;) {
        const { done, value } = await steps.next();
        if (done) return value;
        after();
      }
    };
    expect(await run({})).toMatchObject({ read: 6, unreadable: 3, isCancelled: false });
    expect(await run({ limit: 3 })).toMatchObject({ read: 3, isCancelled: false });
    const stopping = new AbortController();
    expect(await run({ signal: stopping.signal }, () => stopping.abort())).toMatchObject({
      read: 2,
      isCancelled: true,
    });
  });

  it("gives every flow of random worlds the verdict of the reference", { timeout: 60_000 }, () => {
    const flows = (of: PolicyWorld) => {
      const addresses = [...of.inventory.endpoints.flatMap(({ addresses: own }) => own), "192.0.2.77", "2001:db8::77"];
      return fc.array(
        fc.record({
          from: fc.constantFrom(...addresses),
          to: fc.constantFrom(...addresses),
          port: fc.constantFrom(53, 80, 81, 443),
        }),
        { minLength: 20, maxLength: 20 },
      );
    };
    let judged = 0;
    fc.assert(
      fc.property(
        arbitraryWorld().chain((of) => fc.tuple(fc.constant(of), flows(of))),
        ([of, probes]) => {
          const judge = new FlowJudge(of);
          for (const { from, to, port } of probes) {
            const direction = null;
            const answer = judge.answer(recorded({ sourceAddress: from, destinationAddress: to, port, direction }));
            if (answer.verdict === null) continue;
            judged++;
            const end = (endpointKey: string | null, address: string) => ({ endpointKey, address });
            const flow = { from: end(answer.fromKey, from), to: end(answer.toKey, to), protocol: 6, port };
            const verdicts = evaluate(of, flow).directions.map(({ decision }) => enforcedVerdict(decision));
            // An end behind which several endpoints are decides only when they agree, or when the other end denies.
            if (answer.verdict === "allow") expect(verdicts).toEqual(["allow", "allow"]);
            else expect(verdicts).toContain("deny");
          }
        },
      ),
      { numRuns: 300, seed: 20_261_121 },
    );
    expect(judged).toBeGreaterThan(1000);
  });
});

it("takes a prefix peer and an unknown end together", () => {
  const open = world(ENDPOINTS, [
    policy("db", {
      subject: selectorFor("app=db"),
      isolates: { ingress: true, egress: false },
      rules: [rule("ingress", { peers: [addressPeer("192.0.2.0/24")] })],
    }),
  ]);
  const { recorded: classes } = simulate(
    [recorded({ sourceAddress: "192.0.2.1" }), recorded({ sourceAddress: "198.51.100.1" })],
    { candidate: open },
  );
  expect(classes).toMatchObject({ "stays-allowed": 1, "newly-blocked": 1 });
});

it("counts flows that are read as numbers like the same flows as objects", async () => {
  const lines = Array.from({ length: 600 }, (_, index) => {
    const verdict = index % 5 === 0 ? "VERDICT_DENY" : index % 7 === 0 ? undefined : "VERDICT_ALLOW";
    return JSON.stringify({
      time: new Date(1_790_000_000_000 + index * 1000).toISOString(),
      kind: index % 3 === 0 ? "FLOW_EVENT_KIND_END" : undefined,
      direction: index % 2 === 0 ? "DIRECTION_INGRESS" : "DIRECTION_EGRESS",
      protocol: index % 11 === 0 ? 17 : 6,
      sourceAddress: index % 4 === 0 ? `192.0.2.${index % 200}` : "10.0.0.1",
      destinationAddress: "10.0.0.9",
      destinationPort: [22, 5432, 80][index % 3],
      verdict,
      subjectKey: index % 2 === 0 ? "Host/db-1" : "Host/web-1",
    });
  });
  const reader = new FlowLineReader();
  const bytes = new TextEncoder().encode(lines.join("\n"));
  const read = [reader.push(bytes.subarray(0, 30_001)), reader.push(bytes.subarray(30_001)), reader.finish()];
  const run = async (batches: readonly FlowBatch[], more: { limit?: number; sampleEvery?: number }) => {
    const steps = simulateFlows(batches, { candidate, base: world(ENDPOINTS, [onlyPort(22)]), ...more });
    for (;;) {
      const { done, value } = await steps.next();
      if (done) return value;
    }
  };
  const asObjects = read.map(({ flows, problems, problemCount }) => ({ flows, problems, problemCount }));
  for (const more of [{}, { limit: 333 }, { sampleEvery: 7 }]) {
    const result = await run(read, more);
    expect(result).toEqual(await run(asObjects, more));
    expect(result.read).toBe(more.limit ?? 600);
    expect(result.groups.length).toBeGreaterThan(5);
  }
});

it("keeps flows apart whose numbers are beyond what a packet can have", () => {
  const { recorded: classes, groups } = simulate([
    recorded({ port: 70_000 }),
    recorded({ port: 70_000 - 65_536, protocol: 7 }),
  ]);
  expect(classes["newly-blocked"]).toBe(2);
  expect(groups).toHaveLength(2);
});
