import type { Client } from "@connectrpc/connect";
import type { AgentService } from "@wardline/api/wardline/agent/v1/agent";
import type { AnomalyService } from "@wardline/api/wardline/agent/v1/anomaly";
import type { ClusterService } from "@wardline/api/wardline/agent/v1/cluster";
import type { MeshService } from "@wardline/api/wardline/agent/v1/mesh";
import type { RecordService } from "@wardline/api/wardline/agent/v1/records";
import type { SshSession } from "../ssh/ssh-session.ts";
import type { HostRecord } from "../store/managed-hosts-table.ts";

export type AgentClient = Client<typeof AgentService>;
export type ClusterClient = Client<typeof ClusterService>;
export type AnomalyClient = Client<typeof AnomalyService>;
export type MeshClient = Client<typeof MeshService>;
export type RecordClient = Client<typeof RecordService>;

/** One connection to an agent. After `close`, or when the connection is lost, every call fails. */
export interface AgentLink {
  readonly client: AgentClient;
  /** The cluster, asked at this agent, over the same connection. */
  readonly cluster: ClusterClient;
  /** Findings and the model, over the same connection. */
  readonly anomalies: AnomalyClient;
  /** The meshes and their healing, over the same connection. */
  readonly mesh: MeshClient;
  /** The journal of flow records, over the same connection. */
  readonly records: RecordClient;
  /** The SSH connection that carries it; absent on the machine of the console. It ends with the link. */
  readonly session?: SshSession;
  close(): void;
}

export interface DialOptions {
  /** Gives the attempt up. */
  readonly signal?: AbortSignal;
  /** True when a person waits for it: passphrases and codes may be asked for then, else what needs an answer fails. */
  readonly isInteractive?: boolean;
}

/** How an agent is reached: its Unix socket here, an SSH channel to it elsewhere, a fake in tests. */
export interface AgentDialer {
  /** For people: a path, or `user@host`. */
  readonly address: string;
  /**
   * Opens a new connection. Over SSH this is a new login each time, never a channel of one that stands.
   * @throws Failure AGENT_UNREACHABLE, PERMISSION_DENIED; over SSH also what `SshConnector.connect` and
   * `SshSession.openSocket` throw
   */
  dial(options?: DialOptions): Promise<AgentLink>;
}

/** Makes the way to a machine. What the person says of it may change: the record is read anew at each attempt. */
export type RemoteDialerFactory = (record: () => HostRecord) => AgentDialer;
