import { ErrorCode } from "@wardline/domain/errors";
import { type HostProgram, PROTOCOL } from "@wardline/domain/policy";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { APPLE_MAIN, type FakePacket } from "../../testing/fakePf.ts";
import { FakePfConf, FakePfctl, FakePfStore } from "../../testing/fakePfctl.ts";
import { handProgram } from "../../testing/handProgram.ts";
import { createPfEnforcer, type PfEnforcer } from "./pfEnforcer.ts";

const programFor = (port: number): HostProgram =>
  handProgram({ rules: [{ direction: "ingress", remote: null, protocol: PROTOCOL.tcp, port, verdict: "allow" }] });
const [FIRST, SECOND] = [programFor(443), programFor(22)];
const ENFORCE = { mode: "enforce", fallbackAfterMs: null } as const;
const to = (port: number): FakePacket => ({
  direction: "ingress",
  local: "192.0.2.10",
  remote: "198.51.100.7",
  protocol: PROTOCOL.tcp,
  port,
});

/** Plays SIGKILL: whatever runs ends here, and nothing of it goes on. */
class Killed extends Error {}

describe("the pf backend when something is wrong", () => {
  let pfctl: FakePfctl;
  let conf: FakePfConf;
  let store: FakePfStore;
  let nowMs: number;
  let enforcer: PfEnforcer;
  const opened: PfEnforcer[] = [];

  const create = (): PfEnforcer => {
    enforcer = createPfEnforcer({ commands: pfctl, confFile: conf, store, bootMs: () => nowMs });
    opened.push(enforcer);
    return enforcer;
  };
  const apply = async (program: HostProgram, generation: number, options = {}): Promise<number> =>
    enforcer.activate(await enforcer.prepare(program, generation), { ...ENFORCE, ...options });
  /** Which of the two programs decides: by what a new connection meets. */
  const inForce = (): "first" | "second" | "open" | "closed" => {
    pfctl.pf.states = [];
    const [web, ssh] = [pfctl.pf.send(to(443)), pfctl.pf.send(to(22))];
    pfctl.pf.states = [];
    if (web === ssh) return web === "pass" ? "open" : "closed";
    return web === "pass" ? "first" : "second";
  };
  const refuse = (matches: (line: string) => boolean, stderr: string) => {
    pfctl.intercept = (commandLine) =>
      matches(commandLine.join(" ")) ? { exitCode: 1, stdout: "", stderr, problem: null } : null;
  };
  const isLoad = (line: string) => line.startsWith("-a wardline") && line.includes("-f") && !line.includes("-n");
  const answerAgain = () => {
    pfctl.intercept = () => null;
  };

  beforeEach(() => {
    pfctl = new FakePfctl();
    conf = new FakePfConf();
    store = new FakePfStore();
    nowMs = 1000;
    create();
  });
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close();
  });

  it("falls back at its deadline and repairs pf by itself, without anybody asking", async () => {
    vi.useFakeTimers();
    try {
      await enforcer.open();
      await apply(FIRST, 1);
      await apply(SECOND, 2, { fallbackAfterMs: 1000 });
      nowMs += 1001;
      vi.advanceTimersByTime(1001);
      expect(inForce()).toBe("first");
      pfctl.pf.disable();
      vi.advanceTimersByTime(10_000);
      expect([pfctl.pf.enabled, inForce()]).toEqual([true, "first"]);
      await enforcer.close();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it("does not open without pfctl or without root, and says which", async () => {
    pfctl.isInstalled = false;
    await expect(enforcer.open()).rejects.toMatchObject({
      code: ErrorCode.KERNEL_REFUSED,
      message: expect.stringContaining("/sbin/pfctl does not exist"),
    });
    pfctl.isInstalled = true;
    pfctl.isRoot = false;
    await expect(enforcer.open()).rejects.toMatchObject({
      code: ErrorCode.KERNEL_REFUSED,
      message: expect.stringContaining("Permission denied"),
      hint: "Run the agent as root.",
    });
    expect(() => enforcer.state()).toThrow("not open");
  });

  it("tells that nothing is enforced when pfctl is gone later", async () => {
    await enforcer.open();
    await apply(FIRST, 1);
    pfctl.isInstalled = false;
    expect(enforcer.state()).toMatchObject({ attached: false, generation: 1 });
    expect(enforcer.limits.join(" ")).toContain("/sbin/pfctl does not exist");
  });

  it("changes nothing when pf does not read the text", async () => {
    await enforcer.open();
    await apply(FIRST, 1);
    refuse(
      (line) => line.includes("-n -f -"),
      "stdin:9: syntax error\npfctl: Syntax error in config file: pf rules not loaded\n",
    );
    await expect(enforcer.prepare(SECOND, 2)).rejects.toMatchObject({
      code: ErrorCode.KERNEL_REFUSED,
      message: expect.stringContaining("stdin:9: syntax error"),
    });
    answerAgain();
    expect([inForce(), enforcer.state().generation]).toEqual(["first", 1]);
  });

  it.each([
    ["the load", isLoad],
    ["the look at the rules", (line: string) => line === "-a wardline -s rules"],
    ["the list of states", (line: string) => line === "-s states"],
    ["the end of a state", (line: string) => line.startsWith("-k")],
    // Some failures of a listing are said and still end with 0.
    ["the list of states, with exit code 0", (line: string) => line === "-s states", 0],
  ])("takes an activation back when pf refuses %s", async (_what, matches, exitCode = 1) => {
    await enforcer.open();
    await apply(FIRST, 1);
    expect(pfctl.pf.send(to(443))).toBe("pass");
    const prepared = await enforcer.prepare(SECOND, 2);
    let refusals = 0;
    pfctl.intercept = (commandLine) => {
      if (!matches(commandLine.join(" ")) || refusals > 0) return null;
      refusals++;
      return { exitCode, stdout: "", stderr: "pfctl: DIOCXCOMMIT: Device busy\n", problem: null };
    };
    expect(() => enforcer.activate(prepared, ENFORCE)).toThrow(
      expect.objectContaining({ code: ErrorCode.KERNEL_REFUSED, message: expect.stringContaining("Device busy") }),
    );
    expect(refusals).toBe(1);
    answerAgain();
    expect([inForce(), enforcer.state().generation, enforcer.state().attached]).toEqual(["first", 1, true]);
    create();
    expect(await enforcer.open()).toMatchObject({ generation: 1, attached: true });
  });

  it("takes an activation back when pf shows other rules or other addresses than were loaded", async () => {
    const program = handProgram({
      rules: [{ direction: "ingress", remote: "198.51.100.7", protocol: PROTOCOL.tcp, port: 22, verdict: "allow" }],
    });
    await enforcer.open();
    await apply(FIRST, 1);
    for (const spoil of [
      (text: string) => text.replace(/^pass in .*\n/m, ""),
      (text: string) => text.replace("198.51.100.7/32", "198.51.100.0/24"),
    ]) {
      const prepared = await enforcer.prepare(program, 2);
      pfctl.intercept = (commandLine, input) => {
        if (!isLoad(commandLine.join(" "))) return null;
        pfctl.intercept = () => null;
        return pfctl.run(commandLine, spoil(input));
      };
      expect(() => enforcer.activate(prepared, ENFORCE)).toThrow(
        expect.objectContaining({ code: ErrorCode.SELF_TEST_FAILED }),
      );
      expect([inForce(), enforcer.state().generation]).toEqual(["first", 1]);
    }
  });

  it("notices that somebody turned pf off, and turns it on with a new token", async () => {
    await enforcer.open();
    await apply(FIRST, 1);
    const [token = ""] = [...pfctl.pf.tokens.keys()];
    pfctl.pf.disable();
    expect(enforcer.state().attached).toBe(false);
    expect(enforcer.limits).toContain("pf is turned off.");
    enforcer.watch();
    expect(enforcer.state().attached).toBe(true);
    expect(pfctl.pf.tokens.size).toBe(1);
    expect(pfctl.pf.tokens.has(token)).toBe(false);
    expect(enforcer.limits.join(" ")).toContain("another program has changed pf under Wardline once");
    expect(inForce()).toBe("first");
  });

  it("holds pf on by itself when its token was lost while others hold it", async () => {
    await enforcer.open();
    const [token = ""] = [...pfctl.pf.tokens.keys()];
    const other = pfctl.pf.acquireToken("socketfilterfw");
    pfctl.pf.tokens.delete(token);
    expect(enforcer.state().attached, "it still enforces").toBe(true);
    enforcer.watch();
    expect(pfctl.pf.tokens.size).toBe(2);
    pfctl.run(["-X", other]);
    expect(enforcer.state().attached).toBe(true);
  });

  it("notices that somebody flushed its anchor, and loads it again", async () => {
    await enforcer.open();
    await apply(FIRST, 1);
    pfctl.run(["-a", "wardline", "-F", "all"]);
    expect([enforcer.state().attached, inForce()]).toEqual([false, "open"]);
    enforcer.watch();
    expect([enforcer.state().attached, inForce()]).toEqual([true, "first"]);
    pfctl.pf.load("wardline", `${pfctl.pf.anchors.get("wardline")?.text.replace(/^block drop in .*\n/m, "")}`);
    expect(enforcer.state().attached, "a rule was taken out").toBe(false);
    enforcer.watch();
    expect([enforcer.state().attached, inForce()]).toEqual([true, "first"]);
  });

  it("notices that the main rules were loaded without its call, and adds it to what runs then", async () => {
    await enforcer.open();
    await apply(FIRST, 1);
    pfctl.pf.main = { ...APPLE_MAIN, filter: ['anchor "vpn" all', ...APPLE_MAIN.filter] };
    expect([enforcer.state().attached, inForce()]).toEqual([false, "open"]);
    expect(enforcer.limits).toContain('The main rules of pf do not call the anchor "wardline".');
    enforcer.watch();
    expect([enforcer.state().attached, inForce()]).toEqual([true, "first"]);
    expect(pfctl.pf.main.filter).toEqual(['anchor "vpn" all', ...APPLE_MAIN.filter, 'anchor "wardline" all']);
  });

  it("leaves main rules alone that it could not give back, and says so", async () => {
    const inline = ['anchor "_1" all {', "  block drop all", "}"];
    pfctl.pf.main = { ...APPLE_MAIN, filter: [...APPLE_MAIN.filter, ...inline] };
    expect(await enforcer.open()).toMatchObject({ attached: false });
    expect(pfctl.pf.main.filter).toEqual([...APPLE_MAIN.filter, ...inline]);
    expect(enforcer.limits.join(" ")).toContain("do not call the anchor");
    await expect(apply(FIRST, 1)).rejects.toMatchObject({
      code: ErrorCode.KERNEL_REFUSED,
      message: expect.stringContaining("pf would not obey the rules"),
    });
    expect(enforcer.state().generation).toBe(0);
  });

  it("puts the main rules back when pf lists them otherwise than they were loaded", async () => {
    let spoiled = 0;
    pfctl.intercept = (commandLine, input) => {
      if (!commandLine.includes("-R") || spoiled > 0) return null;
      spoiled++;
      return pfctl.run(commandLine, input.replace('anchor "com.apple/*" all\n', ""));
    };
    expect(await enforcer.open()).toMatchObject({ attached: false });
    expect(spoiled).toBe(1);
    expect(pfctl.pf.main).toEqual(APPLE_MAIN);
  });

  it("says that rules of others decide first", async () => {
    pfctl.pf.main = {
      ...APPLE_MAIN,
      filter: ["pass quick proto tcp from any to any port = 8080", ...APPLE_MAIN.filter],
    };
    await enforcer.open();
    expect(enforcer.limits).toContain("1 rules of others in pf decide before Wardline's.");
    pfctl.pf.appleRules.set("250.ApplicationFirewall", ["block drop in quick proto tcp from any to any port = 443"]);
    await apply(FIRST, 1);
    expect(inForce(), "a block of the system's own firewall still counts").toBe("closed");
  });

  it("enforces where /etc/pf.conf is missing, cannot be written or is not accepted, and says so", async () => {
    conf.text = null;
    expect(await enforcer.open()).toMatchObject({ attached: true });
    expect(enforcer.limits.join(" ")).toContain("There is no /etc/pf.conf");
    await enforcer.release();
    conf.text = "pass all\nscrub in all\n";
    expect(await enforcer.open()).toMatchObject({ attached: true });
    expect(enforcer.limits.join(" ")).toContain("/etc/pf.conf was not changed: pf did not accept the main rules");
    expect(conf.text).toBe("pass all\nscrub in all\n");
    await enforcer.release().catch(() => undefined);
    conf.text = 'anchor "com.apple/*"\n';
    conf.failure = new Error("EROFS: read-only file system");
    await enforcer.open();
    expect(enforcer.limits.join(" ")).toContain("/etc/pf.conf was not changed: EROFS");
  });

  it("loads the last known good state after a reboot before it lets pf call it, without what nobody confirmed", async () => {
    await enforcer.open();
    await apply(FIRST, 1);
    await enforcer.close();
    const rebooted = async () => {
      pfctl.pf.reboot();
      const calls = pfctl.calls.length;
      create();
      await enforcer.open();
      const order = pfctl.calls.slice(calls).map((call) => call.join(" "));
      const at = (matches: (line: string) => boolean) => order.findIndex(matches);
      expect(at(isLoad)).toBeGreaterThan(-1);
      expect(at(isLoad)).toBeLessThan(at((line) => line.includes("-R")));
      expect(at((line) => line.includes("-R"))).toBeLessThan(at((line) => line === "-E"));
    };
    await rebooted();
    expect([enforcer.state().generation, enforcer.state().attached, inForce()]).toEqual([1, true, "first"]);
    await apply(SECOND, 2, { fallbackAfterMs: 60_000 });
    expect(inForce()).toBe("second");
    await enforcer.close();
    await rebooted();
    expect(enforcer.state()).toMatchObject({ generation: 1, previousGeneration: 0, deadlineBootMs: null });
    expect(inForce()).toBe("first");
  });

  it("goes on enforcing when its record is damaged or lost, and brings back nothing that it does not know", async () => {
    for (const lose of [() => `${store.text}x`.replace("enforce", "observe"), () => null]) {
      await enforcer.open();
      await apply(FIRST, 1);
      await enforcer.close();
      store.text = lose();
      create();
      expect(await enforcer.open()).toMatchObject({
        generation: 1,
        mode: "enforce",
        programDigest: "",
        attached: true,
      });
      expect(inForce()).toBe("first");
      expect(() => enforcer.revert()).toThrow(expect.objectContaining({ code: ErrorCode.NOTHING_PENDING }));
      enforcer.setEmergency("closed");
      expect(inForce()).toBe("closed");
      expect(() => enforcer.setEmergency("none")).toThrow("lost with the agent's record");
      await expect(apply(SECOND, 2, { fallbackAfterMs: 1000 })).rejects.toThrow("There would be no way back");
      expect(inForce()).toBe("closed");
      await apply(SECOND, 2);
      enforcer.setEmergency("none");
      expect([inForce(), enforcer.state().generation]).toEqual(["second", 2]);
      await enforcer.release();
    }
  });

  it("does not take another program of the same number for the one in its record", async () => {
    await enforcer.open();
    await apply(FIRST, 1);
    await enforcer.close();
    const record = store.read();
    if (record === null) throw new Error("no record");
    store.write({ ...record, active: { ...record.active, digest: SECOND.digest } });
    create();
    expect(await enforcer.open()).toMatchObject({ generation: 1, programDigest: "" });
    expect(inForce()).toBe("first");
  });

  it("applies nothing on a full disk, and rolls back and brakes all the same", async () => {
    await enforcer.open();
    await apply(FIRST, 1);
    const prepared = await enforcer.prepare(SECOND, 2);
    store.failure = Object.assign(new Error("no space"), { code: "ENOSPC" });
    expect(() => enforcer.activate(prepared, ENFORCE)).toThrow(expect.objectContaining({ code: ErrorCode.DISK_FULL }));
    expect([inForce(), enforcer.state().generation]).toEqual(["first", 1]);
    store.failure = null;
    enforcer.activate(prepared, { ...ENFORCE, fallbackAfterMs: 60_000 });
    store.failure = Object.assign(new Error("no space"), { code: "ENOSPC" });
    expect(enforcer.revert().generation).toBe(1);
    enforcer.setEmergency("closed");
    expect(inForce()).toBe("closed");
    expect(enforcer.limits.join(" ")).toContain("full");
    await enforcer.close();
    store.failure = null;
    create();
    expect(await enforcer.open(), "pf itself says what is in force").toMatchObject({
      generation: 1,
      emergency: "closed",
    });
    enforcer.setEmergency("none");
    expect(inForce()).toBe("first");
  });

  it("removes what it can on release, names what stayed, and finishes the next time", async () => {
    await enforcer.open();
    await apply(FIRST, 1);
    refuse((line) => line.includes("-F all"), "pfctl: pfctl_clear_rules: Device busy\n");
    await expect(enforcer.release()).rejects.toMatchObject({ message: expect.stringContaining("Device busy") });
    expect([pfctl.pf.main, pfctl.pf.tokens.size]).toEqual([APPLE_MAIN, 0]);
    answerAgain();
    await enforcer.release();
    expect(pfctl.pf.anchors.get("wardline")?.parsed.rules).toEqual([]);
    expect(store.text).toBeNull();
  });

  it("reports states that it cannot read instead of trusting them", async () => {
    await enforcer.open();
    pfctl.intercept = (commandLine) =>
      commandLine.join(" ") === "-s states"
        ? { exitCode: 0, stdout: "ALL tcp something new\n", stderr: "", problem: null }
        : null;
    await apply(FIRST, 1);
    expect(enforcer.limits.join(" ")).toContain("1 states of pf could not be read");
  });

  it("says when pf lists states that it was told to end", async () => {
    await enforcer.open();
    await apply(FIRST, 1);
    expect(pfctl.pf.send(to(443))).toBe("pass");
    pfctl.intercept = ([first]) =>
      first === "-k" ? { exitCode: 0, stdout: "", stderr: "killed 0 states\n", problem: null } : null;
    await apply(SECOND, 2);
    expect(enforcer.limits.join(" ")).toContain("1 connections that are no longer allowed go on");
    answerAgain();
    await apply(SECOND, 3);
    expect(enforcer.limits.join(" ")).not.toContain("pf did not end them");
  });

  it.each([
    ["an activation", false],
    ["a revert", true],
  ])("ends in one of two whole generations when it is killed between any two steps of %s", async (_what, reverts) => {
    const outcomes = new Set<string>();
    for (let step = 0; ; step++) {
      pfctl = new FakePfctl();
      conf = new FakePfConf();
      store = new FakePfStore();
      create();
      await enforcer.open();
      await apply(FIRST, 1);
      const prepared = await enforcer.prepare(SECOND, 2);
      const options = { ...ENFORCE, fallbackAfterMs: 60_000 };
      if (reverts) enforcer.activate(prepared, options);
      let steps = 0;
      const live = (): null => {
        if (steps++ >= step) throw new Killed();
        return null;
      };
      pfctl.intercept = live;
      store.beforeWrite = live;
      try {
        if (reverts) enforcer.revert();
        else enforcer.activate(prepared, options);
      } catch {
        // What the dead process would have gone on to do fails as well.
      }
      const isDead = steps > step;
      answerAgain();
      store.beforeWrite = () => {};
      await enforcer.close();
      const before = inForce();
      expect(["first", "second"]).toContain(before);
      create();
      const state = await enforcer.open();
      expect(state.attached).toBe(true);
      expect(inForce(), "a restart changes no verdict").toBe(before);
      expect(state.generation).toBe(before === "first" ? 1 : 2);
      expect(pfctl.pf.tokens.size).toBe(1);
      if (state.generation === 2) {
        expect(enforcer.revert().generation).toBe(1);
        expect(inForce()).toBe("first");
      }
      outcomes.add(before);
      await enforcer.close();
      if (!isDead) break;
    }
    expect([...outcomes].sort()).toEqual(["first", "second"]);
  });

  it("leaks no reference and enforces again when it is killed between any two steps of opening", async () => {
    for (let step = 0; ; step++) {
      pfctl = new FakePfctl();
      conf = new FakePfConf();
      store = new FakePfStore();
      create();
      let steps = 0;
      let wasAcquiring = false;
      const live = (commandLine: readonly string[]): null => {
        if (steps++ >= step) throw new Killed();
        wasAcquiring = commandLine[0] === "-E";
        return null;
      };
      pfctl.intercept = live;
      store.beforeWrite = () => {
        live([]);
      };
      const isDead = await enforcer.open().then(
        ({ attached }) => !attached,
        () => true,
      );
      const hadNoTime = wasAcquiring;
      answerAgain();
      store.beforeWrite = () => {};
      await enforcer.close();
      create();
      expect(await enforcer.open()).toMatchObject({ attached: true });
      // The one gap: killed after pf gave a token and before it is on disk. pf stays enabled, which harms nothing.
      expect(pfctl.pf.tokens.size).toBeLessThanOrEqual(hadNoTime ? 2 : 1);
      await enforcer.close();
      if (!isDead && steps <= step) break;
    }
  });
});
