/** The hosts of this console as they are now. Hosts come and go while it runs: take them anew from the registry. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AgentConnection } from "../agent/agent-connection.ts";
import { ChangeSignal } from "../async/signal.ts";
import type { HostRecord } from "../store/managed-hosts-table.ts";
import type { EnforcedState } from "./enforced-state.ts";

/** Id of the machine that the console runs on. */
export const LOCAL_HOST_ID = "local";

export interface ManagedHost {
  readonly id: string;
  readonly local: boolean;
  readonly connection: AgentConnection;
  readonly enforced: EnforcedState;
  /** What the person says of it; another object after an edit. */
  readonly record: HostRecord;
}

export class HostRegistry {
  /** Notifies when a host was added, edited or removed. */
  readonly changes = new ChangeSignal();
  #hosts: readonly ManagedHost[];

  constructor(hosts: readonly ManagedHost[]) {
    this.#hosts = hosts;
  }

  /** The machine of the console first, then in the order of adding. Another array after each change. */
  get hosts(): readonly ManagedHost[] {
    return this.#hosts;
  }

  get local(): ManagedHost {
    return this.byId(LOCAL_HOST_ID);
  }

  add(hosts: readonly ManagedHost[]): void {
    this.#hosts = [...this.#hosts, ...hosts];
    this.changes.notify();
  }

  remove(id: string): void {
    this.#hosts = this.#hosts.filter((host) => host.id !== id);
    this.changes.notify();
  }

  find(id: string): ManagedHost | null {
    return this.#hosts.find((candidate) => candidate.id === id) ?? null;
  }

  /** @throws Failure NOT_FOUND */
  byId(id: string): ManagedHost {
    const host = this.find(id);
    if (host) return host;
    throw this.unknown(id);
  }

  unknown(name: string): Failure {
    return new Failure({
      code: ErrorCode.NOT_FOUND,
      message: `There is no host ${JSON.stringify(name.slice(0, 100))} on this console.`,
      hint: "List the hosts to see which there are.",
    });
  }

  /**
   * By its id, its alias, or the name that its agent reports. What the person chose comes before what a machine says of
   * itself, and a name that two machines claim means neither.
   * @throws Failure NOT_FOUND, INVALID_ARGUMENT
   */
  byIdOrName(text: string): ManagedHost {
    const chosen = this.#hosts.find(
      (host) => host.id === text || (host.record.alias !== "" && host.record.alias === text),
    );
    if (chosen) return chosen;
    const named = this.#hosts.filter((host) => hostNameOf(host) === text);
    const [first, second] = named;
    if (first && second) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: `${named.length} hosts call themselves ${JSON.stringify(text.slice(0, 100))}.`,
        hint: `Say which one by its alias: ${named.map(labelOf).join(", ")}.`,
      });
    }
    return first ?? this.byId(text);
  }

  /** The named ones, or all when none are named. @throws Failure NOT_FOUND */
  select(ids: readonly string[]): readonly ManagedHost[] {
    if (ids.length === 0) return this.#hosts;
    return [...new Set(ids)].map((id) => this.byId(id));
  }
}

/** The name that documents and the compiler know a host by. */
export function hostNameOf(host: ManagedHost): string {
  return host.connection.hostName;
}

/** What the person calls it, for messages: alias, else its own name. */
export function labelOf(host: ManagedHost): string {
  return host.record.alias || hostNameOf(host);
}

/** Reason of the signal that ends the work for a host which was forgotten: what is kept of it goes. */
export const FORGOTTEN = "forgotten";
