import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Host, HostSchema, Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { BackendKind } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { formatDuration } from "../input/duration.ts";
import type { Output } from "../output.ts";
import { type Session, type SessionOptions, withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";

const FIRST_CONTACT_MS = 6_000;

export const BACKENDS: Record<BackendKind, string> = {
  [BackendKind.UNSPECIFIED]: "",
  [BackendKind.EBPF]: "ebpf",
  [BackendKind.NFTABLES]: "nftables",
  [BackendKind.PF]: "pf",
  [BackendKind.OBSERVE]: "observe only",
};

export const MODES: Record<EnforcementMode, string> = {
  [EnforcementMode.UNSPECIFIED]: "",
  [EnforcementMode.OBSERVE]: "observe",
  [EnforcementMode.ENFORCE]: "enforce",
};

const REACHABILITIES: Record<Reachability, string> = {
  [Reachability.UNSPECIFIED]: "",
  [Reachability.CONNECTING]: "connecting",
  [Reachability.CONNECTED]: "connected",
  [Reachability.LOST]: "lost",
  [Reachability.NO_AGENT]: "no agent",
  [Reachability.PERMISSION_DENIED]: "not allowed",
  [Reachability.VERSION_MISMATCH]: "other version",
  [Reachability.UNREACHABLE]: "unreachable",
  [Reachability.HOST_KEY]: "host key",
  [Reachability.AUTHENTICATION]: "no access",
  [Reachability.IDLE]: "idle",
};

/** `wardline host list`. Exit code 3 when one of them could not be reached; what was last known is shown all the same. */
export async function hostList(output: Output, options: SessionOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const hosts = await hostsAfterContact(session);
    if (output.format === "json") output.json({ hosts: hosts.map((host) => toJson(HostSchema, host)) });
    else {
      output.text(formatTable(["HOST", "STATE", "BACKEND", "GENERATION", "MODE", "HEARD", "ROLE"], hosts.map(toRow)));
      for (const { name, problem, status } of hosts) {
        if (problem) output.note(`${visible(name)}: ${visible(problem.message)}\n  ${visible(problem.hint)}`);
        for (const each of status?.problems ?? []) output.note(`${visible(name)}: ${visible(each)}`);
      }
    }
    return hosts.every(isConnected) ? EXIT.done : EXIT.unreachable;
  });
}

export async function hostsAfterContact(session: Session): Promise<Host[]> {
  let hosts: Host[] = [];
  const limit = AbortSignal.timeout(FIRST_CONTACT_MS);
  try {
    for await (const message of session.hosts.watchHosts({}, { signal: limit })) {
      hosts = message.hosts;
      if (hosts.every((host) => host.reachability !== Reachability.CONNECTING)) break;
    }
  } catch (error) {
    if (!limit.aborted) throw error;
  }
  return hosts;
}

export function isConnected(host: Host): boolean {
  return host.reachability === Reachability.CONNECTED;
}

function toRow(host: Host): string[] {
  const { status } = host;
  const generation = status?.enforced?.number ?? 0n;
  const pending = status?.pending ? `${generation} (waits for confirmation)` : String(generation);
  return [
    host.name,
    REACHABILITIES[host.reachability],
    BACKENDS[status?.info?.backend ?? BackendKind.UNSPECIFIED],
    status ? (generation === 0n && !status.pending ? "none" : pending) : "",
    status?.enforced ? MODES[status.enforced.mode] : "",
    host.lastHeardAt ? `${formatDuration(Date.now() - timestampMs(host.lastHeardAt))} ago` : "never",
    ["", "viewer", "operator", "admin"][host.role] ?? "",
  ];
}
