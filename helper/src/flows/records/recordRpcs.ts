/** wardline.agent.v1.RecordService: the journal as it is on the disk, for readers that remember how far they are. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/agent/v1/records";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Guard } from "../../server/guard.ts";
import type { StreamSlots } from "../../server/streamSlots.ts";
import { WIRE_TYPE, WireWriter } from "../wireWriter.ts";
import type { EncodedBatch } from "./batchBytes.ts";
import type { RecordJournal } from "./recordJournal.ts";

const BATCHES_FIELD = wire.ReadRecordsResponseSchema.field.batches.number;
/** Its number is below 16, so that its tag is one byte. */
const BATCHES_TAG_BYTES = 1;
/** A reader for whom there is nothing new still hears that the host is there. */
const STATE_EVERY_MS = 10_000;

export interface RecordRpcPorts {
  readonly guard: Guard;
  readonly journal: RecordJournal;
  readonly slots: StreamSlots;
  /** Another time in tests. */
  readonly stateEveryMs?: number;
}

export class RecordRpcs {
  readonly #ports: RecordRpcPorts;

  constructor(ports: RecordRpcPorts) {
    this.#ports = ports;
  }

  routes(): ServiceImpl<typeof wire.RecordService> {
    const { guard, journal } = this.#ports;
    return {
      getJournal: () => create(wire.GetJournalResponseSchema, { journal: journal.state() }),
      readRecords: (request: wire.ReadRecordsRequest, { signal }: HandlerContext) =>
        guard.stream("ReadRecords", this.#read(request, signal)),
    };
  }

  /** From the disk, at the pace of the reader; then whenever something was written, from the disk again. */
  async *#read(request: wire.ReadRecordsRequest, signal: AbortSignal): AsyncGenerator<wire.ReadRecordsResponse> {
    const { journal, slots, stateEveryMs = STATE_EVERY_MS } = this.#ports;
    const { untilSequence } = request;
    const leave = slots.enter();
    const changes = new Wake((wake) => journal.onChange(wake));
    try {
      let after: bigint | null = null;
      while (!signal.aborted) {
        changes.forget();
        const state = journal.state();
        after ??= beginningFor(request, state);
        yield create(wire.ReadRecordsResponseSchema, { journal: state });
        if (after !== null) {
          for await (const batches of journal.readEncoded(after, signal)) {
            const wanted = untilSequence === 0n ? batches : batches.filter(({ sequence }) => sequence <= untilSequence);
            after = batches.at(-1)?.sequence ?? after;
            if (wanted.length > 0) yield batchesResponse(journal.state(), wanted);
            if (untilSequence !== 0n && after >= untilSequence) return;
          }
          // What was lost from the journal does not come any more.
          if (untilSequence !== 0n && state.lastSequence >= untilSequence) return;
        }
        await changes.wait(signal, stateEveryMs);
      }
    } finally {
      changes.close();
      leave();
    }
  }
}

/** `null` while the journal cannot be opened. Throws `Failure` HISTORY_DAMAGED. */
function beginningFor({ journalId, afterSequence }: wire.ReadRecordsRequest, state: wire.JournalState): bigint | null {
  if (state.journalId === "") return null;
  if (journalId !== state.journalId) return 0n;
  if (afterSequence <= state.lastSequence) return afterSequence;
  throw new Failure({
    code: ErrorCode.HISTORY_DAMAGED,
    message: `The journal of this host ends with batch ${state.lastSequence}, and batch ${afterSequence} was read from it: it was put back to an earlier state.`,
    hint: "Read it from its end on, or from its beginning under another name of the host.",
  });
}

function batchesResponse(journal: wire.JournalState, batches: readonly EncodedBatch[]): wire.ReadRecordsResponse {
  const response = create(wire.ReadRecordsResponseSchema, { journal });
  const sizeBytes = batches.reduce((sum, { bytes }) => sum + bytes.length + 8, 0);
  const writer = new WireWriter(sizeBytes + 64);
  for (const { bytes } of batches) writer.encoded(BATCHES_FIELD, bytes);
  // The library writes the first tag by itself.
  const data = writer.finish().subarray(BATCHES_TAG_BYTES);
  response.$unknown = [{ no: BATCHES_FIELD, wireType: WIRE_TYPE.lengthDelimited, data }];
  return response;
}

/** Remembers a change that came while nobody waited. */
class Wake {
  #happened = false;
  #wake: () => void = () => {};
  readonly close: () => void;

  constructor(subscribe: (wake: () => void) => () => void) {
    this.close = subscribe(() => {
      this.#happened = true;
      this.#wake();
    });
  }

  forget(): void {
    this.#happened = false;
  }

  wait(signal: AbortSignal, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", finish);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(finish, timeoutMs);
      signal.addEventListener("abort", finish, { once: true });
      this.#wake = finish;
      if (signal.aborted || this.#happened) finish();
    });
  }
}
