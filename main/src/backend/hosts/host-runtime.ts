/** What runs for one host from the moment it is managed until it is forgotten. */
import { toBinary } from "@bufbuild/protobuf";
import { HostStatusSchema } from "@wardline/api/wardline/v1/host";
import { Failure } from "@wardline/domain/errors";
import type { AnomalyMirror } from "../anomalies/anomaly-mirror.ts";
import type { AuditMirror } from "../audit/audit-mirror.ts";
import { FlowCollector, type FlowCollectorPorts } from "../flows/flow-collector.ts";
import { RecordCollector, type RecordCollectorPorts } from "../history/record-collector.ts";
import type { MeshFollower } from "../mesh/mesh-follower.ts";
import type { Logger } from "../ports.ts";
import type { ReceiptKeeper } from "../ship/receipts.ts";
import type { HostsTable } from "../store/hosts-table.ts";
import { FORGOTTEN, type ManagedHost } from "./managed-host.ts";

/** A status changes all the time, and each write waits for the disk: with many hosts only what matters is written at once. */
const STATUS_SAVE_INTERVAL_MS = 60_000;

export interface HostRuntimePorts {
  readonly keeper: ReceiptKeeper;
  readonly hostsTable: HostsTable;
  readonly logger: Logger;
  /** Absent where another process collects flows, or nobody. */
  readonly collector: Omit<FlowCollectorPorts, "host"> | null;
  readonly recordCollector: Omit<RecordCollectorPorts, "host"> | null;
  readonly auditMirror: AuditMirror | null;
  readonly anomalyMirror: AnomalyMirror | null;
  readonly meshFollower: MeshFollower | null;
  /** Waits for the first contact with a host that was added. Returns the disposer. */
  readonly introduce: (host: ManagedHost) => () => void;
}

export class HostRuntime {
  readonly #host: ManagedHost;
  readonly #stopping = new AbortController();
  readonly #tasks: readonly Promise<void>[];
  readonly #endIntroduction: () => void;

  /** Starts at once. */
  constructor(host: ManagedHost, ports: HostRuntimePorts) {
    this.#host = host;
    const { signal } = this.#stopping;
    const tasks = [ports.keeper.follow(host, signal), rememberStatus(host, ports, signal)];
    // The workspace is shown against what this machine enforces; the texts of a hundred others would only fill memory.
    if (host.local) tasks.push(host.enforced.follow(signal));
    if (ports.collector) tasks.push(new FlowCollector({ ...ports.collector, host }).run(signal));
    if (ports.recordCollector) tasks.push(new RecordCollector({ ...ports.recordCollector, host }).run(signal));
    if (ports.auditMirror) tasks.push(ports.auditMirror.follow(host, signal));
    if (ports.anomalyMirror) tasks.push(ports.anomalyMirror.follow(host, signal));
    if (ports.meshFollower) tasks.push(ports.meshFollower.follow(host, signal));
    this.#tasks = tasks.map((task) =>
      task.catch((error: unknown) =>
        ports.logger.error({ host: host.id, err: error }, "background work ended by a defect"),
      ),
    );
    this.#endIntroduction = ports.introduce(host);
    host.connection.start();
  }

  /** Ends its work and its connection. The host goes on as it is. */
  async stop(): Promise<void> {
    await this.#end(null);
  }

  /** As {@link stop}; nothing is stored for the host from this call on. */
  async forget(): Promise<void> {
    await this.#end(FORGOTTEN);
  }

  async #end(reason: typeof FORGOTTEN | null): Promise<void> {
    this.#stopping.abort(reason ?? undefined);
    this.#endIntroduction();
    await Promise.allSettled([this.#host.connection.close(), ...this.#tasks]);
  }
}

/** Keeps the last known status, so that the next start shows it with its age. */
async function rememberStatus(host: ManagedHost, ports: HostRuntimePorts, signal: AbortSignal): Promise<void> {
  const { connection } = host;
  let savedAtMs = connection.state.lastHeardAtMs;
  let savedKey = "";
  const save = (isDue: (key: string) => boolean) => {
    const { status, lastHeardAtMs, role, actor } = connection.state;
    const key = `${status?.info?.startedAt?.seconds} ${status?.enforced?.number} ${status?.pending?.generation?.number}`;
    if (!status || lastHeardAtMs <= savedAtMs || !isDue(key)) return;
    savedAtMs = lastHeardAtMs;
    savedKey = key;
    try {
      const statusWire = toBinary(HostStatusSchema, status);
      ports.hostsTable.put({ id: host.id, name: connection.hostName, lastHeardAtMs, role, actor, statusWire });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      ports.logger.warn({ host: host.id, code: error.code }, "host status not stored");
    }
  };
  while (!signal.aborted) {
    const seen = connection.changes.version;
    const { lastHeardAtMs } = connection.state;
    save((key) => key !== savedKey || lastHeardAtMs - savedAtMs >= STATUS_SAVE_INTERVAL_MS);
    await connection.changes.wait(seen, 60_000, signal);
  }
  // With its age at the end, so that the next start does not take it for older than it is.
  if (signal.reason !== FORGOTTEN) save(() => true);
}
