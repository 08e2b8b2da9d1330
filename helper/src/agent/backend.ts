/** Which enforcer this agent runs, and why. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { createEbpfEnforcer } from "../enforce/ebpf/ebpfEnforcer.ts";
import type { Enforcer, ProbedCapability } from "../enforce/enforcer.ts";
import { EnforcerSession } from "../enforce/enforcerSession.ts";
import { createObserveEnforcer } from "../enforce/observe/observeEnforcer.ts";
import { probeEnforcement } from "../enforce/probe.ts";
import { StartError } from "../server/socket.ts";
import { readBpfObject } from "./bpfObject.ts";
import { bootMs, type Clock } from "./clock.ts";
import type { AgentOptions } from "./options.ts";

export interface ChosenBackend {
  readonly enforcer: Enforcer;
  readonly reason: string;
  readonly capabilities: readonly ProbedCapability[];
  /** Empty when nothing is attached. */
  readonly cgroupRoot: string;
}

type BackendOptions = Pick<AgentOptions, "backend" | "bpffsDir" | "cgroupRoot">;

function observe(clock: Clock, reason: string, capabilities: readonly ProbedCapability[]): ChosenBackend {
  const enforcer = new EnforcerSession(createObserveEnforcer({ reason, bootMs: () => bootMs(clock) }));
  return { enforcer, reason, capabilities, cgroupRoot: "" };
}

/**
 * Probes and opens. `auto` ends in `observe` with the reason when eBPF cannot be used; `ebpf` throws {@link StartError}
 * instead.
 */
export async function chooseBackend(options: BackendOptions, clock: Clock): Promise<ChosenBackend> {
  if (options.backend === "observe") return observe(clock, "The agent was started with --backend observe.", []);
  const objectBytes = readBpfObject();
  const probe = await probeEnforcement({ cgroupRoot: options.cgroupRoot, objectBytes });
  const { capabilities, cgroupRoot } = probe;
  const fallBack = (reason: string) => {
    if (options.backend === "ebpf") throw new StartError(reason);
    return observe(clock, reason, capabilities);
  };
  if (probe.choice !== "ebpf" || objectBytes === null || cgroupRoot === null) return fallBack(probe.reason);
  const enforcer = new EnforcerSession(createEbpfEnforcer({ cgroupRoot, bpffsDir: options.bpffsDir, objectBytes }));
  try {
    await enforcer.open();
  } catch (error) {
    if (error instanceof Failure && error.code === ErrorCode.KERNEL_REFUSED) return fallBack(error.message);
    throw error;
  }
  return { enforcer, reason: probe.reason, capabilities, cgroupRoot };
}
