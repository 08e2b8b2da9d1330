import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Quarantine, QuarantineSchema } from "@wardline/api/wardline/v1/host";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import { selectHostIds } from "../input/host-selection.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { type Session, type SessionOptions, withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import { type AskWords, endOf, onEachHost, requireWords } from "./each-host.ts";
import { hostsAfterContact, isConnected } from "./host-list.ts";
import type { QuarantineOptions } from "./quarantine.options.ts";
import { sshSession } from "./ssh-session.ts";

/** `wardline quarantine NAME`, and with `--lift` the end of it. */
export async function quarantineSubject(output: Output, options: QuarantineOptions, name: string): Promise<ExitCode> {
  requireChangesAllowed();
  if (options.hosts !== undefined) {
    const { hosts } = options;
    return withSession(options, {}, (session) => quarantineHosts(output, session, { ...options, hosts }, name));
  }
  const { lift, host, reason } = options;
  const isHost = name === "host" || name.startsWith("Host/");
  const managementCidrs = lift ? [] : managementOf(options, isHost);
  const managementPorts = managementCidrs.length === 0 ? [] : [...options.port];
  return withSession(options, {}, async (session) => {
    const subject = name === "host" ? "" : name;
    const request = { hostId: host, subject, lifted: lift, managementCidrs, managementPorts, reason };
    const { hostName, status } = await session.hosts.setQuarantine(request);
    const quarantines = status?.quarantines ?? [];
    if (output.format === "json") {
      const listed = quarantines.map((quarantine) => toJson(QuarantineSchema, quarantine));
      output.json({ host: hostName, quarantines: listed });
    } else {
      const what = lift ? "is not in quarantine any more" : "is cut off now";
      output.text(`${visible(name === "host" ? hostName : name)} ${what}.\n`);
      if (quarantines.length > 0) output.text(formatQuarantines(quarantines.map((each) => ({ hostName, each }))));
    }
    return EXIT.done;
  });
}

/**
 * `wardline quarantine NAME --hosts SELECTOR`: on each of them, with the same management access. A remote host that it would
 * lock this console out of is refused by itself.
 * @throws Failure CONFIRMATION_REQUIRED, INVALID_ARGUMENT, NOT_FOUND: nothing was changed
 */
export async function quarantineHosts(
  output: Output,
  session: Pick<Session, "backend" | "hosts">,
  options: QuarantineOptions & { readonly hosts: string },
  name: string,
  ask?: AskWords,
): Promise<ExitCode> {
  const { lift: lifted, reason, typed } = options;
  if (name.startsWith("Host/")) throw new UsageError(`With --hosts, "host" is each of them.`);
  const hosts = session.backend.registry.select(selectHostIds(session, options.hosts));
  const cutsThisMachine = name === "host" && hosts.some(({ local }) => local);
  const managementCidrs = lifted ? [] : managementOf(options, cutsThisMachine);
  const managementPorts = managementCidrs.length === 0 ? [] : [...options.port];
  await requireWords(lifted ? "lift the quarantine of" : "quarantine", hosts, typed, ask);
  const results = await onEachHost(output, hosts, async ({ id }) => {
    const subject = name === "host" ? "" : name;
    const request = { hostId: id, subject, lifted, managementCidrs, managementPorts, reason };
    const { status } = await session.hosts.setQuarantine(request);
    const quarantines = (status?.quarantines ?? []).map((each) => toJson(QuarantineSchema, each));
    const who = name === "host" ? "" : `${visible(name)} `;
    return { json: { quarantines }, words: `${who}${lifted ? "is not in quarantine any more" : "is cut off now"}` };
  });
  return endOf(output, results);
}

/** Who may still come in. @throws UsageError where the caller would cut himself off without having said so */
function managementOf({ allowFrom, port }: QuarantineOptions, isHost: boolean): string[] {
  if (allowFrom === "none") return [];
  if (allowFrom !== undefined) return allowFrom.split(",").filter((part) => part !== "");
  if (port.length > 0) throw new UsageError("--port needs --allow-from: who may reach it?");
  const ssh = isHost ? sshSession() : null;
  if (!ssh) return [];
  const ports = ssh.serverPort === 22 ? "" : ` --port ${ssh.serverPort}`;
  throw new UsageError(
    `You are logged in from ${ssh.clientAddress} over SSH; if that is this host, the quarantine would end this very session.`,
    `Add --allow-from ${ssh.clientAddress}${ports} to keep it, or --allow-from none to cut it.`,
  );
}

/** `wardline quarantine list`. Exit code 3 when a host could not be asked; what it last said is shown all the same. */
export async function quarantineList(output: Output, options: SessionOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const hosts = await hostsAfterContact(session);
    const all = hosts.flatMap((host) =>
      (host.status?.quarantines ?? []).map((each) => ({ hostName: host.name, each })),
    );
    if (output.format === "json") {
      const listed = all.map(({ hostName, each }) => ({ host: hostName, quarantine: toJson(QuarantineSchema, each) }));
      output.json({ quarantines: listed });
    } else output.text(all.length === 0 ? "Nobody is in quarantine.\n" : formatQuarantines(all));
    for (const host of hosts.filter((each) => !isConnected(each))) {
      output.note(`${visible(host.name)} could not be asked: ${visible(host.problem?.message ?? "no connection")}`);
    }
    return hosts.every(isConnected) ? EXIT.done : EXIT.unreachable;
  });
}

function formatQuarantines(rows: readonly { readonly hostName: string; readonly each: Quarantine }[]): string {
  return formatTable(
    ["HOST", "WHO", "SINCE", "BY", "BUT FOR", "REASON"],
    rows.map(({ hostName, each }) => [
      hostName,
      each.subjectKey,
      each.since ? new Date(timestampMs(each.since)).toISOString() : "",
      each.actor,
      each.managementCidrs.length === 0
        ? "nobody"
        : `${each.managementCidrs.join(", ")} to TCP ${each.managementPorts.join(", ")}`,
      each.reason,
    ]),
  );
}
