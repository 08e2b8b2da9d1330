import { EXIT, type ExitCode } from "../exit-code.ts";
import { accessOf, environmentOf, withoutNone } from "../input/host-access.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import type { HostAddOptions } from "./host.options.ts";
import { runCheck } from "./host-check.ts";

/** `wardline host add`. Done once the host is added: what the check finds is told, and is no failure of adding. */
export async function hostAdd(output: Output, options: HostAddOptions, destination: string): Promise<ExitCode> {
  const access = accessOf(destination, options);
  const environment = options.environment === undefined ? null : environmentOf(options.environment);
  return withSession(options, {}, async (session) => {
    const host = {
      alias: options.alias ?? access.address,
      access,
      groups: withoutNone(options.group ?? []),
      labels: options.label ?? {},
    };
    const { hostIds } = await session.fleet.addHosts({ hosts: [environment ? { ...host, environment } : host] });
    const [hostId = ""] = hostIds;
    const check = options.check ? await runCheck(output, session, { hostId }) : null;
    if (output.format === "json") output.json({ hostId, alias: host.alias, check: check?.json ?? null });
    else {
      output.text(`${visible(host.alias)} is managed now.\n`);
      if (check === null) output.note(`Look at it with: wardline host check ${visible(host.alias)}`);
      else if (check.failed)
        output.note(`It is not ready yet; look again with: wardline host check ${visible(host.alias)}`);
    }
    return EXIT.done;
  });
}
