/** The healing of meshes in simulated clusters: leaders that change, stores that go away, members that lie. */

import { HealingDecision } from "@wardline/api/wardline/agent/v1/mesh";
import { Role } from "@wardline/api/wardline/v1/host";
import { HealingMode, HealingOutcome, HealingState, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode } from "@wardline/domain/errors";
import { type OrderReceipt, USUAL_HEALING_SETTINGS } from "@wardline/domain/mesh/healing";
import { toWireHealingSettings } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryClusterStore } from "../../testing/memoryClusterStore.ts";
import { MeshLab, type MeshNode } from "../../testing/meshLab.ts";
import { memberRecord } from "../../testing/simulatedMember.ts";
import { Keys } from "../keys.ts";
import { writeRecord } from "../membership/messages.ts";
import type { Compare } from "../store/clusterStore.ts";
import { writeFenced } from "./fencedWrites.ts";
import type { Loop } from "./healingCoordinator.ts";
import { meshDuties } from "./meshDuties.ts";
import { decodeOrder, decodeReceipt, encodeDecision, encodeOrder, encodeReceipt, encodeSettings } from "./records.ts";

const keys = new Keys();
const ACT = { ...USUAL_HEALING_SETTINGS, mode: HealingMode.ACT, cooldownMs: 10_000 };
const ASKER = { actor: "alice (1000) on web", role: Role.ADMIN };
const accept = async () => {};
const SILENT = { info() {}, warn() {} };
const { UP, DOWN } = MeshProviderState;

let lab: MeshLab;
/** What must never be, seen after each change of the store. */
let broken: string[];
beforeEach(() => {
  lab = new MeshLab();
  broken = [];
  watchOrders();
});
afterEach(() => expect(broken).toEqual([]));

/** No target has two orders that somebody carries out or may still take. */
function watchOrders(): void {
  lab.state.whenChanged(() => {
    const lead = lab.state.get(keys.leader)?.createRevision ?? 0n;
    const alive = lab.state.under(keys.meshOrders).flatMap(({ key, value }) => {
      const stored = decodeOrder(value);
      const receipt = lab.state.get(keys.meshReceipts + key.slice(keys.meshOrders.length));
      const said = receipt ? decodeReceipt(receipt.value) : null;
      const isAlive = said ? said.receipt === null : stored?.leadRevision === lead;
      return stored && isAlive ? [stored.order] : [];
    });
    const targets = alive.map(({ target }) => target);
    if (new Set(targets).size < targets.length) broken.push(`two orders for one target: ${targets.join(", ")}`);
    const executed = lab.nodes.flatMap(({ mesh }) => mesh.executed.map(({ id }) => id));
    if (new Set(executed).size < executed.length) broken.push(`carried out twice: ${executed.join(", ")}`);
    watchOrders();
  });
}

/** The daemon there comes back when it is restarted, after a while. */
function healable({ mesh }: MeshNode, afterMs = 400): void {
  mesh.act = async ({ dryRun }) => {
    if (dryRun) return HealingOutcome.DONE;
    await new Promise<void>((resolve) => lab.world.schedule(afterMs, resolve));
    mesh.become(UP);
    return HealingOutcome.DONE;
  };
}

async function acting(...names: string[]): Promise<MeshNode[]> {
  lab.put(keys.meshSettings, encodeSettings(ACT));
  const nodes = await lab.nodesNamed(...names);
  for (const node of nodes) healable(node);
  return nodes;
}

/** Of daemons: a host that was killed is a fault of its own, and stays one. */
const daemonRuns = () => lab.runs().filter(({ target }) => target.startsWith("daemon/"));
const isOver = () => daemonRuns().length > 0 && daemonRuns().every(({ endedAtMs }) => endedAtMs !== null);
const followers = () => lab.nodes.filter((node) => node !== lab.leader());
const states = () => daemonRuns().map(({ state }) => HealingState[state]);

describe("healing by the leader", () => {
  it("notices at once, orders once, verifies, and leaves nothing on the way", async () => {
    await acting("a", "b", "c");
    const [broke] = followers();
    broke!.mesh.become(DOWN);
    const fromMs = lab.world.wallMs();
    await lab.until(() => lab.runs().length > 0, 5_000);
    // The fault itself is confirmed for a second first.
    expect(lab.world.wallMs() - fromMs).toBeLessThan(1_000 + 1_300);
    await lab.until(isOver, 20_000);
    expect(states()).toEqual(["HEALED"]);
    expect(broke!.mesh.executed).toHaveLength(1);
    const [run] = lab.runs();
    expect(run).toMatchObject({
      target: `daemon/yggdrasil/${broke!.member.name}`,
      coordinator: lab.leader()!.member.name,
    });
    await lab.world.advance(2_000);
    expect(lab.state.under(keys.meshOrders)).toEqual([]);
    expect(lab.state.under(keys.meshReceipts)).toEqual([]);
    for (const { exchange } of lab.nodes) {
      expect(exchange.healing.runs().map(({ state }) => state)).toEqual([HealingState.HEALED]);
      expect(exchange.healing.knowledge()).toMatchObject([{ tried: 1, healed: 1 }]);
      expect(exchange.healing.coordinator()).toBe(lab.leader()!.member.name);
      expect(exchange.healing.problem()).toBe("");
    }
  });

  it("only suggests until an administrator says otherwise, and takes a person's decision on any member", async () => {
    const nodes = await lab.nodesNamed("a", "b", "c");
    for (const node of nodes) healable(node);
    const [broke, other] = followers();
    expect(other!.exchange.healing.settings().mode).toBe(HealingMode.SUGGEST);
    broke!.mesh.become(DOWN);
    await lab.until(() => states()[0] === "WAITING_FOR_APPROVAL", 20_000);
    await lab.world.advance(5_000);
    expect(broke!.mesh.executed.every(({ dryRun }) => dryRun)).toBe(true);
    const { id } = lab.runs()[0]!;
    const request = { runId: id, decision: HealingDecision.APPROVE, candidate: null, reason: "go on" } as const;
    const decided = other!.exchange.healing.decide(request, ASKER, accept);
    await lab.world.advance(2_500);
    expect((await decided).id).toBe(id);
    await lab.until(isOver, 20_000);
    const orders = broke!.mesh.executed.filter(({ dryRun }) => !dryRun);
    expect(orders.map(({ approvedBy }) => approvedBy)).toEqual([`alice (1000) on ${other!.member.name}`]);
    expect(lab.state.under(keys.meshDecisions)).toEqual([]);
    const none = other!.exchange.healing.decide({ ...request, candidate: 7 }, ASKER, accept);
    await expect(none).rejects.toMatchObject({ code: ErrorCode.NOTHING_PENDING });
    const again = other!.exchange.healing.decide(request, ASKER, accept);
    await expect(again).rejects.toMatchObject({ code: ErrorCode.NOTHING_PENDING });
    const strange = other!.exchange.healing.decide({ ...request, runId: "../x" }, ASKER, accept);
    await expect(strange).rejects.toMatchObject({ code: ErrorCode.NOT_FOUND });
  });

  it("keeps an approval that comes while it is still gone through without effect", async () => {
    const nodes = await lab.nodesNamed("a", "b", "c");
    for (const node of nodes) healable(node);
    const [broke, other] = followers();
    const restart = broke!.mesh.act;
    broke!.mesh.act = async (order) => {
      if (order.dryRun) await new Promise<void>((resolve) => lab.world.schedule(3_000, resolve));
      return restart(order);
    };
    broke!.mesh.become(DOWN);
    await lab.until(() => broke!.mesh.executed.length === 1, 20_000);
    const { id: runId } = lab.runs()[0]!;
    const approval = { runId, decision: HealingDecision.APPROVE, candidate: null, reason: "" } as const;
    const outside = other!.exchange.healing.decide({ ...approval, candidate: 7 }, ASKER, accept);
    await expect(outside).rejects.toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
    void other!.exchange.healing.decide(approval, ASKER, accept);
    await lab.until(isOver, 30_000);
    expect(states()).toEqual(["HEALED"]);
    expect(lab.state.under(keys.meshDecisions)).toEqual([]);
  });

  it("goes by settings that a candidate wrote, at most one of two at once; a plain member is told where to", async () => {
    const [a, b] = await lab.nodesNamed("a", "b");
    const wire = toWireHealingSettings(ACT);
    const both = Promise.allSettled([a!, b!].map(({ exchange }) => exchange.healing.configure(wire, ASKER, accept)));
    await lab.world.advance(500);
    const outcomes = (await both).map(({ status }) => status).sort();
    expect(outcomes).toEqual(["fulfilled", "rejected"]);
    expect(a!.exchange.healing.settings().mode).toBe(HealingMode.ACT);
    const [member] = await lab.started(["plain"], { candidate: false });
    const plain = lab.node(member!, false);
    const record = { ...memberRecord("plain", lab.world.wallMs()), candidate: false };
    lab.put(keys.member("plain"), writeRecord(record));
    await expect(plain.exchange.healing.configure(wire, ASKER, accept)).rejects.toMatchObject({
      code: ErrorCode.NOT_LEADER,
    });
    await expect(plain.exchange.healing.resetKnowledge(ASKER, accept)).rejects.toMatchObject({
      code: ErrorCode.NOT_LEADER,
    });
    healable(b!);
    healable(a!);
    const broke = followers()[0]!;
    broke.mesh.become(DOWN);
    await lab.until(isOver, 30_000);
    // Written past the agent: what a plain member says of knowledge counts for nothing.
    const forget = encodeDecision({ kind: "forget", actor: "mallory", atMs: lab.world.wallMs() });
    lab.put(keys.meshDecision("plain", "x"), forget);
    await lab.world.advance(2_000);
    expect(lab.state.under(keys.meshDecisions)).toEqual([]);
    expect(a!.exchange.healing.knowledge()).toHaveLength(1);
    const forgotten = a!.exchange.healing.resetKnowledge(ASKER, accept);
    await lab.world.advance(2_500);
    await forgotten;
    expect(b!.exchange.healing.knowledge()).toEqual([]);
  });
});

describe("a change of leader", () => {
  // From before the fault is known until after it is verified.
  it.each([200, 1_500, 2_150, 2_350, 3_000, 4_500, 6_000, 8_000])(
    "%i ms after the fault loses nothing",
    async (afterMs) => {
      await acting("a", "b", "c");
      const old = lab.leader()!;
      const [broke] = followers();
      broke!.mesh.become(DOWN);
      await lab.world.advance(afterMs);
      lab.kill(old.member);
      await lab.until(() => lab.leader() !== undefined && lab.leader() !== old, 20_000);
      await lab.until(isOver, 120_000);
      const runs = lab.runs().filter(({ target }) => target.startsWith("daemon/"));
      expect(runs).toHaveLength(1);
      expect(["HEALED", "CLEARED"]).toContain(HealingState[runs[0]!.state]);
      expect(broke!.mesh.state).toBe(UP);
      expect(broke!.mesh.executed.length).toBeLessThanOrEqual(2);
    },
  );

  it("in the middle of an action takes the answer that comes later, and does not repeat it", async () => {
    await acting("a", "b", "c");
    const old = lab.leader()!;
    const [broke] = followers();
    healable(broke!, 9_000);
    broke!.mesh.become(DOWN);
    await lab.until(() => broke!.mesh.executed.length === 1, 10_000);
    lab.kill(old.member);
    await lab.until(() => lab.leader() !== undefined && lab.leader() !== old, 20_000);
    await lab.until(isOver, 60_000);
    expect(broke!.mesh.executed).toHaveLength(1);
    expect(daemonRuns()[0]).toMatchObject({ state: HealingState.HEALED });
  });

  it("leaves a leader that stood still with a fence that does not hold, and its orders with nobody", async () => {
    await acting("a", "b", "c");
    const old = lab.leader()!;
    const [broke] = followers();
    const before = lab.state.get(keys.leader)!.createRevision;
    old.member.host.pause();
    await lab.until(() => lab.leader() !== undefined && lab.leader() !== old, 20_000);
    // As the old one would have written it, had it come through.
    const name = broke!.member.name;
    const order = {
      ...{ id: "old/1", runId: "old", action: 1, target: "daemon/yggdrasil/x", provider: 1, peerUri: "", term: 1n },
      ...{ dryRun: false, expiresAtMs: lab.world.wallMs() + 20_000, approvedBy: "the loop" },
    };
    lab.put(keys.meshOrder(name, order.id), encodeOrder({ order, leadRevision: before }));
    old.member.host.continue();
    broke!.mesh.become(DOWN);
    await lab.until(isOver, 60_000);
    expect(states()).toEqual(["HEALED"]);
    expect(broke!.mesh.executed.map(({ id }) => id)).not.toContain("old/1");
    expect(lab.state.get(keys.meshOrder(name, order.id))).toBeNull();
  });

  it.each([1, 2, 3])("heals once under lost messages, pauses and cuts (%i)", async (seed) => {
    for (let skipped = 0; skipped < seed * 7; skipped += 1) lab.random();
    const nodes = await acting("a", "b", "c");
    for (const { member } of nodes) {
      member.host.delayMs = () => 1 + lab.random() * 40;
      member.host.isLost = () => lab.random() < 0.05;
    }
    const broke = followers()[seed % 2]!;
    broke.mesh.become(DOWN);
    for (let turn = 0; turn < 5; turn += 1) {
      const { host } = nodes[Math.floor(lab.random() * nodes.length)]!.member;
      if (lab.random() < 0.5) host.pause();
      else host.isCut = true;
      await lab.world.advance(1_000 + lab.random() * 7_000);
      host.continue();
      host.isCut = false;
      await lab.world.advance(lab.random() * 3_000);
    }
    for (const { member } of nodes) member.host.isLost = () => false;
    await lab.until(() => isOver() && broke.mesh.state === UP, 180_000);
    const runs = lab.runs().filter(({ target }) => target === `daemon/yggdrasil/${broke.member.name}`);
    expect(runs.length).toBeGreaterThan(0);
  });
});

describe("the leader's own writes", () => {
  const over = { key: keys.leader, target: "create", operator: "=", number: 1n } as const;
  const put = { kind: "put", key: keys.meshKnowledge, value: Buffer.from("x") } as const;

  it("are refused by the store after its term, and when they come late", async () => {
    const store = new MemoryClusterStore(lab.state);
    lab.put(keys.leader, Buffer.from("{}"));
    const fence = [{ ...over, number: lab.state.get(keys.leader)!.createRevision }];
    const { signal } = new AbortController();
    const write = (held: readonly Compare[], modRevision: bigint) =>
      writeFenced(store, { number: 1n, fence: held, signal }, { key: keys.meshStep, modRevision, value: put.value }, [
        put,
      ]);
    await expect(write([over], 0n)).rejects.toMatchObject({ code: ErrorCode.NOT_LEADER });
    expect(lab.state.get(keys.meshKnowledge)).toBeNull();
    const revision = await write(fence, 0n);
    expect(await write(fence, revision)).toBe(revision + 1n);
    await expect(write(fence, revision)).rejects.toMatchObject({ code: ErrorCode.NOT_LEADER });
    expect(lab.state.get(keys.meshKnowledge)!.version).toBe(2n);
  });

  it("give no second order for a target while a host may be at the first, whatever the loop wants", async () => {
    const [a] = await lab.nodesNamed("a");
    await a!.duties.stop();
    a!.mesh.act = () => new Promise(() => {});
    const said: OrderReceipt[] = [];
    let number = 0;
    const nothing = { orders: [], runs: [], dropped: [], isKnowledgeChanged: false, isSettingsChanged: false };
    const order = {
      ...{ runId: "r", action: 1, target: "daemon/yggdrasil/a", provider: 1, peerUri: "", term: 1n, dryRun: false },
      ...{ approvedBy: "the loop", host: "a" },
    };
    const expiresAtMs = () => lab.world.wallMs() + 20_000;
    const makeLoop = (): Loop => ({
      isUnsettled: () => false,
      observe: () => ({ ...nothing, orders: [{ ...order, id: `r/${++number}`, expiresAtMs: expiresAtMs() }] }),
      receipt: (receipt) => {
        said.push(receipt);
        return nothing;
      },
      ...{ decide: () => nothing, configure: () => nothing, resetKnowledge: () => nothing },
      ...{ runs: () => [], knowledge: () => [] },
    });
    const { host, membership, leadership } = a!.member;
    const common = {
      store: new MemoryClusterStore(lab.state, host),
      keys,
      clock: host,
      random: lab.random,
      log: SILENT,
    };
    const duty = meshDuties({ ...common, memberName: "a", membership, makeLoop })[0]!;
    const ending = new AbortController();
    const running = duty.run({ ...leadership.held()!, signal: ending.signal });
    await lab.world.advance(10_000);
    expect(a!.mesh.executed.map(({ id }) => id)).toEqual(["r/1"]);
    expect(lab.state.under(keys.meshOrders).map(({ key }) => key)).toEqual([keys.meshOrder("a", "r/1")]);
    expect(said.length).toBe(number - 1);
    expect(new Set(said.map(({ outcome }) => outcome))).toEqual(new Set([HealingOutcome.SKIPPED]));
    // The host says nothing, long after the order's time: then it is given up.
    await lab.world.advance(40_000);
    expect(said.find(({ orderId }) => orderId === "r/1")?.outcome).toBe(HealingOutcome.INTERRUPTED);
    ending.abort();
    await Promise.all([running, lab.world.advance(1_000)]);
  });
});

describe("without the store", () => {
  it("nobody does anything; when it is back it goes on", async () => {
    await acting("a", "b", "c");
    const broke = followers()[0]!;
    lab.service.hasMajority = false;
    broke.mesh.become(DOWN);
    await lab.world.advance(20_000);
    expect(lab.nodes.flatMap(({ mesh }) => mesh.executed)).toEqual([]);
    expect(broke.exchange.healing.problem()).not.toBe("");
    lab.service.hasMajority = true;
    lab.state.extendLeases();
    await lab.until(isOver, 90_000);
    expect(broke.mesh.executed).toHaveLength(1);
  });

  it("a host that is cut off takes no order, and none that is too old when it comes back", async () => {
    await acting("a", "b", "c");
    const broke = followers()[0]!;
    const lead = lab.state.get(keys.leader)!.createRevision;
    const order = {
      ...{ id: "r/1", runId: "r", action: 1, target: "daemon/yggdrasil/x", provider: 1, peerUri: "", term: 1n },
      ...{ dryRun: false, expiresAtMs: lab.world.wallMs() + 3_000, approvedBy: "the loop" },
    };
    broke.member.host.isCut = true;
    lab.put(keys.meshOrder(broke.member.name, order.id), encodeOrder({ order, leadRevision: lead }));
    await lab.world.advance(4_000);
    broke.member.host.isCut = false;
    await lab.world.advance(5_000);
    expect(broke.mesh.executed).toEqual([]);
    expect(lab.state.under(keys.meshOrders)).toEqual([]);
  });
});

describe("a host that ends in the middle", () => {
  it("answers after its start that it was interrupted, and the fault is verified before anything else", async () => {
    await acting("a", "b", "c");
    const broke = followers()[0]!;
    const { name } = broke.member;
    broke.mesh.act = () => new Promise(() => {});
    broke.mesh.become(DOWN);
    await lab.until(() => broke.mesh.executed.length === 1, 10_000);
    lab.kill(broke.member);
    await lab.world.advance(500);
    const again = lab.node(lab.start(name));
    again.mesh.become(DOWN);
    healable(again);
    await lab.until(() => lab.runs().some(({ steps }) => steps.some(({ outcome }) => outcome === 5)), 30_000);
    expect(again.mesh.executed).toEqual([]);
    // The second try comes after the first had its time to show an effect.
    await lab.until(() => again.mesh.state === UP, 90_000);
    expect(again.mesh.executed).toHaveLength(1);
    await lab.until(isOver, 60_000);
  });
});

describe("a member that lies", () => {
  it("counts under its own name only", async () => {
    await acting("a", "b", "c");
    const [liar, other] = followers();
    // It says that another one's daemon is down, under its own name: it is its own then.
    liar!.mesh.claims = other!.member.name;
    liar!.mesh.become(DOWN);
    await lab.until(isOver, 30_000);
    expect(lab.runs().map(({ target }) => target)).toEqual([`daemon/yggdrasil/${liar!.member.name}`]);
    expect(other!.mesh.executed).toEqual([]);
  });

  it("ends nobody else's order by a receipt, and stops nobody by garbage", async () => {
    await acting("a", "b", "c");
    const [liar, broke] = followers();
    healable(broke!, 3_000);
    const { name } = liar!.member;
    lab.put(keys.meshObservation(name), Buffer.alloc(70_000, 1));
    lab.put(keys.meshObservation("nobody"), Buffer.from("x"));
    lab.put(keys.meshReceipt("nobody", "x/1"), Buffer.from("{"));
    lab.put(keys.meshDecision(name, "x"), Buffer.alloc(70_000, 32));
    broke!.mesh.become(DOWN);
    await lab.until(() => broke!.mesh.executed.length === 1, 10_000);
    const orderId = broke!.mesh.executed[0]!.id;
    const receipt = { orderId, outcome: HealingOutcome.FAILED, sentence: "", evidence: [], atMs: 1 };
    const forged = encodeReceipt({ orderId, takenAtMs: 1, holder: "", receipt });
    lab.put(keys.meshReceipt(name, orderId), forged);
    await lab.until(isOver, 30_000);
    expect(states()).toEqual(["HEALED"]);
    await lab.world.advance(3_000);
    expect(lab.state.get(keys.meshReceipt(name, orderId))).toBeNull();
    expect(lab.state.get(keys.meshReceipt("nobody", "x/1"))).toBeNull();
    expect(lab.state.get(keys.meshObservation("nobody"))).toBeNull();
    expect(lab.state.under(keys.meshDecisions)).toEqual([]);
  });
});
