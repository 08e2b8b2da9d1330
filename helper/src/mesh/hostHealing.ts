/**
 * Who decides on healing on this host, and who carries it out: a host that is alone decides for itself, as soon as it has a
 * mesh; in a cluster the leader decides, also while the cluster's part of this agent does not run. Loaded when it is needed.
 */
import { create } from "@bufbuild/protobuf";
import { HealingMode, HealingSettingsSchema } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import type { Clock } from "../agent/clock.ts";
import type { AuditTrail } from "../audit/audited.ts";
import type { MeshSharing } from "../cluster/mesh/ports.ts";
import type { LocalHealing } from "./healing/localHealing.ts";
import type { MeshExecutor } from "./healing/meshExecutor.ts";
import type { HealingDesk } from "./healingDesk.ts";
import type { MeshHost } from "./meshHost.ts";
import type { HealingAccess, HealingOrder, HealingReceipt, ProbeTarget } from "./ports.ts";

export interface HostHealingPorts {
  readonly stateDir: string;
  readonly hostName: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: AuditTrail;
  readonly mesh: MeshHost;
  readonly desk: HealingDesk;
  /** What this host knows of its cluster. */
  readonly cluster: () => {
    isAlone(): boolean;
    onChange(listener: () => void): () => void;
    stepDown(): Promise<void>;
  };
}

/** What is told while this host is in a cluster whose part of the agent does not run: what was, and that nothing is done. */
class ClusterAway implements HealingAccess {
  readonly #past: HealingAccess | null;

  constructor(past: HealingAccess | null) {
    this.#past = past;
  }

  runs() {
    return this.#past?.runs() ?? [];
  }
  settings() {
    return this.#past?.settings() ?? create(HealingSettingsSchema, { mode: HealingMode.SUGGEST });
  }
  knowledge() {
    return this.#past?.knowledge() ?? [];
  }
  coordinator() {
    return "";
  }
  problem() {
    return AWAY;
  }
  decide = async () => Promise.reject(away());
  configure = async () => Promise.reject(away());
  resetKnowledge = async () => Promise.reject(away());
  onChange() {
    return () => {};
  }
}

const AWAY = "This host is in a cluster, and the cluster's part of this agent does not run: nothing is healed.";

function away(): Failure {
  return new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message: AWAY, retryable: true });
}

/** Of probes, as the mesh tells them apart. */
const SOURCE = "cluster";

export class HostHealing implements MeshSharing {
  readonly #ports: HostHealingPorts;
  #executor: Promise<MeshExecutor> | null = null;
  #local: LocalHealing | null = null;
  #isActive = false;
  #isClosed = false;
  #unsubscribe: () => void = () => {};
  /** One look after the other. */
  #looking: Promise<void> = Promise.resolve();

  constructor(ports: HostHealingPorts) {
    this.#ports = ports;
  }

  /** Returns at once. */
  start(): void {
    const { mesh, cluster } = this.#ports;
    this.#unsubscribe = cluster().onChange(() => this.#look());
    void mesh.whenActive().then(() => {
      this.#isActive = true;
      this.#look();
    });
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe();
    await this.#looking;
    await this.#local?.close();
  }

  get view(): MeshHost {
    return this.#ports.mesh;
  }

  readonly probes = {
    setTargets: (targets: readonly ProbeTarget[]) => this.#ports.mesh.setTargets(SOURCE, targets),
  };

  readonly executor = {
    execute: async (order: HealingOrder, signal: AbortSignal) => (await this.#open()).execute(order, signal),
  };

  async interrupted(): Promise<readonly HealingReceipt[]> {
    return (await this.#open()).interrupted();
  }

  setClusterHealing(healing: HealingAccess | null): void {
    this.#ports.desk.setCluster(healing);
    this.#look();
  }

  #look(): void {
    this.#looking = this.#looking.then(() =>
      this.#choose().catch((error: unknown) => {
        this.#ports.log.error({ err: error }, "healing could not be started on this host");
      }),
    );
  }

  async #choose(): Promise<void> {
    const { desk, cluster } = this.#ports;
    if (!this.#isActive || this.#isClosed) return;
    if (!cluster().isAlone()) {
      this.#local?.pause();
      desk.setLocal(new ClusterAway(this.#local));
      return;
    }
    this.#local ??= await this.#openLocal();
    this.#local.start();
    desk.setLocal(this.#local);
  }

  async #openLocal(): Promise<LocalHealing> {
    const { stateDir, hostName, clock, log, mesh } = this.#ports;
    const { LocalHealing } = await import("./healing/localHealing.ts");
    return LocalHealing.open({ stateDir, hostName, clock, log, view: mesh, executor: await this.#open() });
  }

  #open(): Promise<MeshExecutor> {
    this.#executor ??= this.#openExecutor().catch((error: unknown) => {
      this.#executor = null;
      throw error;
    });
    return this.#executor;
  }

  async #openExecutor(): Promise<MeshExecutor> {
    const { stateDir, hostName, clock, log, trail, mesh, cluster } = this.#ports;
    const { MeshExecutor } = await import("./healing/meshExecutor.ts");
    const stepDown = () => cluster().stepDown();
    return MeshExecutor.open({ stateDir, hostName, clock, log, trail, adapters: mesh.adapters(), stepDown });
  }
}
