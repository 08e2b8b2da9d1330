/** The journal of flow records: what is in it, what went into it, and what did not. */
import { Counter, Gauge, type Registry } from "@prometheus-io/client";
import { Growth } from "./growth.ts";
import type { RecordFigures } from "./sources.ts";

export class RecordMetrics {
  readonly #sizeBytes: Gauge;
  readonly #problem: Gauge;
  readonly #followed: Gauge;
  readonly #records: Counter;
  readonly #batches: Counter;
  readonly #folded: Counter;
  readonly #lost: Counter;
  readonly #growth = new Growth();

  constructor(registers: Registry[]) {
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    const counter = (name: string, help: string) => new Counter({ name, help, registers });
    this.#sizeBytes = gauge("wardline_record_journal_bytes", "Size of the journal of flow records.");
    this.#problem = gauge("wardline_record_journal_problem", "1 while flow records cannot be written.");
    this.#followed = gauge("wardline_record_flows_followed", "Living flows whose progress is recorded.");
    this.#records = counter("wardline_records_total", "Flow records that reached the journal.");
    this.#batches = counter("wardline_record_batches_total", "Batches of flow records that reached the journal.");
    this.#folded = counter(
      "wardline_records_folded_total",
      "Records in which the flows were put together that a window had no room for.",
    );
    this.#lost = counter(
      "wardline_record_events_lost_total",
      "Events of flows whose window could not be written to the journal and was given up.",
    );
  }

  sample({ sizeBytes, hasProblem, followedFlows, records, batches, foldedRecords, lostEvents }: RecordFigures): void {
    this.#sizeBytes.set(sizeBytes);
    this.#problem.set(Number(hasProblem));
    this.#followed.set(followedFlows);
    this.#records.inc(this.#growth.of("records", BigInt(records)));
    this.#batches.inc(this.#growth.of("batches", BigInt(batches)));
    this.#folded.inc(this.#growth.of("folded", BigInt(foldedRecords)));
    this.#lost.inc(this.#growth.of("lost", BigInt(lostEvents)));
  }
}
