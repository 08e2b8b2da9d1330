/** The backend inside this process, for commands that need the workspace, the history or a host. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { AlertService } from "@wardline/api/wardline/console/v1/alerts";
import { AnomalyService } from "@wardline/api/wardline/console/v1/anomalies";
import { AskService } from "@wardline/api/wardline/console/v1/ask";
import { AuditService } from "@wardline/api/wardline/console/v1/audit";
import { ClusterService } from "@wardline/api/wardline/console/v1/cluster";
import { ConfigurationService } from "@wardline/api/wardline/console/v1/configuration";
import { FleetService } from "@wardline/api/wardline/console/v1/fleet";
import { FlowService } from "@wardline/api/wardline/console/v1/flows";
import { HistoryService } from "@wardline/api/wardline/console/v1/history";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import { JobService } from "@wardline/api/wardline/console/v1/jobs";
import { MeshService } from "@wardline/api/wardline/console/v1/mesh";
import { PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { VersionService } from "@wardline/api/wardline/console/v1/versions";
import { failureFromConnectError } from "@wardline/domain/wire";
import { type Backend, createBackend } from "../backend/backend.ts";
import type { HostManager } from "../backend/hosts/host-manager.ts";
import { LOCAL_HOST_ID } from "../backend/hosts/managed-host.ts";
import { DEFAULT_AGENT_SOCKET, defaultStateDir } from "../backend/paths.ts";
import { silentLogger } from "../backend/ports.ts";
import { NOBODY } from "../backend/questions/questions.ts";
import { ManagedHostsTable } from "../backend/store/managed-hosts-table.ts";
import { SettingsTable } from "../backend/store/settings-table.ts";
import { Store } from "../backend/store/store.ts";
import { isReadOnly } from "./read-only.ts";
import { answerOnTerminal, hasTerminal } from "./terminal/questions.ts";

export interface SessionOptions {
  readonly stateDir?: string | undefined;
  readonly agentSocket?: string | undefined;
}

export interface Session {
  readonly backend: Backend;
  readonly policies: Client<typeof PolicyService>;
  readonly ship: Client<typeof ShipService>;
  readonly flows: Client<typeof FlowService>;
  readonly hosts: Client<typeof HostService>;
  readonly fleet: Client<typeof FleetService>;
  readonly jobs: Client<typeof JobService>;
  readonly ask: Client<typeof AskService>;
  readonly audit: Client<typeof AuditService>;
  readonly clusters: Client<typeof ClusterService>;
  readonly anomalies: Client<typeof AnomalyService>;
  readonly alerts: Client<typeof AlertService>;
  readonly history: Client<typeof HistoryService>;
  readonly mesh: Client<typeof MeshService>;
  readonly versions: Client<typeof VersionService>;
  readonly configuration: Client<typeof ConfigurationService>;
}

export interface SessionNeeds {
  /** An empty workspace that is thrown away afterwards, instead of the person's own. */
  readonly scratch?: boolean;
  readonly collectFlows?: boolean;
}

/** Runs `body` with a backend and closes it however `body` ends. Failures of services are thrown as `Failure`. */
export async function withSession<Result>(
  options: SessionOptions,
  needs: SessionNeeds,
  body: (session: Session) => Promise<Result>,
): Promise<Result> {
  const scratchDir = needs.scratch ? mkdtempSync(join(tmpdir(), "wardline-scratch-")) : null;
  try {
    const isInteractive = hasTerminal();
    const backend = createBackend({
      ...(isInteractive ? {} : { asker: NOBODY }),
      remote: { isInteractive },
      stateDir: scratchDir ?? stateDirOf(options),
      agentSocketPath: agentSocketOf(options),
      logger: silentLogger,
      shell: { kind: "cli" },
      userName: userName(),
      isReadOnly: isReadOnly(),
      collectFlows: needs.collectFlows ?? false,
      introducesLocalHost: false,
    });
    const endQuestions = isInteractive ? answerOnTerminal(backend.questions) : () => {};
    try {
      if (scratchDir) copyHosts(stateDirOf(options), backend.manager);
      const transport = createRouterTransport((router) => backend.routes(router));
      return await body({
        backend,
        policies: createClient(PolicyService, transport),
        ship: createClient(ShipService, transport),
        flows: createClient(FlowService, transport),
        hosts: createClient(HostService, transport),
        fleet: createClient(FleetService, transport),
        jobs: createClient(JobService, transport),
        ask: createClient(AskService, transport),
        audit: createClient(AuditService, transport),
        clusters: createClient(ClusterService, transport),
        anomalies: createClient(AnomalyService, transport),
        alerts: createClient(AlertService, transport),
        history: createClient(HistoryService, transport),
        mesh: createClient(MeshService, transport),
        versions: createClient(VersionService, transport),
        configuration: createClient(ConfigurationService, transport),
      });
    } catch (error) {
      throw failureFromConnectError(error) ?? error;
    } finally {
      endQuestions();
      await backend.close();
    }
  } finally {
    if (scratchDir) rmSync(scratchDir, { recursive: true, force: true });
  }
}

/** What is planned aside is planned for the person's own hosts. */
function copyHosts(stateDir: string, manager: HostManager): void {
  if (!existsSync(join(stateDir, "console.db"))) return;
  const store = new Store({ stateDir, logger: silentLogger });
  try {
    const records = new ManagedHostsTable(store, new SettingsTable(store)).all();
    const local = records.find(({ id }) => id === LOCAL_HOST_ID);
    if (local) manager.update(local);
    manager.add(records.filter((record) => record !== local).map((record) => ({ ...record, documentName: "" })));
  } finally {
    store.close();
  }
}

export function stateDirOf(options: SessionOptions): string {
  return options.stateDir ?? process.env.WARDLINE_STATE_DIR ?? defaultStateDir();
}

/** The system's agent, or the one that the person runs without root (see `wardline start`). */
export function agentSocketOf(options: SessionOptions): string {
  const given = options.agentSocket ?? process.env.WARDLINE_AGENT_SOCKET;
  if (given) return given;
  if (existsSync(DEFAULT_AGENT_SOCKET)) return DEFAULT_AGENT_SOCKET;
  const own = ownAgentSocket();
  return existsSync(own) ? own : DEFAULT_AGENT_SOCKET;
}

/** Where an agent listens that an ordinary user starts; the agent has the same default. */
export function ownAgentSocket(environment: NodeJS.ProcessEnv = process.env): string {
  const runtimeDir = environment.XDG_RUNTIME_DIR;
  const dir = runtimeDir?.startsWith("/") ? join(runtimeDir, "wardline") : join(defaultStateDir(environment), "run");
  return join(dir, "agent.sock");
}

export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without an entry in the password database.
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
