import { ErrorCode } from "@wardline/domain/errors";
import { PROTOCOL } from "@wardline/domain/policy";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { APPLE_MAIN } from "../../testing/fakePf.ts";
import { handProgram } from "../../testing/handProgram.ts";
import { ENFORCE, FIRST_PROGRAM, isAnchorLoad, PfHost, packetTo, SECOND_PROGRAM } from "../../testing/pfHost.ts";

describe("the pf backend when something is wrong with pf", () => {
  let host: PfHost;
  beforeEach(() => {
    host = new PfHost();
  });
  afterEach(() => host.close());

  it("falls back at its deadline and repairs pf by itself, without anybody asking", async () => {
    vi.useFakeTimers();
    try {
      await host.enforcer.open();
      await host.apply(FIRST_PROGRAM, 1);
      await host.apply(SECOND_PROGRAM, 2, { fallbackAfterMs: 1000 });
      host.nowMs += 1001;
      vi.advanceTimersByTime(1001);
      expect(host.inForce()).toBe("first");
      host.pfctl.pf.disable();
      vi.advanceTimersByTime(10_000);
      expect([host.pfctl.pf.enabled, host.inForce()]).toEqual([true, "first"]);
      await host.enforcer.close();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it("does not open without pfctl or without root, and says which", async () => {
    host.pfctl.isInstalled = false;
    await expect(host.enforcer.open()).rejects.toMatchObject({
      code: ErrorCode.KERNEL_REFUSED,
      message: expect.stringContaining("/sbin/pfctl does not exist"),
    });
    host.pfctl.isInstalled = true;
    host.pfctl.isRoot = false;
    await expect(host.enforcer.open()).rejects.toMatchObject({
      code: ErrorCode.KERNEL_REFUSED,
      message: expect.stringContaining("Permission denied"),
      hint: "Run the agent as root.",
    });
    expect(() => host.enforcer.state()).toThrow("not open");
  });

  it("tells that nothing is enforced when pfctl is gone later", async () => {
    await host.enforcer.open();
    await host.apply(FIRST_PROGRAM, 1);
    host.pfctl.isInstalled = false;
    expect(host.enforcer.state()).toMatchObject({ attached: false, generation: 1 });
    expect(host.enforcer.limits.join(" ")).toContain("/sbin/pfctl does not exist");
  });

  it("changes nothing when pf does not read the text", async () => {
    await host.enforcer.open();
    await host.apply(FIRST_PROGRAM, 1);
    host.refuse(
      (line) => line.includes("-n -f -"),
      "stdin:9: syntax error\npfctl: Syntax error in config file: pf rules not loaded\n",
    );
    await expect(host.enforcer.prepare(SECOND_PROGRAM, 2)).rejects.toMatchObject({
      code: ErrorCode.KERNEL_REFUSED,
      message: expect.stringContaining("stdin:9: syntax error"),
    });
    host.answerAgain();
    expect([host.inForce(), host.enforcer.state().generation]).toEqual(["first", 1]);
  });

  it.each([
    ["the load", isAnchorLoad],
    ["the look at the rules", (line: string) => line === "-a wardline -s rules"],
    ["the list of states", (line: string) => line === "-s states"],
    ["the end of a state", (line: string) => line.startsWith("-k")],
    // Some failures of a listing are said and still end with 0.
    ["the list of states, with exit code 0", (line: string) => line === "-s states", 0],
  ])("takes an activation back when pf refuses %s", async (_what, matches, exitCode = 1) => {
    await host.enforcer.open();
    await host.apply(FIRST_PROGRAM, 1);
    expect(host.pfctl.pf.send(packetTo(443))).toBe("pass");
    const prepared = await host.enforcer.prepare(SECOND_PROGRAM, 2);
    let refusals = 0;
    host.pfctl.intercept = (commandLine) => {
      if (!matches(commandLine.join(" ")) || refusals > 0) return null;
      refusals++;
      return { exitCode, stdout: "", stderr: "pfctl: DIOCXCOMMIT: Device busy\n", problem: null };
    };
    expect(() => host.enforcer.activate(prepared, ENFORCE)).toThrow(
      expect.objectContaining({ code: ErrorCode.KERNEL_REFUSED, message: expect.stringContaining("Device busy") }),
    );
    expect(refusals).toBe(1);
    host.answerAgain();
    expect([host.inForce(), host.enforcer.state().generation, host.enforcer.state().attached]).toEqual([
      "first",
      1,
      true,
    ]);
    host.create();
    expect(await host.enforcer.open()).toMatchObject({ generation: 1, attached: true });
  });

  it("takes an activation back when pf shows other rules or other addresses than were loaded", async () => {
    const program = handProgram({
      rules: [{ direction: "ingress", remote: "198.51.100.7", protocol: PROTOCOL.tcp, port: 22, verdict: "allow" }],
    });
    await host.enforcer.open();
    await host.apply(FIRST_PROGRAM, 1);
    for (const spoil of [
      (text: string) => text.replace(/^pass in .*\n/m, ""),
      (text: string) => text.replace("198.51.100.7/32", "198.51.100.0/24"),
    ]) {
      const prepared = await host.enforcer.prepare(program, 2);
      host.pfctl.intercept = (commandLine, input) => {
        if (!isAnchorLoad(commandLine.join(" "))) return null;
        host.pfctl.intercept = () => null;
        return host.pfctl.run(commandLine, spoil(input));
      };
      expect(() => host.enforcer.activate(prepared, ENFORCE)).toThrow(
        expect.objectContaining({ code: ErrorCode.SELF_TEST_FAILED }),
      );
      expect([host.inForce(), host.enforcer.state().generation]).toEqual(["first", 1]);
    }
  });

  it("notices that somebody turned pf off, and turns it on with a new token", async () => {
    await host.enforcer.open();
    await host.apply(FIRST_PROGRAM, 1);
    const [token = ""] = [...host.pfctl.pf.tokens.keys()];
    host.pfctl.pf.disable();
    expect(host.enforcer.state().attached).toBe(false);
    expect(host.enforcer.limits).toContain("pf is turned off.");
    host.enforcer.watch();
    expect(host.enforcer.state().attached).toBe(true);
    expect(host.pfctl.pf.tokens.size).toBe(1);
    expect(host.pfctl.pf.tokens.has(token)).toBe(false);
    expect(host.enforcer.limits.join(" ")).toContain("another program has changed pf under Wardline once");
    expect(host.inForce()).toBe("first");
  });

  it("holds pf on by itself when its token was lost while others hold it", async () => {
    await host.enforcer.open();
    const [token = ""] = [...host.pfctl.pf.tokens.keys()];
    const other = host.pfctl.pf.acquireToken("socketfilterfw");
    host.pfctl.pf.tokens.delete(token);
    expect(host.enforcer.state().attached, "it still enforces").toBe(true);
    host.enforcer.watch();
    expect(host.pfctl.pf.tokens.size).toBe(2);
    host.pfctl.run(["-X", other]);
    expect(host.enforcer.state().attached).toBe(true);
  });

  it("notices that somebody flushed its anchor, and loads it again", async () => {
    await host.enforcer.open();
    await host.apply(FIRST_PROGRAM, 1);
    host.pfctl.run(["-a", "wardline", "-F", "all"]);
    expect([host.enforcer.state().attached, host.inForce()]).toEqual([false, "open"]);
    host.enforcer.watch();
    expect([host.enforcer.state().attached, host.inForce()]).toEqual([true, "first"]);
    host.pfctl.pf.load(
      "wardline",
      `${host.pfctl.pf.anchors.get("wardline")?.text.replace(/^block drop in .*\n/m, "")}`,
    );
    expect(host.enforcer.state().attached, "a rule was taken out").toBe(false);
    host.enforcer.watch();
    expect([host.enforcer.state().attached, host.inForce()]).toEqual([true, "first"]);
  });

  it("notices that the main rules were loaded without its call, and adds it to what runs then", async () => {
    await host.enforcer.open();
    await host.apply(FIRST_PROGRAM, 1);
    host.pfctl.pf.main = { ...APPLE_MAIN, filter: ['anchor "vpn" all', ...APPLE_MAIN.filter] };
    expect([host.enforcer.state().attached, host.inForce()]).toEqual([false, "open"]);
    expect(host.enforcer.limits).toContain('The main rules of pf do not call the anchor "wardline".');
    host.enforcer.watch();
    expect([host.enforcer.state().attached, host.inForce()]).toEqual([true, "first"]);
    expect(host.pfctl.pf.main.filter).toEqual(['anchor "vpn" all', ...APPLE_MAIN.filter, 'anchor "wardline" all']);
  });

  it("leaves main rules alone that it could not give back, and says so", async () => {
    const inline = ['anchor "_1" all {', "  block drop all", "}"];
    host.pfctl.pf.main = { ...APPLE_MAIN, filter: [...APPLE_MAIN.filter, ...inline] };
    expect(await host.enforcer.open()).toMatchObject({ attached: false });
    expect(host.pfctl.pf.main.filter).toEqual([...APPLE_MAIN.filter, ...inline]);
    expect(host.enforcer.limits.join(" ")).toContain("do not call the anchor");
    await expect(host.apply(FIRST_PROGRAM, 1)).rejects.toMatchObject({
      code: ErrorCode.KERNEL_REFUSED,
      message: expect.stringContaining("pf would not obey the rules"),
    });
    expect(host.enforcer.state().generation).toBe(0);
  });

  it("puts the main rules back when pf lists them otherwise than they were loaded", async () => {
    let spoiled = 0;
    host.pfctl.intercept = (commandLine, input) => {
      if (!commandLine.includes("-R") || spoiled > 0) return null;
      spoiled++;
      return host.pfctl.run(commandLine, input.replace('anchor "com.apple/*" all\n', ""));
    };
    expect(await host.enforcer.open()).toMatchObject({ attached: false });
    expect(spoiled).toBe(1);
    expect(host.pfctl.pf.main).toEqual(APPLE_MAIN);
  });

  it("says that rules of others decide first", async () => {
    host.pfctl.pf.main = {
      ...APPLE_MAIN,
      filter: ["pass quick proto tcp from any to any port = 8080", ...APPLE_MAIN.filter],
    };
    await host.enforcer.open();
    expect(host.enforcer.limits).toContain("1 rules of others in pf decide before Wardline's.");
    host.pfctl.pf.appleRules.set("250.ApplicationFirewall", [
      "block drop in quick proto tcp from any to any port = 443",
    ]);
    await host.apply(FIRST_PROGRAM, 1);
    expect(host.inForce(), "a block of the system's own firewall still counts").toBe("closed");
  });

  it("enforces where /etc/pf.conf is missing, cannot be written or is not accepted, and says so", async () => {
    host.conf.text = null;
    expect(await host.enforcer.open()).toMatchObject({ attached: true });
    expect(host.enforcer.limits.join(" ")).toContain("There is no /etc/pf.conf");
    await host.enforcer.release();
    host.conf.text = "pass all\nscrub in all\n";
    expect(await host.enforcer.open()).toMatchObject({ attached: true });
    expect(host.enforcer.limits.join(" ")).toContain("/etc/pf.conf was not changed: pf did not accept the main rules");
    expect(host.conf.text).toBe("pass all\nscrub in all\n");
    await host.enforcer.release().catch(() => undefined);
    host.conf.text = 'anchor "com.apple/*"\n';
    host.conf.failure = new Error("EROFS: read-only file system");
    await host.enforcer.open();
    expect(host.enforcer.limits.join(" ")).toContain("/etc/pf.conf was not changed: EROFS");
  });

  it("removes what it can on release, names what stayed, and finishes the next time", async () => {
    await host.enforcer.open();
    await host.apply(FIRST_PROGRAM, 1);
    host.refuse((line) => line.includes("-F all"), "pfctl: pfctl_clear_rules: Device busy\n");
    await expect(host.enforcer.release()).rejects.toMatchObject({ message: expect.stringContaining("Device busy") });
    expect([host.pfctl.pf.main, host.pfctl.pf.tokens.size]).toEqual([APPLE_MAIN, 0]);
    host.answerAgain();
    await host.enforcer.release();
    expect(host.pfctl.pf.anchors.get("wardline")?.parsed.rules).toEqual([]);
    expect(host.store.text).toBeNull();
  });

  it("reports states that it cannot read instead of trusting them", async () => {
    await host.enforcer.open();
    host.pfctl.intercept = (commandLine) =>
      commandLine.join(" ") === "-s states"
        ? { exitCode: 0, stdout: "ALL tcp something new\n", stderr: "", problem: null }
        : null;
    await host.apply(FIRST_PROGRAM, 1);
    expect(host.enforcer.limits.join(" ")).toContain("1 states of pf could not be read");
  });

  it("says when pf lists states that it was told to end", async () => {
    await host.enforcer.open();
    await host.apply(FIRST_PROGRAM, 1);
    expect(host.pfctl.pf.send(packetTo(443))).toBe("pass");
    host.pfctl.intercept = ([first]) =>
      first === "-k" ? { exitCode: 0, stdout: "", stderr: "killed 0 states\n", problem: null } : null;
    await host.apply(SECOND_PROGRAM, 2);
    expect(host.enforcer.limits.join(" ")).toContain("1 connections that are no longer allowed go on");
    host.answerAgain();
    await host.apply(SECOND_PROGRAM, 3);
    expect(host.enforcer.limits.join(" ")).not.toContain("pf did not end them");
  });
});
