/**
 * Where everybody asks about healing: in a cluster that of the cluster answers, otherwise the loop of this host. While there is
 * neither, nothing is healed, and that is what it says.
 */
import { create } from "@bufbuild/protobuf";
import {
  type HealingKnowledge,
  HealingMode,
  type HealingRun,
  type HealingSettings,
  HealingSettingsSchema,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Accept } from "../generations/controllerTypes.ts";
import type { HealingAccess, HealingDecisionRequest, MeshAsker } from "./ports.ts";

const NOTHING_RUNS = "No mesh is on this host, so there is nothing to heal.";

export class HealingDesk implements HealingAccess {
  readonly #listeners = new Set<(runIds: readonly string[]) => void>();
  #local: HealingAccess | null = null;
  #cluster: HealingAccess | null = null;
  #unsubscribe: () => void = () => {};

  /** The loop of this host; `null` = there is none. */
  setLocal(access: HealingAccess | null): void {
    this.#local = access;
    this.#follow();
  }

  /** That of the cluster, which goes first; `null` = this host is in none. */
  setCluster(access: HealingAccess | null): void {
    this.#cluster = access;
    this.#follow();
  }

  runs(): readonly HealingRun[] {
    return this.#access?.runs() ?? [];
  }

  settings(): HealingSettings {
    return this.#access?.settings() ?? create(HealingSettingsSchema, { mode: HealingMode.SUGGEST });
  }

  knowledge(): readonly HealingKnowledge[] {
    return this.#access?.knowledge() ?? [];
  }

  coordinator(): string {
    return this.#access?.coordinator() ?? "";
  }

  problem(): string {
    return this.#access?.problem() ?? NOTHING_RUNS;
  }

  async decide(request: HealingDecisionRequest, asker: MeshAsker, accept: Accept): Promise<HealingRun> {
    return this.#required().decide(request, asker, accept);
  }

  async configure(settings: HealingSettings, asker: MeshAsker, accept: Accept): Promise<HealingSettings> {
    return this.#required().configure(settings, asker, accept);
  }

  async resetKnowledge(asker: MeshAsker, accept: Accept): Promise<void> {
    return this.#required().resetKnowledge(asker, accept);
  }

  onChange(listener: (runIds: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get #access(): HealingAccess | null {
    return this.#cluster ?? this.#local;
  }

  #required(): HealingAccess {
    if (this.#access) return this.#access;
    const hint = "Start a mesh on the host, or let it join a cluster; the agent must not run with --mesh off.";
    throw new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message: NOTHING_RUNS, hint });
  }

  #follow(): void {
    this.#unsubscribe();
    const access = this.#access;
    this.#unsubscribe = access?.onChange((runIds) => this.#tell(runIds)) ?? (() => {});
    // Everything may be another's now.
    this.#tell(access?.runs().map(({ id }) => id) ?? []);
  }

  #tell(runIds: readonly string[]): void {
    for (const listener of this.#listeners) listener(runIds);
  }
}
