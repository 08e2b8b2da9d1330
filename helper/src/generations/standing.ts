/** What stands now: the enforced generation, who is cut off, what is wrong. Shared by everything that changes it. */
import { NO_NAMES, NOTHING_DISCOVERED, type QuarantineRecord } from "../agent/policyEngine.ts";
import type { EnforcementMode } from "../enforce/enforcer.ts";
import type { ControllerPorts } from "./controllerTypes.ts";
import { Ledger } from "./ledger.ts";
import { type QuietOptions, replaceQuietly } from "./quietSwitch.ts";
import { GENERATION_ZERO, type GenerationRecord, type StoredGeneration, toRecord } from "./records.ts";
import { type Recovered, recover } from "./recovery.ts";
import { type Compiled, compileAgain, cutOff, type ReadPolicies } from "./switching.ts";

/** Refreshes in a row that a plan may be old. */
const MAX_REMEMBERED = 1_000;

export class Standing {
  readonly ledger: Ledger;
  readonly #ports: ControllerPorts;
  readonly #listeners = new Set<() => void>();
  #startProblems: readonly string[] = [];
  #unnamed: { readonly generation: number; readonly problem: string } | null = null;
  #refreshed: { readonly from: readonly number[]; readonly to: number } = { from: [], to: -1 };
  enforced: GenerationRecord = GENERATION_ZERO;
  /** Every generation since their last change was compiled with them, in both slots. */
  quarantines: readonly QuarantineRecord[] = [];

  constructor(ports: ControllerPorts) {
    this.#ports = ports;
    this.ledger = new Ledger(ports.store, () => this.changed());
  }

  get problems(): readonly string[] {
    const { problem } = this.ledger;
    // A refresh for an expired policy replaces the tables of another version, and nothing else that the start found.
    const unnamed = this.#unnamed?.generation === this.enforced.number ? this.#unnamed.problem : null;
    return [...this.#startProblems, ...[unnamed, problem].filter((each) => each !== null)];
  }

  /** Adopts, rolls back or loads; see recovery.ts. */
  async start(): Promise<void> {
    const recovered = await recover(this.#ports, this.#ports.store);
    const { index, enforced, rolledBack, braked, trusted } = recovered;
    this.ledger.adopt(index, trusted);
    this.enforced = enforced;
    this.#startProblems = recovered.problems;
    this.#unnamed = recovered.unnamed === null ? null : { generation: enforced.number, problem: recovered.unnamed };
    this.quarantines = recovered.quarantines;
    this.#tell(recovered);
    const isStale = rolledBack !== null || braked !== null || (await this.#isOtherBrakeOnDisk());
    if (isStale && trusted) await this.ledger.settle(index);
  }

  /** The problems of the start are over: somebody has put policies in force since. */
  repaired(): void {
    this.#startProblems = [];
    this.#unnamed = null;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  forgetListeners(): void {
    this.#listeners.clear();
  }

  /**
   * The enforced generation's number for whoever names it, or one that it took over from by a refresh: those differ in
   * nothing that anybody decided. Other numbers stay as they are.
   */
  presentNumber<Number extends number | null>(named: Number): Number | number {
    const { from, to } = this.#refreshed;
    const isMeant = named !== null && to === this.enforced.number && from.includes(named);
    return isMeant ? to : named;
  }

  /**
   * Compiled as things are at this moment. `atOnce`: with what is known of names, for whoever does not wait for DNS. Throws
   * what the engine throws.
   */
  async underPresentCircumstances(
    policies: ReadPolicies,
    mode: EnforcementMode,
    { atOnce = false }: { readonly atOnce?: boolean } = {},
  ): Promise<Compiled> {
    const { clock, engine, hostName } = this.#ports;
    const discovered = this.#ports.discovered?.() ?? NOTHING_DISCOVERED;
    const dependencies = engine.dependencies(policies.world, hostName, discovered);
    const hasNames = dependencies.domainNames.length > 0;
    const { domainAddresses } = hasNames
      ? await this.#ports.circumstances(dependencies, { atOnce })
      : { domainAddresses: NO_NAMES };
    const present = { atUnixMs: clock.wallMs(), domainAddresses, discovered, quarantines: [], observesPolicies: false };
    return compileAgain(this.#ports, policies, cutOff(present, this.quarantines, mode));
  }

  async replaceQuietly(stored: StoredGeneration, compiled: Compiled, options: QuietOptions = {}): Promise<void> {
    const before = this.enforced.number;
    const next = await replaceQuietly(this.#ports, this.ledger, stored, compiled, options);
    if (options.isRefresh) {
      const earlier = this.#refreshed.to === before ? this.#refreshed.from.slice(-MAX_REMEMBERED) : [];
      this.#refreshed = { from: [...earlier, before], to: next.number };
    }
    this.enforced = toRecord(next);
    this.quarantines = next.circumstances.quarantines;
    this.changed();
  }

  #tell({ braked, rolledBack, enforced }: Recovered): void {
    const { recordAutomatic } = this.#ports;
    if (braked !== null) recordAutomatic("emergency.start", braked);
    if (rolledBack === null) return;
    const back = `generation ${rolledBack} was not confirmed when the agent ended; back to ${enforced.number}`;
    recordAutomatic("rollback.restart", back);
  }

  async #isOtherBrakeOnDisk(): Promise<boolean> {
    const read = await this.#ports.store.readIndex();
    const recorded = read.kind === "read" ? read.index.emergency : null;
    return recorded?.state !== this.ledger.index.emergency?.state;
  }
}
