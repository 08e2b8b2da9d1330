import { describe, expect, it } from "vitest";
import { DEFAULT_AUDIT_LIMITS } from "../audit/auditSegments.ts";
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

  it("reads the limits of the audit log", () => {
    const audit = (...line: string[]) => {
      const command = readCommandLine(["run", ...line], ROOT);
      return command.kind === "run" ? command.options.audit : null;
    };
    expect(audit()).toEqual(DEFAULT_AUDIT_LIMITS);
    expect(audit("--audit-size", "16", "--audit-days=30")).toEqual({
      maxBytes: 16 * 2 ** 20,
      maxAgeMs: 30 * 86_400_000,
      segmentBytes: 2 ** 20,
    });
    for (const wrong of [
      "--audit-size=15",
      "--audit-size=65537",
      "--audit-days=29",
      "--audit-days=",
      "--audit-days=1e3",
    ])
      expect(() => audit(wrong)).toThrow(UsageError);
  });

  it("reads whether and how long detection learns", () => {
    const anomaly = (...line: string[]) => {
      const command = readCommandLine(["run", ...line], ROOT);
      return command.kind === "run" ? command.options.anomaly : null;
    };
    expect(anomaly()).toEqual({ isOff: false, learningHours: 24 });
    expect(anomaly("--no-anomaly", "--anomaly-learning-hours", "168")).toEqual({ isOff: true, learningHours: 168 });
    for (const wrong of ["0", "169", "1h", "-1", ""])
      expect(() => anomaly(`--anomaly-learning-hours=${wrong}`)).toThrow(UsageError);
  });

  it("reads which meshes are looked for, where, and what else is measured", () => {
    const mesh = (...line: string[]) => {
      const command = readCommandLine(["run", ...line], ROOT);
      return command.kind === "run" ? command.options.mesh : null;
    };
    const nowhere = { socket: null, configPath: null, unit: null };
    expect(mesh()).toEqual({ isOff: false, yggdrasil: nowhere, probes: [] });
    expect(mesh("--mesh", "off")).toMatchObject({ isOff: true });
    const places = ["--yggdrasil-socket", "unix:///run/y.sock", "--yggdrasil-config=/etc/y.conf", "--yggdrasil-unit=y"];
    expect(mesh(...places)?.yggdrasil).toEqual({
      ...{ socket: "/run/y.sock", configPath: "/etc/y.conf", unit: "y.service" },
    });
    expect(mesh("--yggdrasil-socket", "tcp://127.0.0.1:9001")?.yggdrasil.socket).toBe("tcp://127.0.0.1:9001");
    expect(mesh("--mesh-probe", "web-2=192.0.2.7", "--mesh-probe=db=2001:db8::1")?.probes).toEqual([
      { host: "web-2", address: "192.0.2.7" },
      { host: "db", address: "2001:db8::1" },
    ]);
    for (const wrong of [
      ["--mesh", "maybe"],
      ...["run/y.sock", "tcp://192.0.2.1:9001", "tcp://127.0.0.1:0", ""].map((text) => ["--yggdrasil-socket", text]),
      ["--yggdrasil-config", "y.conf"],
      ...["--now", "y.timer; reboot", "../y", ""].map((text) => [`--yggdrasil-unit=${text}`]),
      ...["web", "=192.0.2.1", "web=", "web=name", "-a=192.0.2.1"].map((text) => [`--mesh-probe=${text}`]),
      Array.from({ length: 65 }, () => "--mesh-probe=a=192.0.2.1"),
    ]) {
      expect(() => mesh(...wrong), wrong.join(" ")).toThrow(UsageError);
    }
  });

  it("reads how much is kept of flow records", () => {
    const records = (...line: string[]) => {
      const command = readCommandLine(["run", ...line], ROOT);
      return command.kind === "run" ? command.options.records : null;
    };
    expect(records()).toEqual({ maxBytes: 64 * 1024 * 1024, maxAgeMs: 30 * 86_400_000 });
    expect(records("--journal-size", "8", "--journal-days=3650")).toEqual({
      maxBytes: 8 * 1024 * 1024,
      maxAgeMs: 3_650 * 86_400_000,
    });
    for (const wrong of ["7", "65537", "8.5", "1e3", "", "64M"])
      expect(() => records(`--journal-size=${wrong}`)).toThrow(UsageError);
    for (const wrong of ["0", "3651", "-1", "x"]) expect(() => records(`--journal-days=${wrong}`)).toThrow(UsageError);
  });

  it("reads where metrics are asked, an address and never a name", () => {
    const metrics = (...line: string[]) => {
      const command = readCommandLine(["run", ...line], ROOT);
      return command.kind === "run" ? command.options.metrics : null;
    };
    expect(metrics()).toBeUndefined();
    expect(metrics("--metrics-listen", "127.0.0.1:9465")).toEqual({
      listen: { host: "127.0.0.1", port: 9465 },
      tokenPath: null,
    });
    expect(metrics("--metrics-listen", "[::1]:0", "--metrics-token-file", "/t")).toEqual({
      listen: { host: "::1", port: 0 },
      tokenPath: "/t",
    });
    for (const wrong of ["localhost:9465", "9465", "1.2.3:9", "127.0.0.1:70000", "::1:9465", "[127.0.0.1:1"])
      expect(() => metrics("--metrics-listen", wrong)).toThrow(UsageError);
    expect(() => metrics("--metrics-token-file", "/t")).toThrow(UsageError);
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
