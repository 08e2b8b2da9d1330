/** Keeps registry, store and the work for each host together while hosts are added, edited and removed. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { HostAccessSchema } from "@wardline/api/wardline/console/v1/hosts";
import { HostStatusSchema } from "@wardline/api/wardline/v1/host";
import { Failure } from "@wardline/domain/errors";
import { AgentConnection, type OnDemandOptions } from "../agent/agent-connection.ts";
import { ConnectSlots } from "../agent/connect-slots.ts";
import type { AgentDialer, AgentLink, RemoteDialerFactory } from "../agent/dialer.ts";
import type { Clock, Logger } from "../ports.ts";
import type { HostsTable } from "../store/hosts-table.ts";
import type { HostRecord, ManagedHostsTable } from "../store/managed-hosts-table.ts";
import type { Store } from "../store/store.ts";
import { EnforcedState } from "./enforced-state.ts";
import type { HostRuntime } from "./host-runtime.ts";
import { HostRegistry, LOCAL_HOST_ID, type ManagedHost } from "./managed-host.ts";
import type { SshOrigins } from "./ssh-origins.ts";

/** How soon a host shows that another process (the command line) has added. */
const POLL_INTERVAL_MS = 1000;

export interface HostManagerPorts {
  readonly store: Store;
  readonly table: ManagedHostsTable;
  readonly hostsTable: HostsTable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly localDialer: AgentDialer;
  readonly remoteDialer: RemoteDialerFactory;
  readonly origins: SshOrigins;
  /** See {@link OnDemandOptions}. */
  readonly remote?: Omit<OnDemandOptions, "slots">;
}

/** A host whose record can be exchanged. */
class RegisteredHost implements ManagedHost {
  record: HostRecord;
  readonly connection: AgentConnection;
  readonly enforced: EnforcedState;

  constructor(record: HostRecord, ports: HostManagerPorts, slots: ConnectSlots) {
    this.record = record;
    const { clock, logger, hostsTable } = ports;
    const known = hostsTable.find(record.id);
    const dialer = this.local ? ports.localDialer : ports.remoteDialer(() => this.record);
    this.connection = new AgentConnection({
      dialer,
      clock,
      logger,
      nameBefore: () => this.record.alias || dialer.address,
      ...(this.local ? {} : { onDemand: { slots, ...ports.remote }, onLink: (link) => this.#learn(link, ports) }),
      remembered: known && {
        status: fromBinary(HostStatusSchema, known.statusWire),
        lastHeardAtMs: known.lastHeardAtMs,
        role: known.role,
        actor: known.actor,
      },
    });
    this.enforced = new EnforcedState(this.connection, logger);
  }

  async #learn({ session }: AgentLink, { origins, logger }: HostManagerPorts): Promise<void> {
    try {
      if (session) await origins.ask(this.id, session);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      logger.warn({ host: this.id, code: error.code, problem: error.message }, "address of the console not stored");
    }
  }

  get id(): string {
    return this.record.id;
  }

  get local(): boolean {
    return this.record.id === LOCAL_HOST_ID;
  }
}

export class HostManager {
  readonly registry: HostRegistry;
  readonly #ports: HostManagerPorts;
  readonly #slots = new ConnectSlots();
  readonly #hosts = new Map<string, RegisteredHost>();
  readonly #runtimes = new Map<string, HostRuntime>();
  #startRuntime: ((host: ManagedHost) => HostRuntime) | null = null;
  #revision: number;
  #dataVersion = -1;

  /** Reads the hosts of the store; nothing is contacted before {@link start}. */
  constructor(ports: HostManagerPorts) {
    this.#ports = ports;
    this.#revision = ports.table.revision();
    const stored = ports.table.all();
    const local = stored.find(({ id }) => id === LOCAL_HOST_ID) ?? LOCAL_RECORD;
    const records = [local, ...stored.filter(({ id }) => id !== LOCAL_HOST_ID)];
    this.registry = new HostRegistry(records.map((record) => this.#make(record)));
  }

  /** Starts the work for each host, and for those that are added later. */
  start(startRuntime: (host: ManagedHost) => HostRuntime): void {
    this.#startRuntime = startRuntime;
    for (const host of this.registry.hosts) this.#runtimes.set(host.id, startRuntime(host));
  }

  /** Ends the work for all. Hosts go on as they are. */
  async stop(): Promise<void> {
    this.#startRuntime = null;
    const runtimes = [...this.#runtimes.values()];
    this.#runtimes.clear();
    await Promise.all(runtimes.map((runtime) => runtime.stop()));
  }

  /** All or none, together with what `more` writes into the store. @throws Failure of the store, and what `more` throws */
  add(records: readonly HostRecord[], more: () => void = () => {}): void {
    this.#ports.store.transaction(() => {
      this.#ports.table.put(records);
      more();
    });
    this.#added(records);
  }

  /** Connects anew when the way to it has changed. @throws Failure NOT_FOUND, and of the store */
  update(record: HostRecord): void {
    // Nothing is stored of the local host before something was said of it.
    if (record.id === LOCAL_HOST_ID) this.#ports.table.put([record]);
    else if (!this.#ports.table.replace(record)) throw this.registry.unknown(record.alias);
    this.#edited(record);
  }

  /** Forgets a host: what it enforces and its flows stay. @throws Failure of the store */
  async remove(id: string): Promise<void> {
    this.#ports.table.delete(id);
    await this.#removed(id);
  }

  /** Follows what other processes change, until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.refresh();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.#ports.logger.warn({ code: error.code, problem: error.message }, "hosts not read");
      }
      await this.#ports.clock.sleep(POLL_INTERVAL_MS, signal);
    }
  }

  /** Takes over what this process wrote into the table by another way than this manager. */
  reload(): void {
    this.#dataVersion = -1;
    this.refresh();
  }

  /** Notices what another process has changed. Cheap: one pragma when nothing happened. */
  refresh(): void {
    const dataVersion = this.#ports.store.dataVersion();
    if (dataVersion === this.#dataVersion) return;
    this.#dataVersion = dataVersion;
    const revision = this.#ports.table.revision();
    if (revision === this.#revision) return;
    this.#revision = revision;
    const records = new Map(this.#ports.table.all().map((record) => [record.id, record]));
    for (const { id, local } of this.registry.hosts) {
      if (!local && !records.has(id)) void this.#removed(id);
    }
    for (const record of records.values()) if (this.#hosts.has(record.id)) this.#edited(record);
    this.#added([...records.values()].filter(({ id }) => !this.#hosts.has(id)));
  }

  #make(record: HostRecord): RegisteredHost {
    const host = new RegisteredHost(record, this.#ports, this.#slots);
    this.#hosts.set(host.id, host);
    return host;
  }

  #added(records: readonly HostRecord[]): void {
    if (records.length === 0) return;
    const hosts = records.map((record) => this.#make(record));
    this.registry.add(hosts);
    const startRuntime = this.#startRuntime;
    if (startRuntime) for (const host of hosts) this.#runtimes.set(host.id, startRuntime(host));
  }

  #edited(record: HostRecord): void {
    const host = this.#hosts.get(record.id);
    if (!host) return;
    const isSameWay = accessKey(host.record) === accessKey(record);
    host.record = record;
    if (!isSameWay) host.connection.reconnect();
    this.registry.changes.notify();
  }

  async #removed(id: string): Promise<void> {
    this.#hosts.delete(id);
    const runtime = this.#runtimes.get(id);
    this.#runtimes.delete(id);
    const stopping = runtime?.forget();
    this.registry.remove(id);
    await stopping;
  }
}

function accessKey({ access }: HostRecord): string {
  return access ? Buffer.from(toBinary(HostAccessSchema, access)).toString("base64") : "";
}

const LOCAL_RECORD: HostRecord = {
  id: LOCAL_HOST_ID,
  alias: "",
  access: null,
  groups: [],
  environment: null,
  addedAtMs: 0,
  documentName: "",
};
