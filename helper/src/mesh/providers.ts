/** Which meshes a host can have, and how each is looked for without loading it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { bootMs } from "../agent/clock.ts";
import type { MeshHostPorts } from "./meshHost.ts";
import type { MeshProviderPlan } from "./ports.ts";
import { isYggdrasilPresent } from "./providers/yggdrasil/places.ts";

/** There while the kernel's module is loaded. */
const BATMAN_MODULE = "/sys/module/batman_adv";

export function providerPlans(ports: MeshHostPorts): readonly MeshProviderPlan[] {
  const { stateDir, options, clock, services } = ports;
  return [
    {
      provider: MeshProvider.YGGDRASIL,
      isPresent: () => isYggdrasilPresent(options.yggdrasil),
      async load() {
        const [{ YggdrasilAdapter }, { Systemd }] = await Promise.all([
          import("./providers/yggdrasil/yggdrasilAdapter.ts"),
          import("./systemd.ts"),
        ]);
        return new YggdrasilAdapter({
          ...{ options: options.yggdrasil, directory: join(stateDir, "mesh") },
          services: services ?? new Systemd(),
          nowMs: () => bootMs(clock),
        });
      },
    },
    {
      provider: MeshProvider.BATMAN,
      isPresent: () => existsSync(BATMAN_MODULE),
      async load() {
        const { BatmanAdapter } = await import("./providers/batman/batmanAdapter.ts");
        return new BatmanAdapter();
      },
    },
  ];
}
