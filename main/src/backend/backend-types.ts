/** What a backend is given, and what it gives. */
import type { ConnectRouter } from "@connectrpc/connect";
import type { RolloutEvent } from "@wardline/domain/fleet";
import type { AgentDialer, RemoteDialerFactory } from "./agent/dialer.ts";
import type { AlertOptions, Alerts } from "./alerts/create-alerts.ts";
import type { ClusterGateway } from "./cluster/cluster-gateway.ts";
import type { SharedNotes } from "./cluster/notes/shared-notes.ts";
import type { CollectedHosts } from "./history/collected-hosts.ts";
import type { ExportPositions } from "./history/export/export-positions.ts";
import type { FlowHistory } from "./history/flow-history.ts";
import type { EndpointBook } from "./history/service/endpoint-book.ts";
import type { HostManager, HostManagerPorts } from "./hosts/host-manager.ts";
import type { HostRegistry } from "./hosts/managed-host.ts";
import type { SshOrigins } from "./hosts/ssh-origins.ts";
import type { PackageLocation } from "./lifecycle/manifest.ts";
import type { MeshHistoryLimits } from "./mesh/history/limits.ts";
import type { Notifications } from "./notifications/notifications.ts";
import type { Workspace } from "./policies/workspace.ts";
import type { Clock, Logger, ShellPort } from "./ports.ts";
import type { QuestionDesk } from "./questions/question-desk.ts";
import type { QuestionAsker } from "./questions/questions.ts";
import type { Services } from "./services.ts";
import type { SettingsFilesOptions } from "./settings/settings-files.ts";
import type { HostNeedsSource } from "./ship/host-needs.ts";
import type { ConsoleSshConnector, SshConnectorOptions } from "./ssh/ssh-connector.ts";
import type { FlowRetention } from "./store/flows-table.ts";

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
  /** Neither reads nor writes the person's settings, and contacts no agent until somebody asks for it. */
  readonly isSafeMode?: boolean;
  /** Other settings files than the person's and the administrator's (tests). */
  readonly settingsFiles?: Pick<SettingsFilesOptions, "path" | "lockedPath" | "lockOwnerId">;
  /** False for commands that end soon: another process collects, or nobody. */
  readonly collectFlows?: boolean;
  /** False where nobody looks at the workspace as it grows: a command must find it as the person left it. */
  readonly introducesLocalHost?: boolean;
  readonly flowRetention?: FlowRetention;
  /** Where the history of flows is kept: `postgresql://…`, or beside the database when empty. */
  readonly history?: string;
  /** Instead of it (tests). It is closed with the backend. */
  readonly flowHistory?: FlowHistory;
  /** How long and how much of the meshes is kept (tests). */
  readonly meshHistory?: MeshHistoryLimits;
  /** What is known of connections that hosts cannot do without; else what this machine says of itself. */
  readonly hostNeeds?: HostNeedsSource;
  /** Who evaluates and delivers alerts; as `collectFlows` unless given. */
  readonly alerts?: AlertOptions;
  /** Takes up roll-outs that other processes left, and hosts that return; as `collectFlows` unless given. */
  readonly takesUpRollouts?: boolean;
  /** Called after each step of a roll-out that was written (tests). */
  readonly onRolloutStep?: (event: RolloutEvent) => void;
  /** A git remote of policies may be a repository on this machine (tests). */
  readonly sourceMayBeLocal?: boolean;
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

export interface Backend {
  /** Registers every service of `wardline.console.v1`. */
  routes(router: ConnectRouter): void;
  readonly services: Services;
  readonly workspace: Workspace;
  readonly registry: HostRegistry;
  /** The clusters of the hosts, and the way to write to them. */
  readonly clusters: ClusterGateway;
  readonly notes: SharedNotes;
  readonly manager: HostManager;
  /** Flow records of all hosts, for months; and of which hosts this process collects them. */
  readonly history: FlowHistory;
  readonly alerts: Alerts;
  readonly notifications: Notifications;
  /** Who is behind an address, and who has a label. */
  readonly endpoints: EndpointBook;
  readonly exportPositions: ExportPositions;
  readonly collected: CollectedHosts;
  readonly questions: QuestionDesk;
  readonly ssh: ConsoleSshConnector;
  /** From where hosts see this console. */
  readonly origins: SshOrigins;
  /** Ends every stream and connection, then the store. Hosts go on as they are. */
  close(): Promise<void>;
}
