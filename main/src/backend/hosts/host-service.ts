import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  Drift,
  GetSessionResponseSchema,
  type Host,
  HostSchema,
  type HostService,
  Reachability,
  type SetHostLabelsRequest,
  SetHostLabelsResponseSchema,
  type SetQuarantineRequest,
  type WatchHostsRequest,
  WatchHostsResponseSchema,
} from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type DriftKind, driftOf } from "@wardline/domain/fleet";
import type { Endpoint } from "@wardline/domain/policy";
import { failureToDetail } from "@wardline/domain/wire";
import { mergeChangingSignals } from "../async/signal.ts";
import type { Workspace } from "../policies/workspace.ts";
import type { Clock, ShellPort } from "../ports.ts";
import type { Guard } from "../rpc/guard.ts";
import type { ReceiptsTable } from "../store/receipts-table.ts";
import { CONSOLE_BUILD, CONSOLE_VERSION } from "../version.ts";
import { hostDocumentPath, newHostDocument, requireLabels, withHostLabels } from "./host-document.ts";
import { type HostRegistry, hostNameOf, type ManagedHost } from "./managed-host.ts";
import { setQuarantine } from "./quarantine.ts";
import type { SshOrigin } from "./ssh-origins.ts";

const LONGEST_SILENCE_MS = 2000;
/** A hundred hosts that each tell something every two seconds must not make fifty messages with all hosts a second. */
const SHORTEST_INTERVAL_MS = 100;
const INTERVAL_PER_HOST_MS = 8;
const LONGEST_INTERVAL_MS = 1000;

const DRIFTS: Record<DriftKind, Drift> = {
  none: Drift.NONE,
  "other-state": Drift.OTHER_STATE,
  behind: Drift.BEHIND,
  "never-applied": Drift.NEVER_APPLIED,
  unknown: Drift.UNKNOWN,
};

/** What is looked up once for a list of hosts. */
interface KnownOfHosts {
  /** The Host documents of the workspace, by name. */
  readonly declared: ReadonlyMap<string, Endpoint>;
  readonly confirmedDigests: ReadonlyMap<string, string>;
  readonly awaited: ReadonlySet<string>;
}

export interface HostServicePorts {
  readonly registry: HostRegistry;
  readonly workspace: Workspace;
  readonly clock: Clock;
  readonly shell: ShellPort;
  readonly receipts: ReceiptsTable;
  /** Hosts for whose return a change waits. */
  readonly awaitedHostIds: () => readonly string[];
  /** Version of the agent that could be installed there; empty when it is not newer. */
  readonly agentUpdateOf?: (host: ManagedHost) => string;
  /** From where a host sees this console. */
  readonly originOf: (hostId: string) => SshOrigin | null;
  readonly session: {
    readonly user: string;
    readonly consoleHost: string;
    readonly stateDir: string;
    readonly isReadOnly: boolean;
  };
}

export class HostServiceImpl {
  readonly #ports: HostServicePorts;

  constructor(ports: HostServicePorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof HostService> {
    return {
      watchHosts: guard.stream((request: WatchHostsRequest, signal) => this.watch(request, signal)),
      setHostLabels: guard.unary((request: SetHostLabelsRequest) => this.setLabels(request)),
      setQuarantine: guard.unary((request: SetQuarantineRequest) => setQuarantine(this.#ports, request)),
      getSession: guard.unary(() => this.session()),
    };
  }

  /** All hosts at once, then after each change and at least every 2 s. */
  async *watch(_request: WatchHostsRequest, signal: AbortSignal) {
    const { registry, clock, workspace } = this.#ports;
    const merged = mergeChangingSignals(registry.changes, () => [
      workspace.changes,
      ...registry.hosts.map((host) => host.connection.changes),
    ]);
    // Hosts stay connected for as long as somebody looks at them.
    const needs = new Map<ManagedHost, () => void>();
    // Also while this stands at a message that nobody fetches any more.
    const leave = () => needAll(needs, []);
    signal.addEventListener("abort", leave, { once: true });
    try {
      for (let sequence = 1n; !signal.aborted; sequence++) {
        const seen = merged.changes.version;
        needAll(needs, registry.hosts);
        const known = this.#known();
        const hosts = registry.hosts.map((host) => this.#describe(host, known));
        yield create(WatchHostsResponseSchema, { sequence, hosts, now: timestampFromMs(clock.nowMs()) });
        const intervalMs = Math.min(LONGEST_INTERVAL_MS, SHORTEST_INTERVAL_MS + INTERVAL_PER_HOST_MS * hosts.length);
        await clock.sleep(intervalMs, signal);
        await merged.changes.wait(seen, LONGEST_SILENCE_MS - intervalMs, signal);
      }
    } finally {
      signal.removeEventListener("abort", leave);
      merged.dispose();
      leave();
    }
  }

  describe(host: ManagedHost): Host {
    return this.#describe(host, this.#known());
  }

  #known(): KnownOfHosts {
    const { receipts, awaitedHostIds } = this.#ports;
    return {
      declared: this.#declaredHosts(),
      confirmedDigests: receipts.confirmedDigests(),
      awaited: new Set(awaitedHostIds()),
    };
  }

  /** The Host documents of the workspace, by name. */
  #declaredHosts(): ReadonlyMap<string, Endpoint> {
    const { endpoints } = this.#ports.workspace.snapshot().reading.world.inventory;
    return new Map(endpoints.flatMap((endpoint) => (endpoint.kind === "host" ? [[endpoint.name, endpoint]] : [])));
  }

  #describe(host: ManagedHost, known: KnownOfHosts): Host {
    const { state } = host.connection;
    const name = hostNameOf(host);
    const declared = known.declared.get(name);
    const desiredStateDigest = known.confirmedDigests.get(host.id) ?? "";
    const wire = create(HostSchema, {
      id: host.id,
      name,
      local: host.local,
      reachability: state.reachability,
      role: state.role,
      actor: state.actor,
      labels: declared ? Object.fromEntries(declared.labels) : {},
      namespace: declared?.namespace ?? "",
      declared: declared !== undefined,
      alias: host.record.alias,
      groups: [...host.record.groups],
      desiredStateDigest,
      drift: driftOfHost(host, desiredStateDigest, known.awaited.has(host.id)),
      agentUpdate: this.#ports.agentUpdateOf?.(host) ?? "",
    });
    if (host.record.access) wire.access = host.record.access;
    if (host.record.environment) wire.environment = host.record.environment;
    const ssh = host.connection.session?.summary;
    if (ssh) wire.ssh = ssh;
    if (state.problem && state.reachability !== Reachability.CONNECTED) {
      wire.problem = failureToDetail(state.problem);
      wire.problem.host = name;
    }
    if (state.status) wire.status = state.status;
    if (state.lastHeardAtMs > 0) wire.lastHeardAt = timestampFromMs(state.lastHeardAtMs);
    return wire;
  }

  /** Edits the Host document of a host in the workspace, or adds one. */
  setLabels(request: SetHostLabelsRequest) {
    const { registry, workspace } = this.#ports;
    const host = registry.byId(request.hostId);
    requireLabels(request.labels);
    const name = hostNameOf(host);
    const snapshot = workspace.snapshot();
    const declared = snapshot.reading.world.inventory.endpoints.find((endpoint) => endpoint.key === `Host/${name}`);
    const info = host.connection.state.status?.info;
    if (declared?.source) {
      const file = workspace.file(declared.source.file);
      workspace.save(file.path, withHostLabels(file, name, request.labels), file.revision);
      return create(SetHostLabelsResponseSchema, { path: file.path });
    }
    if (!info) {
      throw new Failure({
        code: ErrorCode.AGENT_UNREACHABLE,
        message: `The agent of ${name} has never been reached, so its name and addresses are unknown.`,
        hint: "Start the agent, or write the Host document by hand.",
        host: name,
        retryable: true,
      });
    }
    const path = hostDocumentPath(name);
    workspace.save(path, newHostDocument(name, info.addresses, request.labels), 0);
    return create(SetHostLabelsResponseSchema, { path });
  }

  session() {
    const { session, shell } = this.#ports;
    return create(GetSessionResponseSchema, {
      version: CONSOLE_VERSION,
      build: CONSOLE_BUILD,
      user: session.user,
      consoleHost: session.consoleHost,
      shell: shell.kind,
      stateDirectory: session.stateDir,
      readOnly: session.isReadOnly,
    });
  }
}

function needAll(needs: Map<ManagedHost, () => void>, hosts: readonly ManagedHost[]): void {
  const present = new Set(hosts);
  for (const [host, release] of needs) {
    if (present.has(host)) continue;
    release();
    needs.delete(host);
  }
  for (const host of hosts) if (!needs.has(host)) needs.set(host, host.connection.need());
}

export function driftOfHost(host: ManagedHost, desiredStateDigest: string, isAwaited: boolean): Drift {
  const { status, reachability } = host.connection.state;
  // What waits for confirmation is on trial: what it would return to is what counts.
  const settled = status?.pending ? status.pending.previous : status?.enforced;
  const kind = driftOf({
    desiredStateDigest,
    enforcedStateDigest: status ? (settled?.stateDigest ?? "") : null,
    isAwaited,
    isConnected: reachability === Reachability.CONNECTED,
  });
  return DRIFTS[kind];
}
