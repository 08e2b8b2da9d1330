/** Which enforcer this agent runs, and why. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
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

const REASON_HEAD = 80;
const REASON_TAIL = 240;

/** The verifier explains itself at length; the first words say what failed and the last ones why. */
function shortened(reason: string): string {
  if (reason.length <= REASON_HEAD + REASON_TAIL) return reason;
  return `${reason.slice(0, REASON_HEAD)} … ${reason.slice(-REASON_TAIL).replaceAll(/\s+/g, " ")}`;
}

/** An agent that only observes must not say that nothing is enforced where an earlier one left its programs. */
function leftovers(bpffsDir: string): string {
  try {
    const pins = readdirSync(bpffsDir).flatMap((tree) => readdirSync(join(bpffsDir, tree)));
    if (!pins.some((name) => name.startsWith("link_"))) return "";
    return ` Programs that an earlier agent pinned in ${bpffsDir} are still there and go on enforcing: start the agent with eBPF to manage or release them.`;
  } catch {
    return "";
  }
}

/**
 * Probes and opens. `auto` ends in `observe` with the reason when eBPF cannot be used; `ebpf` throws {@link StartError}
 * instead.
 */
export async function chooseBackend(options: BackendOptions, clock: Clock): Promise<ChosenBackend> {
  if (options.backend === "observe") {
    return observe(clock, `The agent was started with --backend observe.${leftovers(options.bpffsDir)}`, []);
  }
  const objectBytes = readBpfObject();
  const probe = await probeEnforcement({ cgroupRoot: options.cgroupRoot, objectBytes, skipLoad: true });
  const { capabilities, cgroupRoot } = probe;
  const fallBack = (reason: string) => {
    if (options.backend === "ebpf") throw new StartError(reason);
    return observe(clock, `${reason}${leftovers(options.bpffsDir)}`, capabilities);
  };
  if (probe.choice !== "ebpf" || objectBytes === null || cgroupRoot === null) return fallBack(probe.reason);
  const enforcer = new EnforcerSession(createEbpfEnforcer({ cgroupRoot, bpffsDir: options.bpffsDir, objectBytes }));
  try {
    await enforcer.open();
  } catch (error) {
    if (error instanceof Failure && error.code === ErrorCode.KERNEL_REFUSED) return fallBack(shortened(error.message));
    throw error;
  }
  return { enforcer, reason: probe.reason, capabilities, cgroupRoot };
}
