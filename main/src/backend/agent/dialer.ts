import type { Client } from "@connectrpc/connect";
import type { AgentService } from "@wardline/api/wardline/agent/v1/agent";

export type AgentClient = Client<typeof AgentService>;

/** One connection to an agent. After `close`, or when the connection is lost, every call fails. */
export interface AgentLink {
  readonly client: AgentClient;
  close(): void;
}

/** How an agent is reached: its Unix socket here, an SSH channel to it elsewhere, a fake in tests. */
export interface AgentDialer {
  /** For people: a path, or `user@host`. */
  readonly address: string;
  /** Opens a new connection. @throws Failure AGENT_UNREACHABLE, PERMISSION_DENIED */
  dial(): Promise<AgentLink>;
}
