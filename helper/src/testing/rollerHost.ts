/** The kernel's flow table and rings as events, a hub, and an agent's roller and journal on a directory; restarts and crashes. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import type { FlowRecord } from "@wardline/api/wardline/v1/flow_record";
import type { Clock } from "../agent/clock.ts";
import type { Enforcer, FlowEvent, FlowProgress } from "../enforce/enforcer.ts";
import type { KeptFlow } from "../flows/flowMessage.ts";
import { RecordJournal } from "../flows/records/recordJournal.ts";
import { type FlowFeed, RecordRoller } from "../flows/records/recordRoller.ts";

const EPOCH_MS = 1_800_000_000_000;
const NO_LOSSES = { ringFull: 0n, rateLimited: 0n, notFollowed: 0n };

/** Moves when told; the one thing that waits for it is fired by hand. */
class HandClock implements Clock {
  nowMs = 1_000_000;
  wallOffsetMs = EPOCH_MS;
  #due: (() => void) | null = null;
  #onScheduled: () => void = () => {};

  bootNs(): bigint {
    return BigInt(Math.round(this.nowMs * 1e6));
  }

  wallMs(): number {
    return this.wallOffsetMs + this.nowMs;
  }

  schedule(_delayMs: number, run: () => void): () => void {
    this.#due = run;
    this.#onScheduled();
    return () => {
      this.#due = null;
    };
  }

  /** Resolves when what was fired waits again. */
  fire(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onScheduled = resolve;
    const run = this.#due;
    this.#due = null;
    run?.();
    return promise;
  }
}

export interface SimulatedFlow {
  event: FlowEvent;
  packets: number;
  originatorBytes: number;
  responderBytes: number;
}

/** The kernel's flow table and ring, the hub in front of it, and an agent's roller and journal on a directory. */
export class RollerHost {
  readonly clock = new HandClock();
  readonly flows = new Map<string, SimulatedFlow>();
  directory: string;
  lost = NO_LOSSES;
  cuts = 0;
  journal!: RecordJournal;
  roller!: RecordRoller;
  readonly maxKeys: number;
  readonly #base: string;
  #copies = 0;
  #listener: (flows: readonly KeptFlow[]) => void = () => {};

  constructor(base: string, maxKeys = 1_000) {
    this.#base = base;
    this.directory = join(base, "0");
    this.maxKeys = maxKeys;
  }

  async start(): Promise<void> {
    const { clock, directory } = this;
    this.journal = await RecordJournal.open({
      ...{ directory, maxBytes: 8 << 20, maxAgeMs: 1e12 },
      wallMs: () => clock.wallMs(),
    });
    const enforcer: Pick<Enforcer, "flowProgress" | "losses" | "state"> = {
      flowProgress: (since) => this.#readings(since),
      losses: () => this.lost,
      state: () => ({ attached: true }) as ReturnType<Enforcer["state"]>,
    };
    this.roller = await RecordRoller.open({
      ...{ enforcer, clock, journal: this.journal, bootId: "boot", maxKeys: this.maxKeys },
      progressPath: join(directory, "progress"),
      contextOf: () => undefined,
      userNameOf: () => "",
      observedNameOf: () => "",
      log: {
        error: (details: object) => {
          throw new Error(JSON.stringify(details));
        },
      },
    });
    const feed: FlowFeed = {
      onPublish: (listener) => {
        this.#listener = listener;
        return () => {};
      },
      inOrder: async (task) => task(),
      cgroupPathOf: () => "",
    };
    this.roller.start(feed);
  }

  async *#readings(since: bigint): AsyncGenerator<readonly FlowProgress[]> {
    this.cuts += 1;
    const sinceMs = Number(since) / 1e6;
    const readings = [...this.flows.values()].map(
      (flow): FlowProgress => ({ ...counted(flow), lastSeenBootNs: flow.event.bootNs }),
    );
    for (const reading of readings) if (Number(reading.lastSeenBootNs) / 1e6 >= sinceMs) yield [reading];
  }

  publish(...events: readonly FlowEvent[]): void {
    this.#listener(events.map((event, id) => ({ id: BigInt(id), event, cgroupPath: "/a", executable: "" })));
  }

  /** To the end of the window, and the cut. After a restart the window that was open is over already, so it is the next. */
  async cut(): Promise<void> {
    for (const before = this.cuts; this.cuts === before; ) {
      this.clock.nowMs += 10_000 - (this.clock.wallMs() % 10_000) + 300;
      await this.clock.fire();
    }
  }

  async restart(): Promise<void> {
    await this.roller.close();
    await this.journal.close();
    await this.start();
  }

  /** What is on the disk now is all that the next agent has. */
  async crash(): Promise<void> {
    const left = this.directory;
    this.#copies += 1;
    this.directory = join(this.#base, String(this.#copies));
    cpSync(left, this.directory, { recursive: true });
    await this.roller.close();
    await this.journal.close();
    await this.start();
  }

  async records(): Promise<FlowRecord[]> {
    const found: FlowRecord[] = [];
    for await (const batches of this.journal.read(0n, new AbortController().signal))
      found.push(...batches.flatMap(({ records }) => records));
    return found;
  }

  async close(): Promise<void> {
    await this.roller.close();
    await this.journal.close();
  }
}

export function counted({ event, packets, originatorBytes, responderBytes }: SimulatedFlow): FlowEvent {
  const totals = { originatorBytes: BigInt(originatorBytes), responderBytes: BigInt(responderBytes) };
  return { ...event, ...totals, packets: BigInt(packets), bytes: totals.originatorBytes + totals.responderBytes };
}

const COUNTS = ["started", "ended", "deniedPackets", "packets", "originatorBytes", "responderBytes"] as const;
export type Counts = Record<(typeof COUNTS)[number], bigint>;

export function sumOf(records: readonly Counts[]): Counts {
  return Object.fromEntries(
    COUNTS.map((count) => [count, records.reduce((sum, record) => sum + record[count], 0n)]),
  ) as Counts;
}
