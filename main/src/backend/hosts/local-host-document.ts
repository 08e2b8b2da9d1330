/** Introduces this machine to an empty console: writes its Host document once, so that selectors can match it. */
import { Failure } from "@wardline/domain/errors";
import { canonicalAddress } from "@wardline/domain/policy";
import type { Workspace } from "../policies/workspace.ts";
import type { Logger } from "../ports.ts";
import type { SettingsTable } from "../store/settings-table.ts";
import { hostDocumentPath, newHostDocument } from "./host-document.ts";
import type { ManagedHost } from "./managed-host.ts";

const SETTING = "local_host_document";

export interface IntroduceOptions {
  readonly host: ManagedHost;
  readonly workspace: Workspace;
  readonly settings: SettingsTable;
  readonly logger: Logger;
}

/** Waits for the agent to say who it is. A document that the person has deleted is not written again. */
export async function introduceLocalHost(options: IntroduceOptions, signal: AbortSignal): Promise<void> {
  const { host, settings, logger } = options;
  if (settings.text(SETTING) !== null) return;
  while ((await host.connection.waitForClient(signal)) && !signal.aborted) {
    const info = host.connection.state.status?.info;
    if (info?.name) {
      try {
        writeOnce(options, info.name, info.addresses);
        return;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        logger.warn({ code: error.code, problem: error.message }, "host document not written");
      }
    }
    await host.connection.changes.wait(host.connection.changes.version, 10_000, signal);
  }
}

function writeOnce(options: IntroduceOptions, name: string, addresses: readonly string[]): void {
  const { workspace, settings, logger } = options;
  const path = hostDocumentPath(name);
  const { reading, files } = workspace.snapshot();
  const declared = reading.world.inventory.endpoints.some((endpoint) => endpoint.key === `Host/${name}`);
  if (!declared && !files.some((file) => file.path === path)) {
    workspace.save(
      path,
      newHostDocument(
        name,
        addresses.filter((address) => canonicalAddress(address) !== null),
      ),
      0,
    );
    logger.info({ path }, "host document written");
  }
  settings.set(SETTING, path);
}
