import { create } from "@bufbuild/protobuf";
import { HostAccessSchema } from "@wardline/api/wardline/console/v1/hosts";
import { confirmOnTerminal } from "../ask.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import { changedAccess, environmentOf, withoutNone } from "../input/host-access.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import type { HostRemoveOptions, HostUpdateOptions } from "./host.options.ts";

/** `wardline host update`: what is not given stays. */
export async function hostUpdate(output: Output, options: HostUpdateOptions, name: string): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const host = session.backend.registry.byIdOrName(name);
    const { access, alias, groups, environment } = host.record;
    const chosen = options.environment === undefined ? environment : environmentOf(options.environment);
    const request = {
      hostId: host.id,
      alias: options.alias ?? alias,
      groups: options.group ? withoutNone(options.group) : [...groups],
      ...(chosen ? { environment: chosen } : {}),
    };
    if (access) {
      const address = options.address ?? access.address;
      await session.fleet.updateHost({
        ...request,
        access: changedAccess(create(HostAccessSchema, { ...access, address }), options),
      });
    } else {
      requireNoAccess(options);
      await session.fleet.updateHost(request);
    }
    if (options.label) {
      const { labels } = session.backend.services.hosts.describe(session.backend.registry.byId(host.id));
      const merged = Object.entries({ ...labels, ...options.label }).filter(([, value]) => value !== "");
      await session.hosts.setHostLabels({ hostId: host.id, labels: Object.fromEntries(merged) });
    }
    if (output.format === "json") output.json({ hostId: host.id });
    else output.text(`${visible(request.alias || name)} is changed.\n`);
    return EXIT.done;
  });
}

function requireNoAccess({
  address,
  port,
  user,
  identityFile,
  jump,
  agentSocketPath,
  transport,
}: HostUpdateOptions): void {
  const given = [address, port, user, identityFile, jump, agentSocketPath, transport];
  if (given.every((each) => each === undefined)) return;
  throw new UsageError("This machine is reached without SSH: only its groups, labels and environment can be changed.");
}

/** `wardline host remove`. Nothing on the machine changes. */
export async function hostRemove(output: Output, options: HostRemoveOptions, name: string): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const host = session.backend.registry.byIdOrName(name);
    if (!host.local && !options.yes) {
      const enforced = host.connection.state.status?.enforced?.number ?? 0n;
      const what = enforced > 0n ? `It goes on enforcing generation ${enforced}.` : "Nothing changes on it.";
      const isAgreed = await confirmOnTerminal(`Forget ${visible(host.record.alias || name)}? ${what}`);
      if (!isAgreed) {
        output.note("Nothing was changed.");
        return EXIT.problems;
      }
    }
    await session.fleet.removeHost({ hostId: host.id });
    if (output.format === "json") output.json({ hostId: host.id });
    else output.text(`${visible(host.record.alias || name)} is forgotten. What it enforces stays as it is.\n`);
    return EXIT.done;
  });
}
