/** What this host is, as its status tells. */

import { arch, networkInterfaces, platform, release } from "node:os";
import { create } from "@bufbuild/protobuf";
import { BackendKind, type HostInfo, HostInfoSchema } from "@wardline/api/wardline/v1/host";
import type { BackendName, ProbedCapability } from "../enforce/enforcer.ts";
import { toTimestamp } from "./clock.ts";
import { AGENT_BUILD, AGENT_VERSION } from "./version.ts";

export const BACKEND_KINDS: Record<BackendName, BackendKind> = {
  ebpf: BackendKind.EBPF,
  nftables: BackendKind.NFTABLES,
  pf: BackendKind.PF,
  observe: BackendKind.OBSERVE,
};

export interface HostFacts {
  readonly hostName: string;
  readonly backend: BackendName;
  readonly backendReason: string;
  readonly backendLimits: readonly string[];
  readonly capabilities: readonly ProbedCapability[];
  readonly startedAtMs: number;
  /** Empty when nothing is attached. */
  readonly cgroupRoot: string;
}

function interfaceAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return all.filter((entry) => !entry.internal).map((entry) => entry.address);
}

export function describeHost(facts: HostFacts): HostInfo {
  return create(HostInfoSchema, {
    name: facts.hostName,
    operatingSystem: platform(),
    architecture: arch(),
    kernelRelease: release(),
    agentVersion: AGENT_VERSION,
    agentBuild: AGENT_BUILD,
    addresses: interfaceAddresses(),
    backend: BACKEND_KINDS[facts.backend],
    backendReason: facts.backendReason,
    backendLimits: [...facts.backendLimits],
    capabilities: [...facts.capabilities],
    processId: process.pid,
    startedAt: toTimestamp(facts.startedAtMs),
    cgroupRoot: facts.cgroupRoot,
  });
}
