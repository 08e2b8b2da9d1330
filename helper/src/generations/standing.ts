/** What stands now: the enforced generation, who is cut off, what is wrong. Shared by everything that changes it. */
import type { QuarantineRecord } from "../agent/policyEngine.ts";
import type { EnforcementMode } from "../enforce/enforcer.ts";
import type { ControllerPorts } from "./controllerTypes.ts";
import { Ledger } from "./ledger.ts";
import { type QuietOptions, replaceQuietly } from "./quietSwitch.ts";
import { GENERATION_ZERO, type GenerationRecord, type StoredGeneration, toRecord } from "./records.ts";
import { type Recovered, recover } from "./recovery.ts";
import { type Compiled, compileAgain, cutOff } from "./switching.ts";

export class Standing {
  readonly ledger: Ledger;
  readonly #ports: ControllerPorts;
  readonly #listeners = new Set<() => void>();
  #startProblems: readonly string[] = [];
  enforced: GenerationRecord = GENERATION_ZERO;
  /** Every generation since their last change was compiled with them, in both slots. */
  quarantines: readonly QuarantineRecord[] = [];

  constructor(ports: ControllerPorts) {
    this.#ports = ports;
    this.ledger = new Ledger(ports.store, () => this.changed());
  }

  get problems(): readonly string[] {
    const { problem } = this.ledger;
    return problem === null ? this.#startProblems : [...this.#startProblems, problem];
  }

  /** Adopts, rolls back or loads; see recovery.ts. */
  async start(): Promise<void> {
    const recovered = await recover(this.#ports, this.#ports.store);
    const { index, enforced, rolledBack, braked, trusted } = recovered;
    this.ledger.adopt(index, trusted);
    this.enforced = enforced;
    this.#startProblems = recovered.problems;
    this.quarantines = recovered.quarantines;
    this.#tell(recovered);
    const isStale = rolledBack !== null || braked !== null || (await this.#isOtherBrakeOnDisk());
    if (isStale && trusted) await this.ledger.settle(index);
  }

  /** The problems of the start are over: somebody has put policies in force since. */
  repaired(): void {
    this.#startProblems = [];
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

  async underPresentCircumstances(base: Compiled, mode: EnforcementMode): Promise<Compiled> {
    const hasNames = base.dependencies.domainNames.length > 0;
    if (!hasNames && this.quarantines.length === 0) return base;
    const named = hasNames ? await this.#ports.circumstances(base.dependencies) : base.circumstances;
    const circumstances = { ...base.circumstances, domainAddresses: named.domainAddresses };
    return compileAgain(this.#ports, base, cutOff(circumstances, this.quarantines, mode));
  }

  async replaceQuietly(stored: StoredGeneration, compiled: Compiled, options: QuietOptions = {}): Promise<void> {
    const next = await replaceQuietly(this.#ports, this.ledger, stored, compiled, options);
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
