/** What people do without a console: one `ssh` for each host, so many at once, each loading the host's nftables rules. */
import { compile, readPolicyFiles } from "@wardline/domain/policy";
import { emitNftables, requireScript } from "@wardline/domain/policy/emit";
import type { Fleet } from "@wardline/e2e/fleet/fleet";
import { runToEnd } from "@wardline/e2e/fleet/run-program";
import type { AgentPlace } from "./manyAgents.ts";

/** As `ansible --forks`, whose usual value is 5. */
export const FORKS = 10;
const NFT = "/usr/sbin/nft -f -";

/** The rules of each host as text, compiled from the same documents. */
export function rulesetsOf(places: readonly AgentPlace[], files: Readonly<Record<string, string>>): string[] {
  const { world } = readPolicyFiles(Object.entries(files).map(([path, text]) => ({ path, text })));
  return places.map(({ name }) => requireScript(emitNftables(compile({ ...world }, name), { mode: "enforce" })));
}

/** Loads them all. @returns the time from the first login to the last end, in ms */
export async function pushOverSsh(
  fleet: Fleet,
  places: readonly AgentPlace[],
  rulesets: readonly string[],
): Promise<number> {
  const startedAt = performance.now();
  const waiting = places.map((place, index) => ({ place, ruleset: rulesets[index] ?? "" }));
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const line = [...fleet.home.sshArguments(fleet.host(next.place.machine), "root"), NFT];
      const { exitCode, stderr } = await runToEnd("ssh", line, { input: next.ruleset });
      if (exitCode !== 0) throw new Error(`ssh ${next.place.machine} nft: ${stderr.slice(0, 300)}`);
    }
  };
  await Promise.all(Array.from({ length: FORKS }, work));
  return performance.now() - startedAt;
}
