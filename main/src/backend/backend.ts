/**
 * The console's backend: everything behind the renderer and the command line. It runs under plain Node and in Electron's
 * utility process alike, and serves `wardline.console.v1`.
 */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { ConnectRouter } from "@connectrpc/connect";
import { ActivityService } from "@wardline/api/wardline/console/v1/activity";
import { AuditService } from "@wardline/api/wardline/console/v1/audit";
import { FleetService } from "@wardline/api/wardline/console/v1/fleet";
import { FlowService } from "@wardline/api/wardline/console/v1/flows";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import { JobService } from "@wardline/api/wardline/console/v1/jobs";
import { PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { RolloutService } from "@wardline/api/wardline/console/v1/rollout";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import type { RolloutEvent } from "@wardline/domain/fleet";
import { ActivityServiceImpl } from "./activity/activity-service.ts";
import type { AgentDialer, RemoteDialerFactory } from "./agent/dialer.ts";
import { sshDialerFactory } from "./agent/ssh-dialer.ts";
import { UnixSocketDialer } from "./agent/unix-dialer.ts";
import { ChangeSignal } from "./async/signal.ts";
import { AuditMirror } from "./audit/audit-mirror.ts";
import { AuditServiceImpl } from "./audit/audit-service.ts";
import { AuditTables } from "./audit/audit-tables.ts";
import { FleetServiceImpl } from "./fleet/fleet-service.ts";
import { introduceAtFirstContact } from "./fleet/host-introduction.ts";
import { FlowServiceImpl } from "./flows/flow-service.ts";
import { FlowWriter } from "./flows/flow-writer.ts";
import { LossesTable } from "./flows/losses.ts";
import { HostManager, type HostManagerPorts } from "./hosts/host-manager.ts";
import { HostRuntime } from "./hosts/host-runtime.ts";
import { HostServiceImpl } from "./hosts/host-service.ts";
import { introduceLocalHost } from "./hosts/local-host-document.ts";
import { type HostRegistry, labelOf, type ManagedHost } from "./hosts/managed-host.ts";
import { SshOrigins } from "./hosts/ssh-origins.ts";
import { Jobs } from "./jobs/job-runner.ts";
import { JobServiceImpl } from "./jobs/job-service.ts";
import { AgentLifecycle } from "./lifecycle/agent-lifecycle.ts";
import { AgentPackage, type PackageLocation } from "./lifecycle/manifest.ts";
import { checkoutPackage } from "./lifecycle/package-location.ts";
import { PolicyServiceImpl } from "./policies/policy-service.ts";
import { Workspace } from "./policies/workspace.ts";
import { type Clock, type Logger, type ShellPort, systemClock } from "./ports.ts";
import { KeptAnswers } from "./questions/kept-answers.ts";
import { QuestionDesk } from "./questions/question-desk.ts";
import type { QuestionAsker } from "./questions/questions.ts";
import { createGuard } from "./rpc/guard.ts";
import { createHostNeedsSource, type HostNeedsSource, systemFacts } from "./ship/host-needs.ts";
import { RolloutServiceImpl } from "./ship/rollouts/rollout-service.ts";
import { toWireRollout } from "./ship/rollouts/rollout-wire.ts";
import { ShipServiceImpl } from "./ship/ship-service.ts";
import { listCandidates } from "./ssh/config/candidates.ts";
import { processEnvironment } from "./ssh/config/target.ts";
import { ConsoleSshConnector, type SshConnectorOptions } from "./ssh/ssh-connector.ts";
import { FilesTable } from "./store/files-table.ts";
import { type FlowRetention, FlowsTable } from "./store/flows-table.ts";
import { HostsTable } from "./store/hosts-table.ts";
import { JobsTable } from "./store/jobs-table.ts";
import { ManagedHostsTable } from "./store/managed-hosts-table.ts";
import { ReceiptsTable } from "./store/receipts-table.ts";
import { RolloutsTable } from "./store/rollouts-table.ts";
import { LeaseTable, SettingsTable } from "./store/settings-table.ts";
import { Store } from "./store/store.ts";
import { VersionsTable } from "./store/versions-table.ts";

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
  /** Refuses every call that changes hosts, policies or this console. */
  readonly isReadOnly?: boolean;
  /** False for commands that end soon: another process collects, or nobody. */
  readonly collectFlows?: boolean;
  /** False where nobody looks at the workspace as it grows: a command must find it as the person left it. */
  readonly introducesLocalHost?: boolean;
  readonly flowRetention?: FlowRetention;
  /** What is known of connections that hosts cannot do without; else what this machine says of itself. */
  readonly hostNeeds?: HostNeedsSource;
  /** Takes up roll-outs that other processes left, and hosts that return; as `collectFlows` unless given. */
  readonly takesUpRollouts?: boolean;
  /** Called after each step of a roll-out that was written (tests). */
  readonly onRolloutStep?: (event: RolloutEvent) => void;
  /** Reaches the local agent some other way (tests). */
  readonly dialer?: AgentDialer;
  /** Asks the person some other way than through `questions` (the command line). */
  readonly asker?: QuestionAsker;
  /** Another home, configuration or environment for SSH than the process's own. */
  readonly ssh?: Omit<SshConnectorOptions, "asker">;
  /** Reaches the agents of other hosts some other way than SSH (tests). */
  readonly remoteDialer?: RemoteDialerFactory;
  /** What this console installs on hosts; else what was built in its own checkout. */
  readonly agentPackage?: PackageLocation;
  /** Whether a person sits there whenever a host is called (the command line), and how long hosts stay connected. */
  readonly remote?: HostManagerPorts["remote"];
}

export interface Services {
  readonly policies: PolicyServiceImpl;
  readonly ship: ShipServiceImpl;
  readonly flows: FlowServiceImpl;
  readonly hosts: HostServiceImpl;
  readonly audit: AuditServiceImpl;
  readonly fleet: FleetServiceImpl;
  readonly jobs: JobServiceImpl;
  readonly activity: ActivityServiceImpl;
  readonly rollouts: RolloutServiceImpl;
}

export interface Backend {
  /** Registers every service of `wardline.console.v1`. */
  routes(router: ConnectRouter): void;
  readonly services: Services;
  readonly workspace: Workspace;
  readonly registry: HostRegistry;
  readonly manager: HostManager;
  readonly questions: QuestionDesk;
  readonly ssh: ConsoleSshConnector;
  /** From where hosts see this console. */
  readonly origins: SshOrigins;
  /** Ends every stream and connection, then the store. Hosts go on as they are. */
  close(): Promise<void>;
}

/** @throws Failure when the database cannot be opened (newer, damaged, no access, disk full). */
export function createBackend(options: BackendOptions): Backend {
  const { stateDir, logger, shell, userName, clock = systemClock, isReadOnly = false } = options;
  const store = new Store({ stateDir, logger });
  const settings = new SettingsTable(store);
  const files = new FilesTable(store, settings);
  const versions = new VersionsTable(store);
  const receipts = new ReceiptsTable(store);
  const flowsTable = options.flowRetention ? new FlowsTable(store, options.flowRetention) : new FlowsTable(store);
  const hostsTable = new HostsTable(store);
  const origins = new SshOrigins(settings);
  const needsOf = options.hostNeeds ?? createHostNeedsSource(systemFacts(), (hostId) => origins.of(hostId));
  const losses = new LossesTable(settings);
  const stored = new ChangeSignal();
  const workspace = new Workspace({ store, files, versions, clock });
  const kept = new KeptAnswers({ sealed: settings, secrets: shell.secrets, logger });
  const questions = new QuestionDesk({ clock, kept });
  const asker = options.asker ?? questions;
  const ssh = new ConsoleSshConnector({ asker, ...options.ssh });
  const manager = new HostManager({
    store,
    table: new ManagedHostsTable(store, settings),
    hostsTable,
    clock,
    logger,
    origins,
    localDialer: options.dialer ?? new UnixSocketDialer(options.agentSocketPath),
    remoteDialer: options.remoteDialer ?? sshDialerFactory(ssh),
    ...(options.remote ? { remote: options.remote } : {}),
  });
  const { registry } = manager;
  const auditTables = new AuditTables(store);
  const auditMirror = new AuditMirror({ tables: auditTables, clock, logger });

  const jobs = new Jobs({ clock, logger, history: new JobsTable({ store, clock, logger }) });
  const lifecycle = new AgentLifecycle({
    connector: ssh,
    asker,
    agentPackage: new AgentPackage(options.agentPackage ?? checkoutPackage()),
    clock,
    logger,
    jobs,
    userName,
    hostById: (id) => {
      const host = registry.byId(id);
      return { name: labelOf(host), access: host.record.access };
    },
    onChanged: (id) => registry.find(id)?.connection.retryNow(),
  });
  const policies = new PolicyServiceImpl({ workspace, versions, registry, flows: flowsTable, clock, userName });

  const planning = { registry, workspace, versions, flows: flowsTable, clock, needsOf };
  const leases = new LeaseTable(store);
  const processId = `${process.pid}-${randomUUID()}`;
  const ship = new ShipServiceImpl({ ...planning, receipts, logger, userName });
  const { planner, changes } = ship;
  const rolloutsTable = new RolloutsTable(store, settings);
  const rollouts = new RolloutServiceImpl({
    ...{ ...planning, planner, changes, programs: planner.programs, logger, userName },
    ...{ table: rolloutsTable, leases, processId },
    takesUp: !isReadOnly && (options.takesUpRollouts ?? options.collectFlows ?? true),
    ...(options.onRolloutStep ? { checkpoint: options.onRolloutStep } : {}),
  });

  const services: Services = {
    policies,
    ship,
    rollouts,
    flows: new FlowServiceImpl({ registry, flows: flowsTable, losses, clock, stored }),
    hosts: new HostServiceImpl({
      registry,
      workspace,
      clock,
      shell,
      receipts,
      originOf: (hostId) => origins.of(hostId),
      awaitedHostIds: () => rolloutsTable.awaitedHostIds(),
      agentUpdateOf: ({ connection }) => lifecycle.updateFor(connection.state.status?.info?.agentVersion ?? ""),
      session: { user: userName, consoleHost: hostname(), stateDir, isReadOnly },
    }),
    fleet: new FleetServiceImpl({
      manager,
      workspace,
      clock,
      connector: ssh,
      questions,
      candidates: () => listCandidates({ ...processEnvironment(), ...options.ssh?.environment }),
    }),
    jobs: new JobServiceImpl({ jobs, clock, userName }),
    activity: new ActivityServiceImpl({
      clock,
      jobs,
      questions,
      rollouts: {
        changes: rollouts.changes,
        list: () => rollouts.list().map((rollout) => toWireRollout(rollout, clock.nowMs())),
      },
      watchWorkspace: (signal) => policies.watch(signal),
    }),
    audit: new AuditServiceImpl({ registry, tables: auditTables, mirror: auditMirror, userName }),
  };

  const closing = new AbortController();
  const { signal } = closing;
  const writer =
    (options.collectFlows ?? true)
      ? new FlowWriter({
          store,
          flows: flowsTable,
          leases,
          losses,
          clock,
          logger,
          processId,
          stored,
        })
      : null;
  const collector = writer && { writer, clock, logger };
  // What follows hosts for long belongs to the console that stays; a command asks when it needs to.
  const longRunning = { collector, auditMirror: collector ? auditMirror : null };
  const introduce = (host: ManagedHost) => introduceAtFirstContact(host, { manager, workspace, logger });
  const runtimePorts = { keeper: services.ship.keeper, hostsTable, logger, introduce, ...longRunning };
  manager.start((host) => new HostRuntime(host, runtimePorts));
  const tasks = [manager.follow(signal), rollouts.run(signal)];
  if (writer) tasks.push(writer.run(signal));
  if (options.introducesLocalHost ?? true) {
    tasks.push(introduceLocalHost({ host: registry.local, workspace, settings, logger }, signal));
  }
  for (const task of tasks) {
    task.catch((error: unknown) => logger.error({ err: error }, "background work ended by a defect"));
  }

  const guard = createGuard(logger, signal, isReadOnly);
  return {
    services,
    workspace,
    registry,
    manager,
    questions,
    ssh,
    origins,
    routes(router) {
      router.service(PolicyService, services.policies.routes(guard));
      router.service(ShipService, services.ship.routes(guard));
      router.service(RolloutService, services.rollouts.routes(guard));
      router.service(FlowService, services.flows.routes(guard));
      router.service(HostService, services.hosts.routes(guard));
      router.service(AuditService, services.audit.routes(guard));
      router.service(FleetService, { ...services.fleet.routes(guard), ...lifecycle.routes(guard) });
      router.service(JobService, services.jobs.routes(guard));
      router.service(ActivityService, services.activity.routes(guard));
    },
    async close() {
      closing.abort();
      await Promise.allSettled([jobs.close(), manager.stop(), ...tasks]);
      store.close();
    },
  };
}
