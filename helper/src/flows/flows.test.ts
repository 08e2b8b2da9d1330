import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FlowEventKind, FlowHook } from "@wardline/api/wardline/v1/flow";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import { afterEach, describe, expect, it, vi } from "vitest";
import { GenerationContexts } from "../generations/contexts.ts";
import { withoutNames } from "../generations/switching.ts";
import { CgroupPaths } from "../linux/cgroupPaths.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { FakeEnforcer } from "../testing/fakeEnforcer.ts";
import { FakeEngine, fakeProgram } from "../testing/fakeEngine.ts";
import { flowEvent } from "../testing/flowEvent.ts";
import { FlowHub, KEPT_FLOWS, READER_QUEUE } from "./flowHub.ts";
import { toWireFlow } from "./flowMessage.ts";

const noCgroups = { get: () => undefined, learn: async () => {} };
const noPrograms = { beginBatch: () => {}, pathOf: () => "" };

function makeHub() {
  const enforcer = new FakeEnforcer(new FakeClock());
  return { enforcer, hub: new FlowHub(enforcer, noCgroups, noPrograms) };
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1));
}

describe("FlowHub", () => {
  it("keeps the newest flows and gives a reader as many as it asks for, then new ones", async () => {
    const { enforcer, hub } = makeHub();
    for (let batch = 0; batch < 130; batch += 1) enforcer.emit(Array.from({ length: 100 }, () => flowEvent()));
    await settle();
    const reader = hub.subscribe(50_000);
    let count = 0;
    let first = 0n;
    while (reader.hasMore) {
      const flows = reader.take();
      first ||= flows[0]?.id ?? 0n;
      count += flows.length;
    }
    expect(count).toBe(KEPT_FLOWS);
    expect(first).toBe(3_001n);
    enforcer.emit([flowEvent()]);
    await reader.changed(1_000, new AbortController().signal);
    expect(reader.take().map((flow) => flow.id)).toEqual([13_001n]);
    hub.close();
  });

  it("counts exactly what a slow reader lost and never what a quick one read", async () => {
    const { enforcer, hub } = makeHub();
    const slow = hub.subscribe(0);
    const quick = hub.subscribe(0);
    let received = 0;
    const sent = READER_QUEUE + 1_700;
    for (let batch = 0; batch < sent / 100; batch += 1) {
      enforcer.emit(Array.from({ length: 100 }, () => flowEvent()));
      await settle();
      while (quick.hasMore) received += quick.take().length;
    }
    let slowly = 0;
    while (slow.hasMore) slowly += slow.take().length;
    expect([received, quick.lag]).toEqual([Math.ceil(sent / 100) * 100, 0n]);
    expect([slowly, slow.lag]).toEqual([READER_QUEUE, BigInt(received - READER_QUEUE)]);
    hub.close();
  });

  it("stops waiting when the stream ends", async () => {
    const { hub } = makeHub();
    const ended = new AbortController();
    const waiting = hub.subscribe(0).changed(60_000, ended.signal);
    ended.abort();
    await waiting;
    hub.close();
  });
});

describe("toWireFlow", () => {
  it("names ends, decision and time from the generation that decided", () => {
    const contexts = new GenerationContexts();
    contexts.remember(4, {
      program: fakeProgram("x"),
      world: new FakeEngine().read([]).world,
      circumstances: withoutNames(0),
      dependencies: { expiriesUnixMs: [], domainNames: [] },
      readUs: 0,
      compileUs: 0,
    });
    const kept = {
      id: 9n,
      event: flowEvent({ generation: 4, hook: "connect", process: { pid: 77, userId: 33, command: "curl" } }),
      cgroupPath: "/system.slice/web.service",
      executable: "/usr/bin/curl",
    };
    const flow = toWireFlow(kept, {
      hostName: "alpha",
      contextOf: (generation) => contexts.get(generation),
      wallMsOf: () => 1_700_000_000_500,
      userNameOf: (userId) => (userId === 33 ? "www-data" : ""),
    });
    expect(flow).toMatchObject({
      id: 9n,
      host: "alpha",
      kind: FlowEventKind.DENY,
      sourceName: "alpha",
      destinationName: "shop/web",
      verdict: Verdict.DENY,
      enforced: Verdict.DENY,
      subjectKey: "Host/alpha",
      cgroupPath: "/system.slice/web.service",
      hook: FlowHook.CONNECT,
      process: { pid: 77, userId: 33, userName: "www-data", command: "curl", executable: "/usr/bin/curl" },
      decision: { id: "00000000000000aa", policyKeys: ["NetworkPolicy/default/web"] },
      time: { seconds: 1_700_000_000n, nanos: 500_000_000 },
    });
  });

  it("says nothing that it does not know when the generation is gone", () => {
    const kept = { id: 1n, event: flowEvent({ generation: 77 }), cgroupPath: "", executable: "" };
    const surroundings = { hostName: "alpha", contextOf: () => undefined, wallMsOf: () => 0, userNameOf: () => "" };
    const flow = toWireFlow(kept, surroundings);
    expect(flow).toMatchObject({ sourceName: "", destinationName: "", subjectKey: "" });
    expect([flow.decision, flow.process]).toEqual([undefined, undefined]);
  });
});

describe("CgroupPaths", () => {
  const root = mkdtempSync(join(tmpdir(), "wardline-cgroups-"));
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it("finds directories by inode, remembers them, and looks again at most once a second", async () => {
    const nowMs = vi.fn(() => 0);
    const paths = new CgroupPaths(root, nowMs);
    mkdirSync(join(root, "a/b"), { recursive: true });
    const id = (path: string) => statSync(join(root, path), { bigint: true }).ino;
    await paths.learn([id("a/b")]);
    expect([paths.get(id("")), paths.get(id("a/b"))]).toEqual(["/", "/a/b"]);
    mkdirSync(join(root, "c"));
    await paths.learn([id("c")]);
    expect(paths.get(id("c"))).toBeUndefined();
    nowMs.mockReturnValue(1_500);
    const former = id("a/b");
    rmSync(join(root, "a"), { recursive: true });
    await paths.learn([id("c")]);
    expect([paths.get(id("c")), paths.get(former)]).toEqual(["/c", "/a/b"]);
  });
});
