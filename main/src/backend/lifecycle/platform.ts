/**
 * What a machine is, found before anything is installed: one unprivileged script, whose answers are a stranger's text until
 * they were matched against what they can be.
 */
import { create } from "@bufbuild/protobuf";
import { type Platform, PlatformSchema } from "@wardline/api/wardline/console/v1/fleet";
import { type Capability, CapabilitySchema } from "@wardline/api/wardline/v1/host";
import type { SshSession } from "../ssh/ssh-session.ts";
import { runScript, type ScriptAnswer } from "./script.ts";
import { PROBE } from "./shared-scripts.ts";
import { type AgentIdentity, parseIdentity } from "./versions.ts";

const PROBE_TIMEOUT_MS = 30_000;
/** Of Node's own builds for Linux. */
const OLDEST_GLIBC = [2, 28] as const;

export type ServiceManager = "systemd" | "launchd" | "none";

export interface PlatformFacts {
  /** As `uname -s` says it: `Linux`, `Darwin`. */
  readonly system: string;
  readonly kernelRelease: string;
  /** As Node names it; what `uname -m` says where Node has no name for it. */
  readonly architecture: string;
  readonly serviceManager: ServiceManager;
  readonly userId: number | null;
  readonly userName: string;
  readonly sudo: "free" | "password" | "none";
  /** `null` where the system has no GNU C library. */
  readonly glibc: string | null;
  readonly libraries: ReadonlySet<string>;
  readonly programs: ReadonlySet<string>;
  readonly cgroup2: string;
  readonly bpffs: string;
  readonly homeFreeKb: number | null;
  readonly installFreeKb: number | null;
  readonly agent: InstalledAgent | null;
}

export interface InstalledAgent {
  readonly path: string;
  readonly sha256: string;
  /** `null` when it does not say. */
  readonly identity: AgentIdentity | null;
  /** Of the one before, which a roll back returns to; `null` when there is none. */
  readonly previous: AgentIdentity | null;
  /** Whether it runs, and will after a reboot. */
  readonly isActive: boolean;
  /** Package of the system that it belongs to; empty when none does. */
  readonly package: string;
}

/** @throws Failure of the session */
export async function probePlatform(session: SshSession, signal?: AbortSignal): Promise<PlatformFacts> {
  const request = { script: PROBE, privilege: { kind: "none" }, timeoutMs: PROBE_TIMEOUT_MS } as const;
  return readFacts(await runScript(session, signal ? { ...request, signal } : request));
}

export function readFacts(answer: ScriptAnswer): PlatformFacts {
  const text = (key: string, pattern: RegExp) => pattern.exec(answer.value(key))?.[0] ?? "";
  const number = (key: string) => (/^\d{1,15}$/.test(answer.value(key)) ? Number(answer.value(key)) : null);
  return {
    system: text("system", /^[A-Za-z0-9_-]{1,40}$/),
    kernelRelease: text("release", /^[\w.+~-]{1,100}$/),
    architecture: architectureOf(text("machine", /^[\w.-]{1,40}$/)),
    serviceManager: (["systemd", "launchd"] as const).find((each) => answer.value("manager") === each) ?? "none",
    userId: number("uid"),
    userName: text("user", /^[^\s\\:]{1,64}$/),
    sudo: (["free", "password"] as const).find((each) => answer.value("sudo") === each) ?? "none",
    glibc: /^glibc (\d{1,3}\.\d{1,3})/.exec(answer.value("libc"))?.[1] ?? null,
    libraries: new Set(answer.all("library")),
    programs: new Set(answer.all("program")),
    cgroup2: answer.value("cgroup2"),
    bpffs: answer.value("bpffs"),
    homeFreeKb: number("home_kb"),
    installFreeKb: number("lib_kb"),
    agent: installedAgent(answer),
  };
}

function installedAgent(answer: ScriptAnswer): InstalledAgent | null {
  const path = answer.value("agent");
  if (path === "") return null;
  return {
    path,
    sha256: /^[0-9a-f]{64}$/.exec(answer.value("agent_sha"))?.[0] ?? "",
    identity: parseIdentity(answer.value("agent_version")),
    previous: parseIdentity(answer.value("previous_version")),
    isActive: ["ActiveState=active", "UnitFileState=enabled"].every((line) => answer.all("unit").includes(line)),
    package: answer.value("package"),
  };
}

function architectureOf(machine: string): string {
  if (machine === "x86_64" || machine === "amd64") return "x64";
  return machine === "aarch64" ? "arm64" : machine;
}

/** Which of the manifest's agents runs there: `linux-x64`. */
export function platformKey({ system, architecture }: PlatformFacts): string {
  return `${system.toLowerCase()}-${architecture}`;
}

export type PrivilegeName = "root" | "sudo" | "sudo-password" | "none";

export function privilegeName({ userId, sudo }: PlatformFacts): PrivilegeName {
  if (userId === 0) return "root";
  return ({ free: "sudo", password: "sudo-password", none: "none" } as const)[sudo];
}

/** Sentences that speak against installing, each with what would help. Empty = it can be installed. */
export function obstaclesOf(facts: PlatformFacts): readonly string[] {
  const found = [systemObstacle(facts), managerObstacle(facts), ...libraryObstacles(facts), privilegeObstacle(facts)];
  if (facts.system !== "" && !facts.programs.has("gzip")) found.push("The program gzip is missing: install it.");
  if (!facts.programs.has("sha256sum") && !facts.programs.has("shasum")) {
    found.push("Nothing there computes SHA-256 (sha256sum, shasum): install the package coreutils.");
  }
  if (facts.agent?.package) {
    found.push(
      `The agent there belongs to the package ${facts.agent.package} of the system: install, upgrade and remove it with the system's package manager.`,
    );
  }
  return found.filter((sentence) => sentence !== null);
}

function systemObstacle({ system, glibc }: PlatformFacts): string | null {
  if (system === "Darwin") return null;
  if (system !== "Linux") return `The agent runs on Linux and macOS, not on ${system || "a system without uname"}.`;
  if (glibc === null) return "The agent needs the GNU C library; this system has another one (musl, for example).";
  const [major = 0, minor = 0] = glibc.split(".").map(Number);
  const isNewEnough = major > OLDEST_GLIBC[0] || (major === OLDEST_GLIBC[0] && minor >= OLDEST_GLIBC[1]);
  if (isNewEnough) return null;
  return `The GNU C library there is ${glibc}; the agent needs ${OLDEST_GLIBC.join(".")} or newer (Debian 10, Ubuntu 20.04, RHEL 8).`;
}

function managerObstacle({ system, serviceManager }: PlatformFacts): string | null {
  if (system !== "Linux" || serviceManager === "systemd") return null;
  return "systemd does not run there: nothing would start the agent again after a reboot. Start it by another service manager (docs/agent.md has its command line).";
}

const NEEDED_LIBRARIES = [
  ["libatomic.so.1", "libatomic1 (Debian, Ubuntu) or libatomic (Fedora, RHEL, SUSE)"],
  ["libstdc++.so.6", "libstdc++6 (Debian, Ubuntu, SUSE) or libstdc++ (Fedora, RHEL)"],
] as const;

function libraryObstacles({ system, libraries }: PlatformFacts): readonly string[] {
  if (system !== "Linux") return [];
  const missing = NEEDED_LIBRARIES.filter(([library]) => !libraries.has(library));
  return missing.map(([library, names]) => `The library ${library} is missing: install the package ${names}.`);
}

function privilegeObstacle(facts: PlatformFacts): string | null {
  if (privilegeName(facts) !== "none") return null;
  return `${facts.userName || "The user"} is not root there and there is no sudo: connect as root, or install sudo and allow it to this user.`;
}

/** What the agent can use there; none of them stands in the way of installing it. */
export function capabilitiesOf(facts: PlatformFacts): readonly Capability[] {
  const megabytes = (kb: number | null) =>
    kb === null ? "unknown" : `${Math.round(kb / 1024).toLocaleString("en")} MB`;
  if (facts.system !== "Linux") return [];
  const [major = 0, minor = 0] = facts.kernelRelease.split(".").map((part) => Number.parseInt(part, 10));
  const hasLibbpf = facts.libraries.has("libbpf.so.1");
  return [
    capability("kernel", major > 5 || (major === 5 && minor >= 15), `Linux ${facts.kernelRelease}; eBPF needs 5.15`),
    capability(
      "libbpf",
      hasLibbpf,
      hasLibbpf
        ? "libbpf.so.1"
        : "libbpf.so.1 is missing: the agent cannot load eBPF programs and falls back to nftables, or only observes. Install the package libbpf1 (Debian, Ubuntu, SUSE) or libbpf (Fedora, RHEL, Arch)",
    ),
    capability("cgroup2", facts.cgroup2 !== "", facts.cgroup2 || "not mounted: eBPF has nothing to attach to"),
    capability("bpffs", facts.bpffs !== "", facts.bpffs || "not mounted: the agent mounts it where it may"),
    capability("nftables", facts.programs.has("nft"), facts.programs.has("nft") ? "nft" : "nft is not installed"),
    capability("glibc", facts.glibc !== null, facts.glibc ?? "another C library"),
    capability("disk", (facts.installFreeKb ?? 0) > 0, `${megabytes(facts.installFreeKb)} free for the agent`),
  ];
}

function capability(name: string, available: boolean, detail: string): Capability {
  return create(CapabilitySchema, { name, available, detail });
}

/** For a check of a host. */
export function platformToWire(facts: PlatformFacts): Platform {
  return create(PlatformSchema, {
    operatingSystem: facts.system,
    kernelRelease: facts.kernelRelease,
    architecture: facts.architecture,
    serviceManager: facts.serviceManager,
    capabilities: [...capabilitiesOf(facts)],
    privilege: privilegeName(facts),
    agentVersion: facts.agent?.identity?.version ?? "",
    obstacles: [...obstaclesOf(facts)],
  });
}
