import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Drift, type Host, HostSchema, Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { BackendKind } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { Failure } from "@wardline/domain/errors";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { formatDuration } from "../input/duration.ts";
import { selectHostIds } from "../input/host-selection.ts";
import type { Output } from "../output.ts";
import { type Session, withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { HostListOptions } from "./host.options.ts";

/** The local agent answers at once; a login on another machine takes a while. */
const FIRST_CONTACT_MS = 6_000;
const REMOTE_CONTACT_MS = 20_000;

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

export const REACHABILITIES: Record<Reachability, string> = {
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

export const DRIFTS: Record<Drift, string> = {
  [Drift.UNSPECIFIED]: "",
  [Drift.NONE]: "none",
  [Drift.OTHER_STATE]: "other state",
  [Drift.BEHIND]: "behind",
  [Drift.NEVER_APPLIED]: "never applied",
  [Drift.UNKNOWN]: "unknown",
};

export const ROLES = ["", "viewer", "operator", "admin"];

/** `wardline host list`. Exit code 3 when one of them could not be reached; what was last known is shown all the same. */
export async function hostList(output: Output, options: HostListOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const ids = selectHostIds(session, options.hosts);
    const hosts = options.connect ? await hostsAfterContact(session, ids) : knownHosts(session, ids);
    if (output.format === "json") output.json({ hosts: hosts.map((host) => toJson(HostSchema, host)) });
    else {
      const header = [
        "HOST",
        "STATE",
        "BACKEND",
        "GENERATION",
        "MODE",
        "DRIFT",
        "HEARD",
        "ROLE",
        "ENVIRONMENT",
        "GROUPS",
      ];
      output.text(formatTable(header, hosts.map(toRow)));
      for (const { name, alias, problem, status } of hosts) {
        const label = visible(alias || name);
        if (problem) output.note(`${label}: ${visible(problem.message)}\n  ${visible(problem.hint)}`);
        for (const each of status?.problems ?? []) output.note(`${label}: ${visible(each)}`);
      }
    }
    return !options.connect || hosts.every(isConnected) ? EXIT.done : EXIT.unreachable;
  });
}

function knownHosts(session: Session, ids: readonly string[]): Host[] {
  const { registry, services } = session.backend;
  return ids.map((id) => services.hosts.describe(registry.byId(id)));
}

/** The named hosts, or all, once each of them is connected or has said why not. */
export async function hostsAfterContact(session: Session, ids?: readonly string[]): Promise<Host[]> {
  const { registry, services } = session.backend;
  const hosts = registry.select(ids ?? []);
  await Promise.all(
    hosts.map(async ({ connection, local }) => {
      try {
        await connection.client(local ? FIRST_CONTACT_MS : REMOTE_CONTACT_MS);
      } catch (error) {
        // It is in the state, which is what is shown.
        if (!(error instanceof Failure)) throw error;
      }
    }),
  );
  return hosts.map((host) => services.hosts.describe(host));
}

export function isConnected(host: Host): boolean {
  return host.reachability === Reachability.CONNECTED;
}

function toRow(host: Host): string[] {
  const { status } = host;
  const generation = status?.enforced?.number ?? 0n;
  const pending = status?.pending ? `${generation} (waits for confirmation)` : String(generation);
  return [
    host.alias || host.name,
    REACHABILITIES[host.reachability],
    BACKENDS[status?.info?.backend ?? BackendKind.UNSPECIFIED],
    status ? (generation === 0n && !status.pending ? "none" : pending) : "",
    status?.enforced ? MODES[status.enforced.mode] : "",
    DRIFTS[host.drift],
    host.lastHeardAt ? `${formatDuration(Date.now() - timestampMs(host.lastHeardAt))} ago` : "never",
    ROLES[host.role] ?? "",
    host.environment?.name ?? "",
    host.groups.join(" "),
  ];
}
