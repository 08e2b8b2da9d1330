/**
 * The console's backend: everything behind the renderer and the command line. It runs under plain Node and in Electron's
 * utility process alike, and serves `wardline.console.v1`.
 */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { FlowService } from "@wardline/api/wardline/console/v1/flows";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import { PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { HostStatusSchema } from "@wardline/api/wardline/v1/host";
import { Failure } from "@wardline/domain/errors";
import { AgentConnection } from "./agent/agent-connection.ts";
import type { AgentDialer } from "./agent/dialer.ts";
import { UnixSocketDialer } from "./agent/unix-dialer.ts";
import { ChangeSignal } from "./async/signal.ts";
import { FlowCollector } from "./flows/flow-collector.ts";
import { FlowServiceImpl } from "./flows/flow-service.ts";
import { LossesTable } from "./flows/losses.ts";
import { EnforcedState } from "./hosts/enforced-state.ts";
import { HostServiceImpl } from "./hosts/host-service.ts";
import { introduceLocalHost } from "./hosts/local-host-document.ts";
import { HostRegistry, LOCAL_HOST_ID, type ManagedHost } from "./hosts/managed-host.ts";
import { PolicyServiceImpl } from "./policies/policy-service.ts";
import { Workspace } from "./policies/workspace.ts";
import { type Clock, type Logger, type ShellPort, systemClock } from "./ports.ts";
import { createGuard } from "./rpc/guard.ts";
import { createHostNeedsSource, type HostNeedsSource } from "./ship/host-needs.ts";
import { ShipServiceImpl } from "./ship/ship-service.ts";
import { FilesTable } from "./store/files-table.ts";
import { type FlowRetention, FlowsTable } from "./store/flows-table.ts";
import { HostsTable } from "./store/hosts-table.ts";
import { ReceiptsTable } from "./store/receipts-table.ts";
import { LeaseTable, SettingsTable } from "./store/settings-table.ts";
import { Store } from "./store/store.ts";
import { VersionsTable } from "./store/versions-table.ts";

const STATUS_SAVE_INTERVAL_MS = 5000;

export interface BackendOptions {
  /** Directory of the database; see `defaultStateDir`. */
  readonly stateDir: string;
  /** The local agent's socket; see `DEFAULT_AGENT_SOCKET`. */
  readonly agentSocketPath: string;
  readonly logger: Logger;
  readonly shell: ShellPort;
  /** Author of versions and receipts. */
  readonly userName: string;
  readonly clock?: Clock;
  /** False for commands that end soon: another process collects, or nobody. */
  readonly collectFlows?: boolean;
  /** False where nobody looks at the workspace as it grows: a command must find it as the person left it. */
  readonly introducesLocalHost?: boolean;
  readonly flowRetention?: FlowRetention;
  /** What is known of connections that hosts cannot do without; else what this machine says of itself. */
  readonly hostNeeds?: HostNeedsSource;
  /** Reaches the local agent some other way (tests). */
  readonly dialer?: AgentDialer;
}

export interface Services {
  readonly policies: PolicyServiceImpl;
  readonly ship: ShipServiceImpl;
  readonly flows: FlowServiceImpl;
  readonly hosts: HostServiceImpl;
}

export interface Backend {
  /** Registers PolicyService, ShipService, FlowService and HostService. */
  routes(router: ConnectRouter): void;
  readonly services: Services;
  readonly workspace: Workspace;
  readonly registry: HostRegistry;
  /** Ends every stream and connection, then the store. Hosts go on as they are. */
  close(): Promise<void>;
}

/** @throws Failure when the database cannot be opened (newer, damaged, no access, disk full). */
export function createBackend(options: BackendOptions): Backend {
  const { stateDir, logger, shell, userName, clock = systemClock } = options;
  const needsOf = options.hostNeeds ?? createHostNeedsSource();
  const store = new Store({ stateDir, logger });
  const settings = new SettingsTable(store);
  const files = new FilesTable(store, settings);
  const versions = new VersionsTable(store);
  const receipts = new ReceiptsTable(store);
  const flowsTable = options.flowRetention ? new FlowsTable(store, options.flowRetention) : new FlowsTable(store);
  const hostsTable = new HostsTable(store);
  const losses = new LossesTable(settings);
  const stored = new ChangeSignal();
  const workspace = new Workspace({ store, files, versions, clock });
  const local = localHost(options, clock, hostsTable);
  const registry = new HostRegistry([local]);

  const services: Services = {
    policies: new PolicyServiceImpl({ workspace, versions, registry, flows: flowsTable, clock, userName }),
    ship: new ShipServiceImpl({ registry, workspace, receipts, flows: flowsTable, clock, logger, userName, needsOf }),
    flows: new FlowServiceImpl({ registry, flows: flowsTable, losses, clock, stored }),
    hosts: new HostServiceImpl({
      registry,
      workspace,
      clock,
      shell,
      session: { user: userName, consoleHost: hostname(), stateDir },
    }),
  };

  const closing = new AbortController();
  const { signal } = closing;
  const tasks = [
    services.ship.keeper.follow(local, signal),
    local.enforced.follow(signal),
    rememberStatus(local, hostsTable, logger, signal),
  ];
  if (options.introducesLocalHost ?? true) {
    tasks.push(introduceLocalHost({ host: local, workspace, settings, logger }, signal));
  }
  if (options.collectFlows ?? true) {
    const leases = new LeaseTable(store);
    const processId = `${process.pid}-${randomUUID()}`;
    const collector = { host: local, flows: flowsTable, leases, losses, clock, logger, processId, stored };
    tasks.push(new FlowCollector(collector).run(signal));
  }
  for (const task of tasks) {
    task.catch((error: unknown) => logger.error({ err: error }, "background work ended by a defect"));
  }
  local.connection.start();

  const guard = createGuard(logger, signal);
  return {
    services,
    workspace,
    registry,
    routes(router) {
      router.service(PolicyService, services.policies.routes(guard));
      router.service(ShipService, services.ship.routes(guard));
      router.service(FlowService, services.flows.routes(guard));
      router.service(HostService, services.hosts.routes(guard));
    },
    async close() {
      closing.abort();
      await Promise.allSettled([local.connection.close(), ...tasks]);
      store.close();
    },
  };
}

function localHost(options: BackendOptions, clock: Clock, hostsTable: HostsTable): ManagedHost {
  const { logger } = options;
  const known = hostsTable.find(LOCAL_HOST_ID);
  const connection = new AgentConnection({
    dialer: options.dialer ?? new UnixSocketDialer(options.agentSocketPath),
    clock,
    logger,
    remembered: known && {
      status: fromBinary(HostStatusSchema, known.statusWire),
      lastHeardAtMs: known.lastHeardAtMs,
      role: known.role,
      actor: known.actor,
    },
  });
  return { id: LOCAL_HOST_ID, local: true, connection, enforced: new EnforcedState(connection, logger) };
}

/** Keeps the last known status, so that the next start shows it with its age. */
async function rememberStatus(
  host: ManagedHost,
  table: HostsTable,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const { connection } = host;
  let savedAtMs = connection.state.lastHeardAtMs;
  while (!signal.aborted) {
    const seen = connection.changes.version;
    const { status, lastHeardAtMs, role, actor } = connection.state;
    if (status && lastHeardAtMs - savedAtMs >= STATUS_SAVE_INTERVAL_MS) {
      savedAtMs = lastHeardAtMs;
      try {
        const statusWire = toBinary(HostStatusSchema, status);
        table.put({ id: host.id, name: connection.hostName, lastHeardAtMs, role, actor, statusWire });
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        logger.warn({ code: error.code }, "host status not stored");
      }
    }
    await connection.changes.wait(seen, 60_000, signal);
  }
}
