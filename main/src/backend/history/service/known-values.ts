/** What completions offer: hosts, endpoints, policies, and what the last day of the history has. */
import type { FlowDimension, KnownValues } from "@wardline/domain/flows";
import { type HostRegistry, hostNameOf } from "../../hosts/managed-host.ts";
import type { Workspace } from "../../policies/workspace.ts";
import type { QueryPorts } from "./records.ts";

const KEPT_MS = 60_000;
const WINDOW_MS = 86_400_000;
const MOST = 200;
/** Who types does not wait longer for values that nobody has asked for yet. */
const WAIT_MS = 300;
const ASK_TIMEOUT_MS = 5_000;

type Seen = Pick<KnownValues, "processes" | "users" | "ports" | "names" | "addresses">;
const NOTHING_SEEN: Seen = { processes: [], users: [], ports: [], names: [], addresses: [] };

export interface KnownValuesPorts extends QueryPorts {
  readonly registry: Pick<HostRegistry, "hosts">;
  readonly workspace: Pick<Workspace, "snapshot">;
}

export class KnownFlowValues {
  readonly #ports: KnownValuesPorts;
  #seen: Seen = NOTHING_SEEN;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;

  constructor(ports: KnownValuesPorts) {
    this.#ports = ports;
  }

  /** Never fails: without an answer of the history there is less to offer. */
  async get(): Promise<KnownValues> {
    const { clock, book, registry, workspace } = this.#ports;
    if (clock.nowMs() - this.#askedAtMs > KEPT_MS && !this.#asking) {
      this.#asking = this.#ask().finally(() => {
        this.#asking = null;
      });
      if (this.#seen === NOTHING_SEEN) await Promise.race([this.#asking, clock.sleep(WAIT_MS)]);
    }
    const { inventory, labelTexts } = book.known();
    const { endpoints } = inventory;
    return {
      hosts: registry.hosts.map(hostNameOf),
      labels: labelTexts,
      policies: workspace.snapshot().reading.world.policies.map(({ key }) => key),
      subjects: endpoints.map(({ key }) => key),
      names: [...new Set([...endpoints.map(({ name }) => name), ...this.#seen.names])],
      addresses: [...new Set([...endpoints.flatMap(({ addresses }) => addresses), ...this.#seen.addresses])],
      processes: this.#seen.processes,
      users: this.#seen.users,
      ports: this.#seen.ports,
    };
  }

  async #ask(): Promise<void> {
    const { clock } = this.#ports;
    this.#askedAtMs = clock.nowMs();
    const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
    try {
      const [processes, users, ports, names, addresses] = [
        await this.#largest("process", signal),
        await this.#largest("user", signal),
        await this.#largest("port", signal),
        await this.#largest("destination-name", signal),
        await this.#largest("peer", signal),
      ];
      this.#seen = { processes, users, ports, names, addresses };
    } catch {
      // The store says it where somebody asks it for an answer.
    }
  }

  async #largest(dimension: FlowDimension, signal: AbortSignal): Promise<string[]> {
    const { history, book, clock } = this.#ports;
    const query = { where: { kind: "all" as const }, sinceMs: clock.nowMs() - WINDOW_MS, untilMs: null };
    const options = { by: [dimension], order: "records" as const, limit: MOST, labels: book.known().labels };
    let values: string[] = [];
    for await (const { groups } of history.group(query, options, signal)) {
      values = groups.map((group) => group.values[0] ?? "").filter((value) => value !== "");
    }
    return values;
  }
}
