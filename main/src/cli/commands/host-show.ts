import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Host, HostSchema, SshTransport } from "@wardline/api/wardline/console/v1/hosts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { formatDuration } from "../input/duration.ts";
import type { Output } from "../output.ts";
import type { CommonOptions } from "../registration.ts";
import { withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import { BACKENDS, DRIFTS, hostsAfterContact, isConnected, MODES, REACHABILITIES, ROLES } from "./host-list.ts";

const TRANSPORTS: Record<SshTransport, string> = {
  [SshTransport.UNSPECIFIED]: "",
  [SshTransport.AUTO]: "",
  [SshTransport.BUILT_IN]: "built-in client",
  [SshTransport.SYSTEM]: "the system's ssh",
};

/** `wardline host show`. Exit code 3 when it could not be reached; what was last known is shown all the same. */
export async function hostShow(output: Output, options: CommonOptions, name: string): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const { id } = session.backend.registry.byIdOrName(name);
    const [host] = await hostsAfterContact(session, [id]);
    if (!host) return EXIT.problems;
    if (output.format === "json") output.json({ host: toJson(HostSchema, host) });
    else {
      for (const [key, value] of factsOf(host)) {
        if (value !== "") output.text(`${output.style.bold(key.padEnd(14))} ${visible(value)}\n`);
      }
      if (host.problem) output.note(`${visible(host.problem.message)}\n  ${visible(host.problem.hint)}`);
      for (const each of host.status?.problems ?? []) output.note(visible(each));
    }
    return isConnected(host) ? EXIT.done : EXIT.unreachable;
  });
}

function factsOf(host: Host): readonly (readonly [string, string])[] {
  const { access, ssh, status } = host;
  const info = status?.info;
  const generation = status?.enforced?.number ?? 0n;
  return [
    ["Name", host.name],
    ["Alias", host.alias],
    ["Id", host.id],
    ["State", REACHABILITIES[host.reachability]],
    ["Heard", host.lastHeardAt ? `${formatDuration(Date.now() - timestampMs(host.lastHeardAt))} ago` : "never"],
    ["Environment", host.environment?.name ?? ""],
    ["Groups", host.groups.join(", ")],
    [
      "Labels",
      Object.entries(host.labels)
        .toSorted()
        .map((label) => label.join("="))
        .join(", "),
    ],
    [
      "Address",
      access
        ? `${access.user === "" ? "" : `${access.user}@`}${access.address}${access.port === 0 ? "" : `:${access.port}`}`
        : "",
    ],
    ["Jump", access?.jump ?? ""],
    ["Keys", access?.identityFiles.join(", ") ?? ""],
    ["Agent socket", access?.agentSocket ?? ""],
    ["SSH", ssh ? `${ssh.user}@${ssh.address}:${ssh.port} by ${TRANSPORTS[ssh.transport]}` : ""],
    ["Host key", ssh ? `${ssh.hostKeyType} ${ssh.hostKeyFingerprint}` : ""],
    ["Command", ssh?.command ?? ""],
    ["You are", host.actor === "" ? "" : `${host.actor}, ${ROLES[host.role] ?? ""}`],
    ["System", info ? `${info.operatingSystem} ${info.kernelRelease} ${info.architecture}` : ""],
    ["Agent", info ? `${info.agentVersion} ${info.agentBuild}` : ""],
    ["Update", host.agentUpdate],
    ["Backend", BACKENDS[info?.backend ?? 0]],
    ["Generation", status ? `${generation} ${MODES[status.enforced?.mode ?? 0]}` : ""],
    ["Drift", DRIFTS[host.drift]],
    ["State digest", status?.enforced?.stateDigest ?? ""],
    ["Confirmed here", host.desiredStateDigest],
  ];
}
