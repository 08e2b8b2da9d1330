/**
 * The meshes as the agent holds them: looked for at the start and every 10 s, loaded when one is there, and never by an agent that
 * was told to do without. What is wrong with a mesh is in its report; the agent runs in any case.
 */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { type MeshObservation, MeshObservationSchema, MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { Logger } from "pino";
import { type Clock, toTimestamp } from "../agent/clock.ts";
import { stateOf } from "./changes.ts";
import { HeldAdapter } from "./heldAdapter.ts";
import type { MeshOptions } from "./meshOptions.ts";
import type { MeshProviderAdapter, MeshProviderPlan, MeshView, ProbeTarget } from "./ports.ts";
import type { LinkProbes } from "./probes/linkProbes.ts";
import { type MonitorTiming, ProviderMonitor, USUAL_TIMING } from "./providerMonitor.ts";
import { providerPlans } from "./providers.ts";
import type { ServiceManager } from "./serviceManager.ts";

export interface MeshTiming extends MonitorTiming {
  /** When the agent has its start behind it. */
  readonly firstLookMs: number;
  /** Figures alone are told no more often. */
  readonly figuresMs: number;
}

export interface MeshHostPorts {
  readonly stateDir: string;
  readonly hostName: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly options: MeshOptions;
  /** For tests; those of this host unless given. */
  readonly plans?: readonly MeshProviderPlan[];
  readonly services?: ServiceManager;
  readonly timing?: Partial<MeshTiming>;
}

const TIMING: MeshTiming = { ...USUAL_TIMING, firstLookMs: 1_000, figuresMs: 10_000 };
const MAX_PROBES = 256;
const MAX_PROBLEMS = 50;

export class MeshHost implements MeshView {
  readonly #ports: MeshHostPorts;
  readonly #timing: MeshTiming;
  readonly #listeners = new Set<(kind: "state" | "figures") => void>();
  readonly #sessionId = randomUUID();
  readonly #monitors: readonly ProviderMonitor[];
  readonly #targets = new Map<string, readonly ProbeTarget[]>();
  readonly #problems = new Map<string, readonly string[]>();
  readonly #active = Promise.withResolvers<void>();
  #probes: LinkProbes | null = null;
  #probesLoading: Promise<void> | null = null;
  #observation: MeshObservation | null = null;
  #sequence = 0n;
  #toldState = "";
  #figuresToldAtMs = Number.NEGATIVE_INFINITY;
  #firstLook: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(ports: MeshHostPorts) {
    this.#ports = ports;
    this.#timing = { ...TIMING, ...ports.timing };
    const { log, clock } = ports;
    const plans = ports.options.isOff ? [] : (ports.plans ?? providerPlans(ports));
    this.#monitors = plans.map(
      (plan) =>
        new ProviderMonitor({
          ...{ plan, log, timing: this.#timing, wallMs: () => clock.wallMs() },
          onReport: () => this.#changed(),
          onPresent: () => this.#active.resolve(),
          isSilent: () => this.#probes?.isSilent(plan.provider) ?? false,
        }),
    );
  }

  /** Returns at once. */
  start(): void {
    const { isOff, probes } = this.#ports.options;
    if (isOff) return;
    const configured = probes.map(({ host, address }) => ({ host, address, provider: MeshProvider.IP }));
    if (configured.length > 0) this.setTargets("command line", configured);
    const look = () => {
      for (const monitor of this.#monitors) void monitor.start();
    };
    this.#firstLook = setTimeout(look, this.#timing.firstLookMs);
    this.#firstLook.unref();
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#firstLook) clearTimeout(this.#firstLook);
    await this.#probesLoading?.catch(() => {});
    this.#probes?.close();
    await Promise.all(this.#monitors.map((monitor) => monitor.close()));
  }

  /** Resolves when the first mesh or target of probes is there; never without one, nor with `--mesh off`. */
  whenActive(): Promise<void> {
    return this.#active.promise;
  }

  observation(): MeshObservation {
    if (this.#observation) return this.#observation;
    this.#sequence += 1n;
    const { hostName, clock } = this.#ports;
    this.#observation = create(MeshObservationSchema, {
      ...{ host: hostName, sessionId: this.#sessionId, sequence: this.#sequence },
      observedAt: toTimestamp(clock.wallMs()),
      // Before the first look nothing is known, not even that it is not there.
      providers: this.#monitors.map(({ report }) => report).filter(({ since }) => since !== undefined),
      probes: (this.#probes?.results() ?? []).slice(0, MAX_PROBES),
      problems: [...this.#problems.values(), this.#probes?.problems() ?? []].flat().slice(0, MAX_PROBLEMS),
    });
    return this.#observation;
  }

  onChange(listener: (kind: "state" | "figures") => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** `null` = it is not on this host. */
  adapter(provider: MeshProvider): MeshProviderAdapter | null {
    return this.#monitors.find((monitor) => monitor.provider === provider)?.adapter ?? null;
  }

  /** One for each mesh that there could be, now or later: what is not on this host says so when it is asked for something. */
  adapters(): readonly MeshProviderAdapter[] {
    return this.#monitors.map((monitor) => new HeldAdapter(monitor.provider, () => monitor.adapter));
  }

  /** Looks at all meshes now: after an act. Never rejects. */
  async refresh(): Promise<MeshObservation> {
    // A look that began before the act does not know of it.
    await Promise.all(this.#monitors.map((monitor) => monitor.look()));
    await Promise.all(this.#monitors.map((monitor) => monitor.look()));
    return this.observation();
  }

  /** Ways to other hosts that are measured, besides those of the command line. Replaces what the same source said before. */
  setTargets(source: string, targets: readonly ProbeTarget[]): void {
    if (this.#ports.options.isOff) return;
    this.#targets.set(source, targets);
    const all = [...this.#targets.values()].flat();
    if (all.length === 0 && this.#probes === null) return;
    this.#probesLoading ??= this.#loadProbes();
    void this.#probesLoading.then(() => this.#probes?.setTargets([...this.#targets.values()].flat()));
  }

  /** Sentences for the observation's problems. Replaces what the same source said before. */
  setProblems(source: string, sentences: readonly string[]): void {
    if (JSON.stringify(this.#problems.get(source) ?? []) === JSON.stringify(sentences)) return;
    this.#problems.set(source, sentences);
    this.#changed();
  }

  async #loadProbes(): Promise<void> {
    try {
      const { LinkProbes } = await import("./probes/linkProbes.ts");
      if (this.#isClosed) return;
      this.#probes = new LinkProbes();
      this.#probes.onChange(() => this.#changed());
      this.#probes.onDoubt((provider, isRefused) => this.#lookAtSilent(provider, isRefused));
      this.#active.resolve();
    } catch (error) {
      this.#ports.log.error({ err: error }, "ways to other hosts cannot be measured");
      this.setProblems("probes", ["Ways to other hosts cannot be measured: the agent's log says why."]);
    }
  }

  /** Where a mesh falls silent, its daemon is the first that is asked. */
  #lookAtSilent(provider: MeshProvider, isRefused: boolean): void {
    if (!isRefused && !this.#probes?.isSilent(provider)) return;
    void this.#monitors.find((monitor) => monitor.provider === provider)?.look();
  }

  #changed(): void {
    if (this.#isClosed) return;
    this.#observation = null;
    const state = stateOf(this.observation());
    const isState = state !== this.#toldState;
    const nowMs = performance.now();
    if (!isState && nowMs - this.#figuresToldAtMs < this.#timing.figuresMs) return;
    this.#toldState = state;
    this.#figuresToldAtMs = nowMs;
    for (const listener of this.#listeners) listener(isState ? "state" : "figures");
  }
}
