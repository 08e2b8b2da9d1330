/** Puts alerts together: what is kept, who evaluates, who delivers, and what windows see. */
import { Failure } from "@wardline/domain/errors";
import { type SelectableHost, selectHosts } from "@wardline/domain/fleet";
import type { FindingFeed } from "../anomalies/ports.ts";
import type { ClusterGateway } from "../cluster/cluster-gateway.ts";
import type { LossesTable } from "../flows/losses.ts";
import type { FlowHistory, LabelResolver } from "../history/flow-history.ts";
import { driftOfHost } from "../hosts/host-service.ts";
import { type HostRegistry, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { MeshFeed } from "../mesh/ports.ts";
import type { Clock, Logger, ShellPort } from "../ports.ts";
import type { ReceiptsTable } from "../store/receipts-table.ts";
import type { LeaseTable, SettingsTable } from "../store/settings-table.ts";
import type { Store } from "../store/store.ts";
import { AlertBoardView } from "./alert-board.ts";
import { ALERT_LEASE, AlertRunner } from "./alert-runner.ts";
import { AlertServiceImpl } from "./alert-service.ts";
import { AlertTables } from "./alert-tables.ts";
import { ConfigurationTables } from "./configuration-tables.ts";
import { Deliverer, type DeliveryNetwork } from "./delivery/deliverer.ts";
import { clusterFacts, HostFactsReader } from "./host-facts.ts";
import { meshFacts } from "./mesh-facts.ts";
import { RuleBacktester } from "./rule-backtest.ts";
import { ReceiverSecrets } from "./secrets.ts";

const SELECTION_MS = 1_000;

export interface AlertOptions {
  /** Whether this process evaluates and delivers when no other one does. */
  readonly delivers?: boolean;
  /** Keeps hosts connected while this process delivers: nobody has a window that does. */
  readonly needsHosts?: boolean;
  /** What tests set otherwise. */
  readonly network?: Partial<DeliveryNetwork>;
}

export interface AlertsPorts extends AlertOptions {
  readonly store: Store;
  readonly settings: SettingsTable;
  readonly leases: LeaseTable;
  readonly receipts: ReceiptsTable;
  readonly losses: LossesTable;
  readonly registry: HostRegistry;
  readonly gateway: ClusterGateway;
  readonly meshes: MeshFeed;
  readonly feed: FindingFeed;
  readonly history: FlowHistory;
  readonly labels: LabelResolver;
  readonly shell: ShellPort;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stateDir: string;
  readonly userName: string;
  readonly processId: string;
  readonly awaitedHostIds: () => readonly string[];
  /** A host as selectors see it. */
  readonly selectable: (host: ManagedHost) => SelectableHost;
}

export interface Alerts {
  readonly runner: AlertRunner;
  readonly service: AlertServiceImpl;
  readonly board: AlertBoardView;
  readonly deliverer: Deliverer;
}

export function createAlerts(ports: AlertsPorts): Alerts {
  const { store, settings, leases, registry, gateway, feed, history, labels, shell, clock, logger, network } = ports;
  const tables = new AlertTables(store);
  const configuration = new ConfigurationTables(store, settings);
  const secrets = new ReceiverSecrets({ tables: configuration, keyring: shell.secrets, stateDir: ports.stateDir });
  const known = { atMs: Number.NEGATIVE_INFINITY, selected: new Map<string, ReadonlySet<string>>() };
  const select = (selector: string): ReadonlySet<string> => {
    // A flood of findings asks ten thousand times in one look.
    if (Math.abs(clock.nowMs() - known.atMs) >= SELECTION_MS) {
      known.atMs = clock.nowMs();
      known.selected.clear();
    }
    const selected = known.selected.get(selector) ?? selectNow(selector);
    known.selected.set(selector, selected);
    return selected;
  };
  const selectNow = (selector: string): ReadonlySet<string> => {
    try {
      return new Set(selectHosts(selector, registry.hosts.map(ports.selectable)).map(({ id }) => id));
    } catch (error) {
      // Hosts come and go: a selector that matches none of them now is not wrong.
      if (error instanceof Failure) return new Set();
      throw error;
    }
  };
  const sources = { feed, history, labels, select, hosts: () => registry.hosts };
  const runnerHolder: { runner?: AlertRunner } = {};
  const changes = { notify: () => runnerHolder.runner?.changes.notify() };
  const deliverer = new Deliverer({
    tables,
    configuration,
    secrets,
    shell,
    clock,
    logger,
    changes,
    ...(network ? { network } : {}),
  });
  const readers = hostFactsOf(ports, tables);
  const runner = new AlertRunner({
    ...sources,
    ...{ store, tables, configuration, deliverer, leases, settings, clock, logger },
    ...{
      processId: ports.processId,
      processName: `${shell.kind === "cli" ? "wardline alert run" : "console"} (process ${process.pid})`,
    },
    hostFacts: readers,
    clusterFacts: () => clusterFacts(gateway.list()),
    meshFacts: () => meshFacts(ports.meshes, registry),
    onDelivering: () => keepAwake(gateway, ports.needsHosts ? registry : null),
  });
  runnerHolder.runner = runner;
  const holder = () => leases.holder(ALERT_LEASE, clock.nowMs()) ?? "";
  const board = new AlertBoardView({
    store,
    tables,
    configuration,
    secrets,
    settings,
    shell,
    clock,
    logger,
    runner,
    holder,
  });
  const service = new AlertServiceImpl({
    ...{ tables, configuration, secrets, deliverer, clock, userName: ports.userName, changes },
    backtester: new RuleBacktester({ ...sources, tables, nowMs: () => clock.nowMs() }),
    selectorProblem: (selector) => selectorProblem(selector, registry.hosts.map(ports.selectable)),
  });
  return { runner, service, board, deliverer };
}

/** @param labels of its Host document */
export function selectableHost(host: ManagedHost, labels: Readonly<Record<string, string>>): SelectableHost {
  const { alias, groups, environment } = host.record;
  const name = hostNameOf(host);
  return {
    id: host.id,
    name,
    alias,
    groups,
    environment: environment?.name ?? "",
    labels: new Map(Object.entries(labels)),
  };
}

function hostFactsOf({ receipts, losses, registry, awaitedHostIds }: AlertsPorts, tables: AlertTables) {
  let confirmed: ReadonlyMap<string, string> = new Map();
  let awaited: ReadonlySet<string> = new Set();
  let rolledBack: ReadonlySet<string> = new Set();
  const reader = new HostFactsReader({
    driftOf: (host) => driftOfHost(host, confirmed.get(host.id) ?? "", awaited.has(host.id)),
    wasRolledBack: (hostId) => rolledBack.has(hostId),
    lostEvents: (hostId) => {
      const { ringFull, rateLimited, readerLag, notFollowed } = losses.get(hostId);
      return ringFull + rateLimited + readerLag + notFollowed;
    },
  });
  return (nowMs: number) => {
    confirmed = receipts.confirmedDigests();
    awaited = new Set(awaitedHostIds());
    rolledBack = tables.rolledBackHosts(nowMs);
    return reader.read(registry.hosts, nowMs);
  };
}

/** Clusters are followed while somebody looks; remote hosts are connected while somebody needs them. */
function keepAwake(gateway: ClusterGateway, registry: HostRegistry | null): () => void {
  const leaveGateway = gateway.look();
  const needs = new Map<ManagedHost, () => void>();
  const needAll = (hosts: readonly ManagedHost[]) => {
    for (const [host, release] of needs) {
      if (hosts.includes(host)) continue;
      release();
      needs.delete(host);
    }
    for (const host of hosts) if (!needs.has(host)) needs.set(host, host.connection.need());
  };
  const leaveRegistry = registry?.changes.subscribe(() => needAll(registry.hosts)) ?? (() => {});
  if (registry) needAll(registry.hosts);
  return () => {
    leaveRegistry();
    needAll([]);
    leaveGateway();
  };
}

/** What is written wrong; that no host matches now is not. */
function selectorProblem(selector: string, hosts: readonly SelectableHost[]): string | null {
  try {
    selectHosts(selector, hosts);
    return null;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return error.message;
  }
}
