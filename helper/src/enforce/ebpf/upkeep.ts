/** What has to be looked after while the agent lives: cgroups, addresses, pins. Every second, and when something happens. */
import { Vouching, type VouchingPorts } from "./connect/vouching.ts";
import type { Control } from "./control.ts";
import { keepPins } from "./pinKeeper.ts";
import type { PinnedTree } from "./tree.ts";
import type { WorkloadFollower } from "./workloads.ts";

const INTERVAL_MS = 1000;

export interface UpkeepParts {
  readonly tree: PinnedTree;
  readonly control: Control;
  readonly workloads: WorkloadFollower;
  readonly bpffsDir: string;
  readonly vouching: VouchingPorts | undefined;
  /** The workloads of a slot changed: its flows have to be judged again. */
  readonly onWorkloads: (slot: 0 | 1) => void;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export class Upkeep {
  readonly #parts: UpkeepParts;
  readonly #vouching: Vouching;
  readonly #timer: NodeJS.Timeout;
  #workloadProblem: string | null = null;
  #pinProblem: string | null = null;
  #mountedOn: string | null = null;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
    this.#vouching = new Vouching(parts.tree.maps.wl_local_addresses, parts.vouching);
    this.#vouching.refresh();
    parts.workloads.open(parts.tree, () => this.refreshWorkloads());
    this.#timer = setInterval(() => this.#everySecond(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** Where a BPF file system was mounted to pin again; `null` when none was. */
  get mountedOn(): string | null {
    return this.#mountedOn;
  }

  get problems(): readonly string[] {
    return [this.#workloadProblem, this.#pinProblem].filter((problem) => problem !== null);
  }

  /** Looks for cgroups that appeared or went, and makes their flows ask again. */
  refreshWorkloads(): void {
    const { workloads, tree, control, onWorkloads } = this.#parts;
    try {
      for (const slot of workloads.refresh(tree, control)) onWorkloads(slot);
      this.#workloadProblem = null;
    } catch (error) {
      this.#workloadProblem = `Cgroups could not be assigned to their workloads: ${reasonOf(error)}`;
    }
  }

  /** Puts back pins that somebody took away: without them enforcement ends with this process. */
  keepPins(): void {
    const { tree, bpffsDir } = this.#parts;
    try {
      this.#mountedOn = keepPins(tree, bpffsDir).mountedOn ?? this.#mountedOn;
      this.#pinProblem = null;
    } catch (error) {
      this.#pinProblem = `The pins in ${bpffsDir} are gone and cannot be put back (${reasonOf(error)}): what is enforced would end with the agent.`;
    }
  }

  /** Finds out now whether connections are translated. Runs every half minute by itself. */
  checkTranslation(): Promise<void> {
    return this.#vouching.checkTranslation();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#vouching.close();
    this.#parts.workloads.close();
  }

  #everySecond(): void {
    this.refreshWorkloads();
    this.#vouching.refresh();
    this.keepPins();
  }
}
