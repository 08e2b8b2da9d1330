/** A candidate of a simulation with a client beside it that writes as long as it believes that it leads, and late. */
import type { RecordedLead, RecordedWrite } from "@wardline/domain/cluster";
import { Keys } from "../cluster/keys.ts";
import { Leadership } from "../cluster/leadership/leadership.ts";
import { Session } from "../cluster/leadership/session.ts";
import type { HeldTerm } from "../cluster/ports.ts";
import { MemoryClusterStore, type MemoryStoreState } from "./memoryClusterStore.ts";
import type { SimulatedHost } from "./simulatedHost.ts";

export const WRITES = "/writes/";
const silent = { info: () => {}, warn: () => {} };

export interface CandidateOptions {
  readonly name: string;
  readonly host: SimulatedHost;
  readonly state: MemoryStoreState;
  readonly leaseMs: number;
  readonly random: () => number;
  readonly candidate?: boolean;
  readonly mayCampaign?: () => boolean;
}

export class SimulatedCandidate {
  readonly name: string;
  readonly host: SimulatedHost;
  readonly session: Session;
  readonly leadership: Leadership;
  readonly leads: RecordedLead[] = [];
  readonly writes: RecordedWrite[] = [];
  readonly #store: MemoryClusterStore;
  readonly #random: () => number;
  /** What was held before: a client may still believe in it. */
  #remembered: HeldTerm | null = null;
  #count = 0;

  constructor({ name, host, state, leaseMs, random, candidate = true, mayCampaign = () => true }: CandidateOptions) {
    this.name = name;
    this.host = host;
    this.#random = random;
    this.#store = new MemoryClusterStore(state, host);
    const ports = { store: this.#store, clock: host, random, log: silent };
    this.session = new Session({ ...ports, leaseMs });
    const { session } = this;
    this.leadership = new Leadership({ ...ports, session, keys: new Keys(), name, candidate, mayCampaign });
    this.leadership.onChange(() => this.#note());
  }

  start(): void {
    this.session.start();
    this.leadership.start();
  }

  async stop(): Promise<void> {
    await this.leadership.stop();
    await this.session.stop();
  }

  /** Writes every `everyMs`, with the present term, and now and then with one that may be over. */
  writeEvery(everyMs: number): void {
    this.host.schedule(everyMs * (0.5 + this.#random()), () => {
      const held = this.leadership.held();
      if (held) this.#remembered = held;
      const term = held ?? this.#remembered;
      if (term) void this.#write(term);
      this.writeEvery(everyMs);
    });
  }

  async #write(term: HeldTerm): Promise<void> {
    const id = `${this.name}-${this.#count++}`;
    const value = new TextEncoder().encode(`${term.number}`);
    const record = { id, term: term.number, writer: this.name, fromMs: this.#nowMs() };
    try {
      const { succeeded } = await this.#store.transact({
        compare: term.fence,
        then: [{ kind: "put", key: `${WRITES}${id}`, value }],
      });
      this.writes.push({ ...record, untilMs: this.#nowMs(), outcome: succeeded ? "written" : "refused" });
    } catch {
      this.writes.push({ ...record, untilMs: this.#nowMs(), outcome: "unknown" });
    }
  }

  #nowMs(): number {
    return Number(this.host.bootNs()) / 1e6;
  }

  #note(): void {
    const held = this.leadership.held();
    if (held && this.leads.at(-1)?.term !== held.number) this.leads.push({ term: held.number, leader: this.name });
  }
}
