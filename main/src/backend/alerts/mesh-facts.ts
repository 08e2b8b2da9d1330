/** What rules may say of meshes and their healing at this moment. */
import { HealingState, MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { MeshFact } from "@wardline/domain/alerts";
import { type HostRegistry, labelOf } from "../hosts/managed-host.ts";
import type { MeshFeed } from "../mesh/ports.ts";
import { told } from "./delivery/outcome.ts";
import type { Facts } from "./host-facts.ts";

const PROVIDERS: Partial<Record<MeshProvider, string>> = {
  [MeshProvider.YGGDRASIL]: "Yggdrasil",
  [MeshProvider.BATMAN]: "batman-adv",
  [MeshProvider.IP]: "IP",
};

/** The keys of `unknown` are what facts are about: a run of which nobody tells now, a mesh of which somebody is not heard. */
export function meshFacts(meshes: MeshFeed, registry: Pick<HostRegistry, "find">): Facts<MeshFact> {
  const facts: MeshFact[] = [];
  const { runs, partitions, silentRunIds, silentProviders } = meshes.standing();
  for (const { hostId, run } of runs) {
    if (!run) continue;
    const host = registry.find(hostId);
    const base = { about: run.id, hostId, host: told(host ? labelOf(host) : (run.hosts[0] ?? "")) };
    const cause = told(run.cause || run.target);
    if (run.state === HealingState.ESCALATED && !run.endedAt)
      facts.push({ ...base, condition: "escalated", sentence: `Not healed, a person has to look: ${cause}` });
    if (run.state === HealingState.WAITING_FOR_APPROVAL)
      facts.push({ ...base, condition: "waiting-for-approval", sentence: `Healing waits for approval: ${cause}` });
  }
  for (const [provider, parts] of partitions) {
    const about = PROVIDERS[provider] ?? "";
    if (about === "" || parts < 2) continue;
    const sentence = `The ${about} mesh is in ${parts} parts that do not reach each other.`;
    facts.push({ condition: "partitioned", about, hostId: "", host: "", sentence });
  }
  const unknown = new Set([...silentRunIds, ...[...silentProviders].map((provider) => PROVIDERS[provider] ?? "")]);
  return { facts, unknown, undecided: unknown };
}
