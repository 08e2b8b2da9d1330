/** Puts together what belongs to a configuration: its parts, keys and archives, and the source that is watched. */
import type { ServiceImpl } from "@connectrpc/connect";
import type { ConfigurationService } from "@wardline/api/wardline/console/v1/configuration";
import type { AlertServiceImpl } from "../alerts/alert-service.ts";
import { ConfigurationTables } from "../alerts/configuration-tables.ts";
import { ReceiverSecrets } from "../alerts/secrets.ts";
import type { RetentionSettings } from "../history/service/retention-settings.ts";
import type { Logger, ShellPort } from "../ports.ts";
import type { Guard } from "../rpc/guard.ts";
import { ManagedHostsTable } from "../store/managed-hosts-table.ts";
import { SavedQueriesTable } from "../store/saved-queries-table.ts";
import type { LeaseTable, SettingsTable } from "../store/settings-table.ts";
import { ConfigurationKeys } from "./configuration-keys.ts";
import { ConfigurationExchange, type ConfigurationPorts } from "./configuration-service.ts";
import { receiversPart, rulesPart } from "./parts/alert-parts.ts";
import { hostsPart } from "./parts/hosts-part.ts";
import { fleetSettingsPart, savedQueriesPart } from "./parts/other-parts.ts";
import { PolicySource } from "./source/policy-source.ts";

export interface CreateConfigurationPorts extends Omit<ConfigurationPorts, "parts" | "keys"> {
  readonly settings: SettingsTable;
  readonly leases: LeaseTable;
  readonly processId: string;
  readonly logger: Logger;
  readonly shell: ShellPort;
  readonly alerts: AlertServiceImpl;
  readonly retention: RetentionSettings;
  /** Tests only: a git repository on this machine as a source. */
  readonly allowsFiles?: boolean;
}

export interface ConfigurationServiceImpl {
  routes(guard: Guard): ServiceImpl<typeof ConfigurationService>;
  /** Follows the source until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createConfiguration(ports: CreateConfigurationPorts): ConfigurationServiceImpl {
  const { store, settings, shell, stateDir, alerts, retention } = ports;
  const tables = new ConfigurationTables(store, settings);
  const secrets = new ReceiverSecrets({ tables, keyring: shell.secrets, stateDir });
  const alertPorts = { tables, secrets, service: alerts };
  const exchange = new ConfigurationExchange({
    ...ports,
    keys: new ConfigurationKeys(store),
    // In this order they are written: receivers last, see there.
    parts: [
      hostsPart(new ManagedHostsTable(store, settings)),
      savedQueriesPart(new SavedQueriesTable(store)),
      fleetSettingsPart(retention, tables),
      rulesPart(alertPorts),
      receiversPart(alertPorts),
    ],
  });
  const source = new PolicySource(ports);
  return {
    routes: (guard) => ({ ...exchange.routes(guard), ...source.routes(guard) }),
    run: (signal) => source.run(signal),
  };
}
