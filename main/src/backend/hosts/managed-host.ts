import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AgentConnection } from "../agent/agent-connection.ts";
import type { EnforcedState } from "./enforced-state.ts";

/** Id of the machine that the console runs on. */
export const LOCAL_HOST_ID = "local";

export interface ManagedHost {
  readonly id: string;
  readonly local: boolean;
  readonly connection: AgentConnection;
  readonly enforced: EnforcedState;
}

export class HostRegistry {
  readonly hosts: readonly ManagedHost[];

  constructor(hosts: readonly ManagedHost[]) {
    this.hosts = hosts;
  }

  get local(): ManagedHost {
    return this.byId(LOCAL_HOST_ID);
  }

  /** @throws Failure NOT_FOUND */
  byId(id: string): ManagedHost {
    const host = this.hosts.find((candidate) => candidate.id === id);
    if (host) return host;
    throw new Failure({
      code: ErrorCode.NOT_FOUND,
      message: `There is no host ${JSON.stringify(id.slice(0, 100))} on this console.`,
      hint: "List the hosts to see which there are.",
    });
  }

  /** By its id or by the name that its agent reports. @throws Failure NOT_FOUND */
  byIdOrName(text: string): ManagedHost {
    return this.hosts.find((host) => host.id === text || hostNameOf(host) === text) ?? this.byId(text);
  }

  /** The named ones, or all when none are named. @throws Failure NOT_FOUND */
  select(ids: readonly string[]): readonly ManagedHost[] {
    if (ids.length === 0) return this.hosts;
    return [...new Set(ids)].map((id) => this.byId(id));
  }
}

/** The name that documents and the compiler know a host by. */
export function hostNameOf(host: ManagedHost): string {
  return host.connection.hostName;
}
