/** Which enforcer this agent runs, and why. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { createEbpfEnforcer } from "../enforce/ebpf/ebpfEnforcer.ts";
import type { Enforcer, ProbedCapability } from "../enforce/enforcer.ts";
import { EnforcerSession } from "../enforce/enforcerSession.ts";
import { createNftablesEnforcer, DEFAULT_TABLE_NAME } from "../enforce/nftables/nftablesEnforcer.ts";
import { findNft, NftCommand } from "../enforce/nftables/nftCommand.ts";
import { createObserveEnforcer } from "../enforce/observe/observeEnforcer.ts";
import { createSystemPfEnforcer, pfSurroundings, probePf } from "../enforce/pf/systemPf.ts";
import { probeEnforcement } from "../enforce/probe.ts";
import { StartError } from "../server/socket.ts";
import { readBpfObject } from "./bpfObject.ts";
import { bootMs, type Clock } from "./clock.ts";
import type { AgentOptions } from "./options.ts";

export interface ChosenBackend {
  readonly enforcer: Enforcer;
  readonly reason: string;
  readonly capabilities: readonly ProbedCapability[];
  /** Empty when nothing is attached to cgroups. */
  readonly cgroupRoot: string;
  /** Removes what another backend left here. To be called once this one has what it needs. Throws `Failure`. */
  readonly retire?: () => Promise<void>;
}

type BackendOptions = Pick<AgentOptions, "backend" | "bpffsDir" | "cgroupRoot" | "stateDir" | "edge" | "earlyDrop">;

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
    const trees = readdirSync(bpffsDir).filter((name) => name.startsWith("layout-"));
    const pins = trees.flatMap((tree) => readdirSync(join(bpffsDir, tree)));
    if (!pins.some((name) => name.startsWith("link_"))) return "";
    return ` Programs that an earlier agent pinned in ${bpffsDir} are still there and go on enforcing: start the agent with eBPF to manage or release them.`;
  } catch {
    return "";
  }
}

type Attempt =
  | { readonly kind: "chosen"; readonly chosen: ChosenBackend }
  | { readonly kind: "refused"; readonly reason: string; readonly capabilities: readonly ProbedCapability[] };

/**
 * Probes and opens. `auto` takes eBPF, else nftables (pf on macOS), else ends in `observe` with the reasons. A backend that
 * was asked for by name and cannot be used throws {@link StartError}.
 */
export async function chooseBackend(options: BackendOptions, clock: Clock): Promise<ChosenBackend> {
  const { backend, bpffsDir } = options;
  if (backend === "observe") {
    return observe(clock, `The agent was started with --backend observe.${leftovers(bpffsDir)}`, []);
  }
  const auto = process.platform === "darwin" ? [tryPf] : [tryEbpf, tryNftables];
  const attempts = { ebpf: [tryEbpf], nftables: [tryNftables], pf: [tryPf], auto }[backend];
  const refused: Extract<Attempt, { kind: "refused" }>[] = [];
  for (const attempt of attempts) {
    const result = await attempt(options, clock);
    if (result.kind === "refused") refused.push(result);
    else return withHistory(result.chosen, refused);
  }
  const reason = refused.map((each) => each.reason).join(" ");
  if (backend !== "auto") throw new StartError(reason);
  return observe(
    clock,
    `${reason}${leftovers(bpffsDir)}`,
    refused.flatMap(({ capabilities }) => capabilities),
  );
}

/** Why the better ones were not taken comes first. */
function withHistory(chosen: ChosenBackend, refused: readonly Extract<Attempt, { kind: "refused" }>[]): ChosenBackend {
  return {
    ...chosen,
    reason: [...refused.map(({ reason }) => reason), chosen.reason].join(" "),
    capabilities: [...refused.flatMap(({ capabilities }) => capabilities), ...chosen.capabilities],
  };
}

async function tryEbpf({ cgroupRoot: root, bpffsDir, edge, earlyDrop }: BackendOptions): Promise<Attempt> {
  const objectBytes = readBpfObject();
  const probe = await probeEnforcement({ cgroupRoot: root, objectBytes, skipLoad: true });
  const { capabilities, cgroupRoot, reason } = probe;
  if (probe.choice !== "ebpf" || objectBytes === null || cgroupRoot === null) {
    return { kind: "refused", reason, capabilities };
  }
  const interfaces = {
    edge: edge ? {} : null,
    earlyDrop: earlyDrop.length > 0 ? { interfaces: earlyDrop } : null,
  };
  const enforcer = new EnforcerSession(createEbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes, ...interfaces }));
  try {
    await enforcer.open();
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== ErrorCode.KERNEL_REFUSED) throw error;
    return { kind: "refused", reason: shortened(error.message), capabilities };
  }
  const chosen: ChosenBackend = { enforcer, reason, capabilities, cgroupRoot };
  return { kind: "chosen", chosen: root === null ? { ...chosen, retire: retireNftables } : chosen };
}

/** A table that an earlier agent made here must not go on deciding beside eBPF. Only for the whole host. */
async function retireNftables(): Promise<void> {
  const nft = findNft();
  if (nft !== null) await createNftablesEnforcer({ nft: [nft] }).release();
}

async function tryNftables({ cgroupRoot, bpffsDir }: BackendOptions): Promise<Attempt> {
  const capabilities: ProbedCapability[] = [];
  const refused = (detail: string): Attempt => {
    capabilities.push({ name: "nftables", available: false, detail });
    return { kind: "refused", reason: `nftables cannot be used: ${detail}.`, capabilities };
  };
  if (process.platform !== "linux") return refused(`it needs Linux; this is ${process.platform}`);
  if (process.geteuid?.() !== 0) return refused("the agent does not run as root");
  if (cgroupRoot !== null) return refused("it cannot guard one cgroup alone, as --cgroup-root asks");
  const nft = findNft();
  if (nft === null) return refused("there is no nft program that only root can change");
  const enforcer = new EnforcerSession(createNftablesEnforcer({ nft: [nft] }));
  try {
    await enforcer.open();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return refused(shortened(error.message).replace(/\.$/, ""));
  }
  capabilities.push({ name: "nftables", available: true, detail: `by ${nft}, ${new NftCommand([nft]).version()}` });
  const reason = `The kernel takes the table "inet ${DEFAULT_TABLE_NAME}".${leftovers(bpffsDir)}`;
  return { kind: "chosen", chosen: { enforcer, reason, capabilities, cgroupRoot: "" } };
}

async function tryPf({ stateDir }: BackendOptions, clock: Clock): Promise<Attempt> {
  const { isUsable, reason, capabilities } = probePf(pfSurroundings());
  if (!isUsable) return { kind: "refused", reason, capabilities };
  const enforcer = new EnforcerSession(createSystemPfEnforcer({ stateDir, bootMs: () => bootMs(clock) }));
  try {
    await enforcer.open();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { kind: "refused", reason: `pf cannot be used: ${shortened(error.message)}`, capabilities };
  }
  return { kind: "chosen", chosen: { enforcer, reason, capabilities, cgroupRoot: "" } };
}
