/**
 * The console's backend: everything behind the renderer and the command line. It runs under plain Node and in Electron's
 * utility process alike, and serves `wardline.console.v1`.
 */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import { ActivityServiceImpl } from "./activity/activity-service.ts";
import type { AgentDialer } from "./agent/dialer.ts";
import { SafeModeDialer } from "./agent/safe-mode-dialer.ts";
import { sshDialerFactory } from "./agent/ssh-dialer.ts";
import { UnixSocketDialer } from "./agent/unix-dialer.ts";
import { createAlerts, selectableHost } from "./alerts/create-alerts.ts";
import { AnomaliesTable } from "./anomalies/anomalies-table.ts";
import { AnomalyMirror } from "./anomalies/anomaly-mirror.ts";
import { AnomalyServiceImpl } from "./anomalies/anomaly-service.ts";
import { AskServiceImpl } from "./ask/ask-service.ts";
import { ChangeSignal } from "./async/signal.ts";
import { AuditMirror } from "./audit/audit-mirror.ts";
import { AuditServiceImpl } from "./audit/audit-service.ts";
import { AuditTables } from "./audit/audit-tables.ts";
import { ConsoleAudit } from "./audit/console-audit.ts";
import type { Backend, BackendOptions } from "./backend-types.ts";
import { ClusterGateway } from "./cluster/cluster-gateway.ts";
import { ClusterServiceImpl } from "./cluster/cluster-service.ts";
import { SharedNotes } from "./cluster/notes/shared-notes.ts";
import { createConfiguration } from "./configuration/create-configuration.ts";
import { FleetServiceImpl } from "./fleet/fleet-service.ts";
import { introduceAtFirstContact } from "./fleet/host-introduction.ts";
import { FlowActionsServiceImpl } from "./flows/actions/flow-actions-service.ts";
import { FlowServiceImpl } from "./flows/flow-service.ts";
import { FlowWriter } from "./flows/flow-writer.ts";
import { LossesTable } from "./flows/losses.ts";
import { CollectedHosts } from "./history/collected-hosts.ts";
import { ExportPositions } from "./history/export/export-positions.ts";
import { LossesLog } from "./history/losses-log.ts";
import { openHistory } from "./history/open-history.ts";
import { EndpointBook } from "./history/service/endpoint-book.ts";
import { HistoryServiceImpl } from "./history/service/history-service.ts";
import { RetentionSettings } from "./history/service/retention-settings.ts";
import { HostManager } from "./hosts/host-manager.ts";
import { HostRuntime } from "./hosts/host-runtime.ts";
import { HostServiceImpl } from "./hosts/host-service.ts";
import { introduceLocalHost } from "./hosts/local-host-document.ts";
import { labelOf, type ManagedHost } from "./hosts/managed-host.ts";
import { SshOrigins } from "./hosts/ssh-origins.ts";
import { Jobs } from "./jobs/job-runner.ts";
import { JobServiceImpl } from "./jobs/job-service.ts";
import { AgentLifecycle } from "./lifecycle/agent-lifecycle.ts";
import { AgentPackage } from "./lifecycle/manifest.ts";
import { checkoutPackage } from "./lifecycle/package-location.ts";
import { createMesh } from "./mesh/create-mesh.ts";
import { collectMatters } from "./notifications/collect-matters.ts";
import { NotificationServiceImpl } from "./notifications/notification-service.ts";
import { Notifications } from "./notifications/notifications.ts";
import { defaultSettingsPath, historyAddress, LOCKED_SETTINGS_PATH } from "./paths.ts";
import { PictureServiceImpl } from "./picture/picture-service.ts";
import { PolicyServiceImpl } from "./policies/policy-service.ts";
import { VocabularyServiceImpl } from "./policies/vocabulary-service.ts";
import { Workspace } from "./policies/workspace.ts";
import { systemClock } from "./ports.ts";
import { KeptAnswers } from "./questions/kept-answers.ts";
import { QuestionDesk } from "./questions/question-desk.ts";
import { FlowReplays } from "./replay/flow-replays.ts";
import { createGuard } from "./rpc/guard.ts";
import { routeServices, type Services } from "./services.ts";
import { SettingsFiles } from "./settings/settings-files.ts";
import { SettingsServiceImpl } from "./settings/settings-service.ts";
import { createHostNeedsSource, systemFacts } from "./ship/host-needs.ts";
import { RolloutServiceImpl } from "./ship/rollouts/rollout-service.ts";
import { toWireRollout } from "./ship/rollouts/rollout-wire.ts";
import { ShipServiceImpl } from "./ship/ship-service.ts";
import { VerdictServiceImpl } from "./ship/verdicts/verdict-service.ts";
import { listCandidates } from "./ssh/config/candidates.ts";
import { processEnvironment } from "./ssh/config/target.ts";
import { ConsoleSshConnector } from "./ssh/ssh-connector.ts";
import { ClusterBasesTable } from "./store/cluster-bases-table.ts";
import { ClusterNotesTable } from "./store/cluster-notes-table.ts";
import { FilesTable } from "./store/files-table.ts";
import { FlowsTable } from "./store/flows-table.ts";
import { HostsTable } from "./store/hosts-table.ts";
import { JobsTable } from "./store/jobs-table.ts";
import { ManagedHostsTable } from "./store/managed-hosts-table.ts";
import { ReceiptsTable } from "./store/receipts-table.ts";
import { RolloutsTable } from "./store/rollouts-table.ts";
import { SavedQueriesTable } from "./store/saved-queries-table.ts";
import { LeaseTable, SettingsTable } from "./store/settings-table.ts";
import { Store } from "./store/store.ts";
import { VersionsTable } from "./store/versions-table.ts";
import { SupportServiceImpl } from "./support/support-service.ts";
import { VersionIndex } from "./versions/version-index.ts";
import { VersionServiceImpl } from "./versions/version-service.ts";

export type { Backend, BackendOptions } from "./backend-types.ts";
export type { Services } from "./services.ts";

/** @throws Failure when the database cannot be opened (newer, damaged, no access, disk full). */
export function createBackend(options: BackendOptions): Backend {
  const { stateDir, logger, shell, userName, clock = systemClock, isSafeMode = false } = options;
  const store = new Store({ stateDir, logger });
  const settingsFiles = new SettingsFiles({
    ...{ path: defaultSettingsPath(), lockedPath: LOCKED_SETTINGS_PATH, ...options.settingsFiles },
    ...{ stateDir, isSafeMode, clock, logger },
  });
  const tellShell = () => shell.followSettings?.(settingsFiles.snapshot().values);
  tellShell();
  settingsFiles.changes.subscribe(tellShell);
  const isReadOnly = (options.isReadOnly ?? false) || settingsFiles.snapshot().values["safety.readOnly"];
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
  const careful = (dialer: AgentDialer) => (isSafeMode ? new SafeModeDialer(dialer) : dialer);
  const manager = new HostManager({
    store,
    table: new ManagedHostsTable(store, settings),
    hostsTable,
    clock,
    logger,
    origins,
    localDialer: careful(options.dialer ?? new UnixSocketDialer(options.agentSocketPath)),
    remoteDialer: (record) => careful((options.remoteDialer ?? sshDialerFactory(ssh))(record)),
    ...(options.remote ? { remote: options.remote } : {}),
  });
  const { registry } = manager;
  const auditTables = new AuditTables(store);
  const auditMirror = new AuditMirror({ tables: auditTables, clock, logger });
  const ownAudit = { tables: auditTables, settings, clock, logger, userName, name: "this console" };
  const consoleAudit = new ConsoleAudit(ownAudit);

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
  const replays = new FlowReplays({ flows: flowsTable, clock });
  const policies = new PolicyServiceImpl({ workspace, versions, registry, replays, clock, userName });

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

  const gateway = new ClusterGateway({ registry, clock, logger });
  const notes = new SharedNotes({ gateway, table: new ClusterNotesTable(store), clock, logger, userName, isReadOnly });
  const bases = new ClusterBasesTable(store);
  const clusters = new ClusterServiceImpl({ gateway, registry, workspace, bases, notes, clock, userName });

  const retentionSettings = new RetentionSettings(settings);
  const retention = () => retentionSettings.limits();
  const history =
    options.flowHistory ??
    openHistory({ stateDir, history: options.history ?? historyAddress(), retention, clock, logger });
  const collected = new CollectedHosts();
  const book = new EndpointBook({ workspace, registry, clusters: gateway, clock });

  const anomaliesTable = new AnomaliesTable(store);
  const anomalyMirror = new AnomalyMirror({ table: anomaliesTable, clock, logger });
  const anomalyPorts = { registry, table: anomaliesTable, mirror: anomalyMirror, workspace, history, clock };
  const anomalies = new AnomalyServiceImpl(anomalyPorts);
  const mesh = createMesh({
    registry,
    leases,
    processId,
    stateDir,
    clock,
    logger,
    ...(options.meshHistory ? { limits: options.meshHistory } : {}),
  });
  const alerts = createAlerts({
    ...{
      store,
      settings,
      leases,
      receipts,
      losses,
      registry,
      gateway,
      meshes: mesh.service.feed,
      history,
      shell,
      clock,
      logger,
      stateDir,
      userName,
    },
    ...{ processId, feed: anomalies.feed, labels: (label) => book.known().labels(label), ...options.alerts },
    awaitedHostIds: () => rolloutsTable.awaitedHostIds(),
    selectable: (host) => selectableHost(host, services.hosts.describe(host).labels),
  });

  const lossesLog = new LossesLog(store);
  const versionPorts = { workspace, versions, index: new VersionIndex(store), registry, clock, userName };
  const versionService = new VersionServiceImpl(versionPorts);
  const configuration = createConfiguration({
    ...{ ...versionPorts, store, settings, manager, leases, processId, logger, shell, stateDir, isReadOnly },
    ...{ alerts: alerts.service, retention: retentionSettings, meaning: versionService.meaning },
    ...(options.sourceMayBeLocal ? { allowsFiles: true } : {}),
  });
  const notifications = new Notifications({
    ...{ store, settings, shell, clock, logger },
    values: () => settingsFiles.snapshot().values,
    matters: () =>
      collectMatters({
        hosts: registry.hosts,
        rollouts: rollouts.list().map((rollout) => toWireRollout(rollout, clock.nowMs())),
        questions: questions.list(),
        anomalies: anomalies.feed.list(),
        alerts: alerts.board.board(),
        mesh: mesh.service.feed.summary(),
        settings: settingsFiles.snapshot(),
        auditLogs: [...registry.hosts.map(({ id }) => auditTables.current(id)), consoleAudit.row()].flatMap(
          (row) => row ?? [],
        ),
        nowMs: clock.nowMs(),
      }),
  });
  const services: Services = {
    flowActions: new FlowActionsServiceImpl({ workspace, clock }),
    ask: new AskServiceImpl({ workspace, versions, registry, clock, receipts, flows: flowsTable }),
    versions: versionService,
    configuration,
    clusters,
    anomalies,
    mesh: mesh.service,
    alerts: alerts.service,
    policies,
    ship,
    rollouts,
    flows: new FlowServiceImpl({
      registry,
      flows: flowsTable,
      losses,
      clock,
      stored,
      book,
    }),
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
      watchClusters: (signal) => clusters.follow(signal),
      watchNotes: (signal) => notes.follow(signal),
      anomalies: anomalies.feed,
      mesh: mesh.service.feed,
      settings: { changes: settingsFiles.changes, state: () => services.settings.state() },
      notifications,
      watchAlerts: (signal) => alerts.board.watch(signal),
    }),
    history: new HistoryServiceImpl({
      ...{ history, book, clock, registry, workspace, collected },
      ...{ saved: new SavedQueriesTable(store), retention: retentionSettings, lossesLog },
    }),
    verdicts: new VerdictServiceImpl({
      ...{ workspace, versions, registry, history, receipts, replays, clock, userName },
      rollouts: () => rolloutsTable.list(20),
    }),
    picture: new PictureServiceImpl({ workspace, registry, versions, clock, history, book, replays }),
    audit: new AuditServiceImpl({ registry, tables: auditTables, mirror: auditMirror, own: consoleAudit, userName }),
    settings: new SettingsServiceImpl(settingsFiles),
    notifications: new NotificationServiceImpl(notifications, clock),
    support: new SupportServiceImpl({
      ...{ registry, store, settings: settingsFiles, clock, userName },
      ...{ logPath: join(stateDir, "logs", "console.log"), hostName: hostname() },
    }),
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
  const recordCollector = collector && { ...collector, history, collected, lossesLog };
  const longRunning = {
    collector,
    recordCollector,
    auditMirror: collector ? auditMirror : null,
    anomalyMirror: collector ? anomalyMirror : null,
    meshFollower: collector ? mesh.follower : null,
  };
  const introduce = (host: ManagedHost) => introduceAtFirstContact(host, { manager, workspace, logger });
  const runtimePorts = { keeper: services.ship.keeper, hostsTable, logger, introduce, ...longRunning };
  manager.start((host) => new HostRuntime(host, runtimePorts));
  const tasks = [manager.follow(signal), rollouts.run(signal)];
  if (writer) tasks.push(notifications.run(signal));
  if (writer) tasks.push(writer.run(signal), mesh.run(signal), settingsFiles.follow(signal), configuration.run(signal));
  if (!isReadOnly && (options.alerts?.delivers ?? options.collectFlows ?? true)) tasks.push(alerts.runner.run(signal));
  if (options.introducesLocalHost ?? true) {
    tasks.push(introduceLocalHost({ host: registry.local, workspace, settings, logger }, signal));
  }
  for (const task of tasks) {
    task.catch((error: unknown) => logger.error({ err: error }, "background work ended by a defect"));
  }

  const vocabulary = new VocabularyServiceImpl({ store, workspace, registry, book, clock });
  const guard = createGuard(logger, signal, isReadOnly, consoleAudit);
  return {
    services,
    workspace,
    registry,
    clusters: gateway,
    notes,
    manager,
    alerts,
    notifications,
    history,
    endpoints: book,
    exportPositions: new ExportPositions(settings, leases, processId),
    collected,
    questions,
    ssh,
    origins,
    routes(router) {
      routeServices(router, services, { vocabulary, lifecycle }, guard);
    },
    async close() {
      closing.abort();
      await Promise.allSettled([
        jobs.close(),
        manager.stop(),
        services.ask.close(),
        services.verdicts.close(),
        replays.close(),
        ...tasks,
      ]);
      mesh.close();
      await history.close();
      store.close();
    },
  };
}
