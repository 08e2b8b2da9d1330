/** Which backend this host can run, and why. Asked of the kernel itself: a version number proves nothing. */
import { closeSync, statSync } from "node:fs";
import {
  BPF_F_NO_PREALLOC,
  BPF_MAP_TYPE,
  createMap,
  libbpfProblem,
  libbpfVersion,
  loadObject,
} from "../linux/bpf/libbpf.ts";
import { findCgroup2Mount } from "../linux/mounts.ts";
import type { BackendName, ProbedCapability } from "./enforcer.ts";
import { pfSurroundings, probePf } from "./pf/systemPf.ts";

export interface ProbeConfig {
  /** cgroup2 directory to attach to; `null` = the root of the hierarchy. */
  readonly cgroupRoot: string | null;
  /** `null` when the object was not built or not shipped. */
  readonly objectBytes: Uint8Array | null;
  /**
   * Leave out loading the programs for a try (0.4 s of verifier time): for a caller that opens the enforcer next, which
   * proves the same and needs no load at all when it adopts.
   */
  readonly skipLoad?: boolean;
}

export interface EnforcementProbe {
  readonly choice: BackendName;
  /** A sentence. */
  readonly reason: string;
  readonly capabilities: readonly ProbedCapability[];
  /** Where to attach; `null` when there is no cgroup2. */
  readonly cgroupRoot: string | null;
}

type Check = () => string;

function attempt(name: string, check: Check): ProbedCapability {
  try {
    return { name, available: true, detail: check() };
  } catch (error) {
    return { name, available: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

function tryMap(type: number, keySize: number, valueSize: number, maxEntries: number, flags = 0): string {
  closeSync(createMap({ type, name: "wl_probe", keySize, valueSize, maxEntries, flags }));
  return "can be made";
}

function requireRoot(): string {
  if (process.geteuid?.() !== 0) throw new Error("the agent does not run as root");
  return "runs as root";
}

function requireLibbpf(): string {
  const problem = libbpfProblem();
  if (problem !== null) throw new Error(problem);
  return `libbpf ${libbpfVersion()}`;
}

function requireCgroup(root: string | null): string {
  if (root === null) throw new Error("no cgroup2 hierarchy is mounted");
  if (!statSync(root).isDirectory()) throw new Error(`${root} is not a directory`);
  return root;
}

/** Loads the object through the verifier and lets go of it again. */
function requireLoad(objectBytes: Uint8Array | null): string {
  if (objectBytes === null) throw new Error("the BPF object is missing; build it with make -C bpf");
  const start = performance.now();
  loadObject(objectBytes, { maxEntries: new Map([["wl_flows", 1024]]), reuse: new Map() }).close();
  return `verified in ${Math.round(performance.now() - start)} ms`;
}

function checks({ objectBytes, skipLoad }: ProbeConfig, cgroupRoot: string | null): readonly [string, Check][] {
  return [
    ["root", requireRoot],
    ["libbpf", requireLibbpf],
    ["cgroup2", () => requireCgroup(cgroupRoot)],
    ["bpf_lpm_trie", () => tryMap(BPF_MAP_TYPE.lpmTrie, 20, 8, 1, BPF_F_NO_PREALLOC)],
    ["bpf_ringbuf", () => tryMap(BPF_MAP_TYPE.ringbuf, 0, 0, 65_536)],
    // Last: maps of maps, cgroup_skb and every helper are proven by loading the real programs.
    ["bpf_programs", () => (skipLoad && objectBytes !== null ? "present" : requireLoad(objectBytes))],
  ];
}

/** Probes in order and stops at the first thing that is missing, since what follows would fail for the same reason. */
export async function probeEnforcement(config: ProbeConfig): Promise<EnforcementProbe> {
  if (process.platform === "darwin") {
    const { isUsable, reason, capabilities } = probePf(pfSurroundings());
    return { choice: isUsable ? "pf" : "observe", reason, capabilities, cgroupRoot: null };
  }
  if (process.platform !== "linux")
    return {
      choice: "observe",
      reason: `Enforcement needs Linux; this is ${process.platform}.`,
      capabilities: [],
      cgroupRoot: null,
    };
  const cgroupRoot = config.cgroupRoot ?? findCgroup2Mount();
  const capabilities: ProbedCapability[] = [];
  for (const [name, check] of checks(config, cgroupRoot)) {
    const capability = attempt(name, check);
    capabilities.push(capability);
    if (!capability.available)
      return {
        choice: "observe",
        reason: `eBPF cannot be used (${name}): ${capability.detail}.`,
        capabilities,
        cgroupRoot,
      };
  }
  return {
    choice: "ebpf",
    reason: `The kernel accepts every program; attached at ${cgroupRoot}.`,
    capabilities,
    cgroupRoot,
  };
}
