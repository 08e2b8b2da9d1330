import { create } from "@bufbuild/protobuf";
import { type InventoryEntry, InventoryEntrySchema } from "@wardline/api/wardline/console/v1/fleet";
import { EnvironmentColor, EnvironmentSchema } from "@wardline/api/wardline/console/v1/hosts";
import type { EnvironmentColorName, InventoryHost } from "@wardline/domain/fleet";

const COLORS: Record<EnvironmentColorName, EnvironmentColor> = {
  red: EnvironmentColor.RED,
  amber: EnvironmentColor.AMBER,
  blue: EnvironmentColor.BLUE,
  green: EnvironmentColor.GREEN,
  grey: EnvironmentColor.GREY,
};

export function toInventoryEntry(host: InventoryHost, known: boolean): InventoryEntry {
  const { alias, address, port, user, identityFiles, jump, agentSocket, groups, labels, environment, line } = host;
  const entry = create(InventoryEntrySchema, {
    alias,
    access: { address, port, user, identityFiles: [...identityFiles], jump, agentSocket },
    groups: [...groups],
    labels: Object.fromEntries(labels),
    line,
    known,
  });
  if (environment) {
    entry.environment = create(EnvironmentSchema, { name: environment.name, color: COLORS[environment.color] });
  }
  return entry;
}
