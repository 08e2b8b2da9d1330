import { describe, expect, it } from "vitest";
import { readCommandLine, type Surroundings, UsageError } from "./options.ts";

const ROOT: Surroundings = { environment: {}, isRoot: true, homeDir: "/root", systemHostName: "alpha" };
const USER: Surroundings = { environment: {}, isRoot: false, homeDir: "/home/ada", systemHostName: "alpha" };

function places(surroundings: Surroundings, ...more: string[]) {
  const command = readCommandLine(["agent", "run", ...more], surroundings);
  if (command.kind !== "run") throw new Error(command.kind);
  return [command.options.socketPath, command.options.stateDir];
}

describe("readCommandLine", () => {
  it("has the places of the system for root and those of XDG for others", () => {
    expect(places(ROOT)).toEqual(["/run/wardline/agent.sock", "/var/lib/wardline"]);
    expect(places(USER)).toEqual([
      "/home/ada/.local/state/wardline/run/agent.sock",
      "/home/ada/.local/state/wardline/agent",
    ]);
    const environment = { XDG_RUNTIME_DIR: "/run/user/7", XDG_STATE_HOME: "/state" };
    expect(places({ ...USER, environment })).toEqual(["/run/user/7/wardline/agent.sock", "/state/wardline/agent"]);
    expect(places({ ...USER, environment: { XDG_RUNTIME_DIR: "relative" } })[0]).toMatch(/^\/home\/ada/);
    expect(places(ROOT, "--socket", "/a.sock", "--state-dir=/b")).toEqual(["/a.sock", "/b"]);
  });

  it("reads all options, with and without the leading word", () => {
    const line = ["--bpffs-dir", "/p", "--cgroup-root", "/c", "--host-name", "b.example", "--backend", "ebpf"];
    const expected = { bpffsDir: "/p", cgroupRoot: "/c", hostName: "b.example", backend: "ebpf", logLevel: "debug" };
    for (const start of [["agent", "run"], ["run"]]) {
      const command = readCommandLine([...start, ...line, "--log-level", "debug"], ROOT);
      expect(command).toMatchObject({ kind: "run", options: expected });
    }
    expect(readCommandLine(["--version", "--json"], ROOT)).toEqual({ kind: "version", json: true });
    expect(readCommandLine(["-h"], ROOT)).toEqual({ kind: "help" });
    expect(readCommandLine(["agent", "test-run"], ROOT)).toEqual({ kind: "test-run" });
    const booting = readCommandLine(["boot", "--boot-failure", "open"], ROOT);
    expect(booting).toMatchObject({ kind: "boot", options: { bootFailure: "open", stateDir: "/var/lib/wardline" } });
    const leaving = readCommandLine(["agent", "uninstall", "--keep-state"], ROOT);
    expect(leaving).toMatchObject({ kind: "uninstall", keepState: true, options: { bootFailure: "closed" } });
  });

  it("judges at the interfaces where it guards the whole host, unless told otherwise", () => {
    const edge = (...line: string[]) => {
      const command = readCommandLine(["run", ...line], ROOT);
      return command.kind === "run" ? command.options.edge : null;
    };
    expect(edge()).toBe(true);
    expect(edge("--edge", "off")).toBe(false);
    expect(edge("--cgroup-root", "/c")).toBe(false);
    expect(edge("--cgroup-root", "/c", "--edge", "on")).toBe(true);
    const early = readCommandLine(["run", "--early-drop", "eth0,wan0,eth0"], ROOT);
    expect(early).toMatchObject({ options: { earlyDrop: ["eth0", "wan0"] } });
  });

  it.each([
    [[]],
    [["agent"]],
    [["agent", "walk"]],
    [["run", "more"]],
    [["test-run", "more"]],
    [["test-run", "--socket", "/a.sock"]],
    [["run", "--unknown"]],
    [["run", "--socket", "relative.sock"]],
    [["run", "--backend", "iptables"]],
    [["run", "--boot-failure", "ajar"]],
    [["run", "--keep-state"]],
    [["boot", "--keep-state"]],
    [["run", "--log-level", "loud"]],
    [["run", "--edge", "maybe"]],
    [["run", "--early-drop", ""]],
    [["run", "--early-drop", "eth0,"]],
    [["run", "--early-drop", "eth0,../x"]],
    [["run", "--early-drop", "an-interface-too-long"]],
    [["run", "--host-name", "a b"]],
    [["run", "--host-name", "x".repeat(254)]],
  ])("refuses %j", (line) => {
    expect(() => readCommandLine(line, ROOT)).toThrow(UsageError);
  });
});
