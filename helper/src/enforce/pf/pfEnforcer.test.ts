import { ErrorCode } from "@wardline/domain/errors";
import { type HostProgram, PROTOCOL } from "@wardline/domain/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { APPLE_MAIN, APPLE_PF_CONF, type FakePacket } from "../../testing/fakePf.ts";
import { FakePfConf, FakePfctl, FakePfStore } from "../../testing/fakePfctl.ts";
import { HAND_DECISION, type HandRule, handProgram } from "../../testing/handProgram.ts";
import { createPfEnforcer, type PfEnforcer } from "./pfEnforcer.ts";

const { tcp, udp, icmp } = PROTOCOL;
const LOCAL = "192.0.2.10";
const PEER = "198.51.100.7";
const allow = (port: number, more: Partial<HandRule> = {}): HandRule => ({
  direction: "ingress",
  remote: null,
  protocol: tcp,
  port,
  verdict: "allow",
  ...more,
});
const WEB = handProgram({ rules: [allow(443), allow(22, { remote: PEER })] });
const WEB_ONLY = handProgram({ rules: [allow(443)] });
const NOTHING = handProgram({ rules: [] });
const ENFORCE = { mode: "enforce", fallbackAfterMs: null } as const;
const from = (port: number, more: Partial<FakePacket> = {}): FakePacket => ({
  direction: "ingress",
  local: LOCAL,
  remote: PEER,
  protocol: tcp,
  port,
  ...more,
});

describe("the pf backend, on a double of pf", () => {
  let pfctl: FakePfctl;
  let conf: FakePfConf;
  let store: FakePfStore;
  let nowMs: number;
  let enforcer: PfEnforcer;
  const opened: PfEnforcer[] = [];

  const create = (): PfEnforcer => {
    const made = createPfEnforcer({ commands: pfctl, confFile: conf, store, bootMs: () => nowMs });
    opened.push(made);
    return made;
  };
  const apply = async (program: HostProgram, generation: number, options = {}): Promise<number> =>
    enforcer.activate(await enforcer.prepare(program, generation), { ...ENFORCE, ...options });
  const send = (packet: FakePacket) => pfctl.pf.send(packet);
  const restart = async () => {
    await enforcer.close();
    enforcer = create();
    return enforcer.open();
  };

  beforeEach(() => {
    pfctl = new FakePfctl();
    conf = new FakePfConf();
    store = new FakePfStore();
    nowMs = 1000;
    enforcer = create();
  });
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close();
  });

  it("opens: holds pf on, is called from the main rules, and leaves those of others as they are", async () => {
    pfctl.pf.main = { ...APPLE_MAIN, filter: [...APPLE_MAIN.filter, 'anchor "internet-sharing" all'] };
    const before = pfctl.pf.main;
    expect(await enforcer.open()).toMatchObject({
      attached: true,
      generation: 0,
      programDigest: "",
      deadlineBootMs: null,
    });
    expect([...pfctl.pf.tokens.values()]).toEqual(["pfctl"]);
    expect(pfctl.pf.main.filter).toEqual([...before.filter, 'anchor "wardline" all']);
    expect(pfctl.pf.main.scrub).toEqual([...before.scrub, 'scrub-anchor "wardline" all fragment reassemble']);
    expect(pfctl.pf.main.translation).toEqual(before.translation);
    expect(send(from(22)), "nothing was ever activated").toBe("pass");
    // Only -R may touch the main rules, and nothing is ever flushed or switched off.
    for (const call of pfctl.calls) {
      if (call.includes("-f") && !call.includes("-a") && !call.includes("-n")) expect(call).toContain("-R");
      expect(call.join(" ")).not.toMatch(/-F|(^| )-[de]( |$)/);
    }
  });

  it("enforces, counts, and answers from pf what is in force", async () => {
    await enforcer.open();
    expect(await apply(WEB, 1)).toBeGreaterThanOrEqual(0);
    expect(enforcer.state()).toMatchObject({
      attached: true,
      generation: 1,
      mode: "enforce",
      programDigest: WEB.digest,
      previousGeneration: 0,
    });
    expect([send(from(443)), send(from(22)), send(from(22, { remote: "203.0.113.9" })), send(from(80))]).toEqual([
      "pass",
      "pass",
      "block",
      "block",
    ]);
    expect(send({ ...from(80), interfaceName: "lo0", remote: LOCAL })).toBe("pass");
    nowMs = 5000;
    const counters = enforcer.readCounters();
    const of = (decision: number) => counters.find((counter) => counter.decision === decision);
    expect(of(HAND_DECISION.firstRule)).toMatchObject({ packets: 1n, bytes: 100n, lastSeenBootNs: 5_000_000_000n });
    expect(of(HAND_DECISION.ingress)?.packets).toBe(2n);
    expect(of(HAND_DECISION.egress)).toMatchObject({ packets: 0n, lastSeenBootNs: 0n });
    nowMs = 9000;
    expect(enforcer.readCounters().find(({ decision }) => decision === HAND_DECISION.firstRule)?.lastSeenBootNs).toBe(
      5_000_000_000n,
    );
  });

  it("loses no count over swaps, reverts, emergencies and repairs, and counts nothing twice", async () => {
    let ended = 0n;
    const packetsOf = (counters: readonly { readonly packets: bigint }[]) =>
      counters.reduce((sum, { packets }) => sum + packets, 0n);
    enforcer.onCountersEnd(({ counters }) => {
      ended += packetsOf(counters);
    });
    const total = () => ended + packetsOf(enforcer.slotCounters().flatMap(({ counters }) => counters));
    let sent = 0n;
    const sendNew = () => {
      send(from(443, { openerPort: 40_000 + Number(sent) }));
      sent++;
    };
    await enforcer.open();
    const steps: (() => unknown)[] = [
      () => apply(WEB, 1),
      () => apply(NOTHING, 2),
      () => enforcer.revert(),
      () => enforcer.revert(),
      () => enforcer.setEmergency("closed"),
      () => enforcer.setEmergency("none"),
      () => apply(WEB_ONLY, 3, { fallbackAfterMs: 1000 }),
      () => {
        nowMs += 2000;
        enforcer.state();
      },
      () => enforcer.revert(),
      () => apply(WEB, 4),
    ];
    for (const step of steps) {
      await step();
      sendNew();
      sendNew();
      expect(total()).toBe(sent);
      const storages = enforcer.slotCounters().map(({ storage }) => storage);
      expect(new Set(storages).size).toBe(storages.length);
      const generations = enforcer.slotCounters().map(({ generation }) => generation);
      expect(new Set(generations).size, "a slot is counted in one place").toBe(generations.length);
    }
    await enforcer.release();
    expect(ended).toBe(sent);
  });

  it("blocks nothing in observe mode and counts what it would", async () => {
    await enforcer.open();
    await apply(WEB, 1, { mode: "observe" });
    expect(enforcer.state()).toMatchObject({ mode: "observe", attached: true });
    expect(send(from(80))).toBe("pass");
    expect(enforcer.readCounters().find(({ decision }) => decision === HAND_DECISION.ingress)?.packets).toBe(1n);
    await apply(WEB, 2);
    expect(send(from(80)), "the state that observing let in is ended").toBe("block");
  });

  it("ends the states that new rules forbid, and no others", async () => {
    await enforcer.open();
    await apply(WEB, 1);
    const kept = [from(443), from(443, { remote: "2001:db8::7", local: "2001:db8::10" })];
    for (const packet of [...kept, from(22)]) expect(send(packet)).toBe("pass");
    pfctl.pf.states.push({
      ...from(22, { remote: "127.0.0.1", local: "127.0.0.1", interfaceName: "lo0" }),
      openerPort: 1,
    });
    pfctl.pf.states.push({ ...from(22, { remote: "203.0.113.9" }), openerPort: 50_001 });
    await apply(WEB_ONLY, 2);
    expect(pfctl.pf.states.map(({ remote, port }) => `${remote} ${port}`).sort()).toEqual([
      "127.0.0.1 22",
      "2001:db8::7 443",
    ]);
    expect(send(from(22))).toBe("block");
    expect(enforcer.limits).toContain("The last change interrupted 1 connections that are still allowed.");
    expect(send(from(443)), "one that shared both hosts finds its rule again").toBe("pass");
  });

  it("returns to the rules before, over and over, and across a restart", async () => {
    await enforcer.open();
    await apply(WEB, 1);
    await apply(NOTHING, 2, { fallbackAfterMs: 60_000 });
    expect(enforcer.state()).toMatchObject({ generation: 2, previousGeneration: 1, deadlineBootMs: 61_000 });
    expect(send(from(443))).toBe("block");
    expect(await restart()).toMatchObject({ generation: 2, previousGeneration: 1, deadlineBootMs: 61_000 });
    expect(enforcer.revert()).toMatchObject({ generation: 1, previousGeneration: 2, deadlineBootMs: null });
    expect(send(from(443))).toBe("pass");
    expect(enforcer.revert().generation).toBe(2);
    expect(send(from(443)), "the state of the rules that were left is ended").toBe("block");
  });

  it("keeps what is confirmed in time", async () => {
    await enforcer.open();
    await apply(WEB, 1, { fallbackAfterMs: 1000 });
    enforcer.confirm();
    nowMs = 10_000;
    expect(enforcer.state()).toMatchObject({ generation: 1, deadlineBootMs: null, expired: false });
    expect(await restart()).toMatchObject({ generation: 1, expired: false });
  });

  it("falls back at the deadline, says so until it is settled, and takes no confirmation any more", async () => {
    await enforcer.open();
    await apply(WEB, 1);
    await apply(NOTHING, 2, { fallbackAfterMs: 1000 });
    await expect(enforcer.prepare(WEB, 3)).rejects.toMatchObject({ code: ErrorCode.CONFIRMATION_PENDING });
    nowMs = 2001;
    expect(enforcer.state()).toMatchObject({ generation: 2, expired: true, attached: true });
    expect(send(from(443))).toBe("pass");
    expect(() => enforcer.confirm()).toThrow(expect.objectContaining({ code: ErrorCode.DEADLINE_EXCEEDED }));
    expect(await restart()).toMatchObject({ generation: 2, expired: true });
    expect(enforcer.revert()).toMatchObject({ generation: 1, expired: false, deadlineBootMs: null, attached: true });
    expect(send(from(443))).toBe("pass");
  });

  it("refuses by name what pf cannot honour, and a program that is no longer prepared", async () => {
    await enforcer.open();
    await apply(WEB, 1);
    const sctp = handProgram({ rules: [allow(5060, { protocol: PROTOCOL.sctp })] });
    await expect(enforcer.prepare(sctp, 2)).rejects.toMatchObject({
      code: ErrorCode.POLICY_UNSUPPORTED,
      message: expect.stringContaining("pf cannot compare ports of SCTP"),
    });
    const first = await enforcer.prepare(WEB_ONLY, 2);
    expect(() => enforcer.revert()).toThrow(expect.objectContaining({ code: ErrorCode.NOTHING_PENDING }));
    await enforcer.prepare(NOTHING, 3);
    expect(() => enforcer.activate(first, ENFORCE)).toThrow(
      expect.objectContaining({ code: ErrorCode.GENERATION_CONFLICT }),
    );
    expect(enforcer.state()).toMatchObject({ generation: 1, attached: true });
  });

  it("pulls the emergency brake over everything, keeps it across a restart, and lets go of it", async () => {
    await enforcer.open();
    await apply(WEB, 1);
    expect(send(from(443))).toBe("pass");
    enforcer.setEmergency("closed");
    expect(enforcer.state()).toMatchObject({ emergency: "closed", generation: 1, attached: true });
    expect(send(from(443)), "running connections end as well").toBe("block");
    expect(send(from((3 << 8) | 4, { protocol: icmp })), "path MTU").toBe("pass");
    expect(await restart()).toMatchObject({ emergency: "closed", attached: true });
    await apply(WEB_ONLY, 2);
    expect(send(from(443)), "an apply does not end it").toBe("block");
    enforcer.setEmergency("open");
    expect([send(from(80)), send(from(53, { protocol: udp }))]).toEqual(["pass", "pass"]);
    enforcer.setEmergency("none");
    expect([send(from(443)), send(from(80))]).toEqual(["pass", "block"]);
    expect(enforcer.state()).toMatchObject({ emergency: "none", generation: 2, attached: true });
  });

  it("gives back everything on release, and only its own", async () => {
    const other = pfctl.pf.acquireToken("socketfilterfw");
    await enforcer.open();
    await apply(WEB, 1);
    await enforcer.release();
    expect(pfctl.pf.main).toEqual(APPLE_MAIN);
    expect(conf.text).toBe(APPLE_PF_CONF);
    expect([...pfctl.pf.tokens.keys()]).toEqual([other]);
    expect(pfctl.pf.anchors.get("wardline")?.parsed.rules).toEqual([]);
    expect(store.text).toBeNull();
    expect(await enforcer.open()).toMatchObject({ generation: 0, attached: true });
  });
});
