/** What a person would have done before: the hosts added, described and a first policy written. */
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { FleetService } from "@wardline/api/wardline/console/v1/fleet";
import { EnvironmentColor } from "@wardline/api/wardline/console/v1/hosts";
import { PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { createBackend } from "@wardline/main/backend/backend";
import { silentLogger } from "@wardline/main/backend/ports";
import type { Fleet } from "../fleet.ts";
import { hostDocuments, SHOP, shopPolicies } from "./world.ts";

export async function prepareWorkspace(fleet: Fleet, stateDir: string, agentSocketPath: string): Promise<void> {
  const backend = createBackend({
    stateDir,
    agentSocketPath,
    logger: silentLogger,
    shell: { kind: "cli" },
    userName: "demo",
    collectFlows: false,
    introducesLocalHost: false,
  });
  try {
    const transport = createRouterTransport((router) => backend.routes(router));
    const addresses = Object.fromEntries(fleet.hosts.map(({ name, address }) => [name, address]));
    const policies = createClient(PolicyService, transport);
    await policies.saveFile({ path: "hosts.yaml", text: hostDocuments(addresses) });
    await policies.saveFile({ path: "shop.yaml", text: shopPolicies(fleet.consoleAddress) });
    const environment = { name: "demo", color: EnvironmentColor.GREEN };
    await createClient(FleetService, transport).addHosts({
      hosts: SHOP.map(({ name, groups }) => ({
        alias: name,
        access: { address: name },
        groups: [...groups],
        environment,
      })),
    });
  } finally {
    await backend.close();
  }
}
