/** Records as the bytes of their messages, without a message object for each: a busy window has twenty thousand. */
import { create, toBinary } from "@bufbuild/protobuf";
import { FlowProcessSchema, FlowHook as WireHook } from "@wardline/api/wardline/v1/flow";
import { FlowRecordBatchSchema, FlowRecordSchema } from "@wardline/api/wardline/v1/flow_record";
import { DecisionSchema } from "@wardline/api/wardline/v1/policy";
import type { Direction } from "@wardline/domain/policy";
import { toWireDecision, toWireDirection, toWireVerdict } from "@wardline/domain/wire";
import type { GenerationContext } from "../../generations/contexts.ts";
import { HOOKS, namesOf } from "../flowMessage.ts";
import { WireWriter } from "../wireWriter.ts";
import type { RecordDraft, WindowTable } from "./windowTable.ts";

const RECORDS_FIELD = FlowRecordBatchSchema.field.records.number;
const RECORD = FlowRecordSchema.field;
const PROCESS = FlowProcessSchema.field;
/** A piece becomes one batch: far below the message of a reader. */
const PIECE_BYTES = 256 * 1024;
/** A denial may be the work of hundreds of policies, and is said in every record. */
const MAX_DECISION_BYTES = 2_048;
const MAX_POLICY_KEYS = 8;

export interface RecordSurroundings {
  readonly windowMs: number;
  /** Empty for a user that the host does not know. */
  readonly userNameOf: (userId: number) => string;
  /** What DNS answers called an address; empty when unknown. */
  readonly observedNameOf: (address: string) => string;
}

export class RecordEncoder {
  readonly #writer = new WireWriter(32 * 1024);
  #decisions = new WeakMap<GenerationContext, Map<number, Uint8Array | null>>();

  /** `records` fields of batches, oldest window first, in pieces. */
  *encode(tables: readonly WindowTable[], surroundings: RecordSurroundings): Generator<Uint8Array> {
    this.#writer.reset();
    for (const table of tables) {
      for (const draft of table.drafts()) {
        this.#writer.message(RECORDS_FIELD, () =>
          this.#write(draft, table.index * surroundings.windowMs, surroundings),
        );
        if (this.#writer.length < PIECE_BYTES) continue;
        yield this.#writer.finish();
        this.#writer.reset();
      }
    }
    if (this.#writer.length > 0) yield this.#writer.finish();
  }

  #write(
    draft: RecordDraft,
    windowStartMs: number,
    { windowMs, userNameOf, observedNameOf }: RecordSurroundings,
  ): void {
    const writer = this.#writer;
    const { context, direction } = draft;
    const subjectKey = context?.program.sets[draft.set]?.endpointKey ?? "";
    const { sourceName, destinationName } = namesOf(draft, context, subjectKey);
    this.#time(RECORD.windowStart.number, windowStartMs);
    writer.number(RECORD.windowSeconds.number, Math.round(windowMs / 1000));
    this.#time(RECORD.firstSeen.number, draft.firstSeenMs);
    this.#time(RECORD.lastSeen.number, draft.lastSeenMs);
    writer.number(RECORD.direction.number, toWireDirection(direction));
    writer.number(RECORD.protocol.number, draft.protocol);
    writer.text(RECORD.sourceAddress.number, draft.sourceAddress);
    writer.text(RECORD.destinationAddress.number, draft.destinationAddress);
    writer.number(RECORD.destinationPort.number, draft.destinationPort);
    writer.text(RECORD.sourceName.number, sourceName);
    writer.text(RECORD.destinationName.number, destinationName);
    writer.number(RECORD.verdict.number, toWireVerdict(draft.verdict));
    writer.number(RECORD.enforced.number, toWireVerdict(draft.enforced));
    const decision = context ? this.#decision(context, draft.decision, direction) : null;
    if (decision) writer.encoded(RECORD.decision.number, decision);
    writer.number(RECORD.generation.number, draft.generation);
    writer.text(RECORD.subjectKey.number, subjectKey);
    writer.text(RECORD.cgroupPath.number, draft.cgroupPath);
    writer.number(RECORD.hook.number, draft.hook === null ? WireHook.UNSPECIFIED : HOOKS[draft.hook]);
    this.#process(draft, userNameOf);
    writer.number(RECORD.started.number, draft.started);
    writer.number(RECORD.ended.number, draft.ended);
    writer.number(RECORD.deniedPackets.number, draft.deniedPackets);
    writer.number(RECORD.packets.number, draft.packets);
    writer.number(RECORD.originatorBytes.number, draft.originatorBytes);
    writer.number(RECORD.responderBytes.number, draft.responderBytes);
    writer.number(RECORD.foldedFlows.number, draft.folded?.value ?? 0);
    const remote = direction === "egress" ? draft.destinationAddress : draft.sourceAddress;
    writer.text(RECORD.observedName.number, remote === "" ? "" : observedNameOf(remote));
  }

  #time(field: number, ms: number): void {
    const seconds = Math.max(0, Math.floor(ms / 1000));
    this.#writer.message(field, () => {
      this.#writer.number(1, seconds);
      this.#writer.number(2, Math.max(0, Math.floor((ms - seconds * 1000) * 1e6)));
    });
  }

  #process({ process, hasSeveralProcesses, folded }: RecordDraft, userNameOf: (userId: number) => string): void {
    if (process === null || folded !== null) return;
    const { pid, userId, command, executable } = process;
    const writer = this.#writer;
    writer.message(RECORD.process.number, () => {
      writer.number(PROCESS.pid.number, hasSeveralProcesses ? 0 : pid);
      writer.number(PROCESS.userId.number, userId);
      writer.text(PROCESS.userName.number, userNameOf(userId));
      writer.text(PROCESS.command.number, command);
      writer.text(PROCESS.executable.number, executable);
    });
  }

  #decision(context: GenerationContext, index: number, direction: Direction): Uint8Array | null {
    const known = this.#decisions.get(context) ?? new Map<number, Uint8Array | null>();
    this.#decisions.set(context, known);
    const key = index * 2 + Number(direction === "egress");
    let encoded = known.get(key);
    if (encoded === undefined) {
      encoded = encodeDecision(context, index, direction);
      known.set(key, encoded);
    }
    return encoded;
  }
}

function encodeDecision(context: GenerationContext, index: number, direction: Direction): Uint8Array | null {
  const decision = context.program.decisions[index];
  if (decision === undefined) return null;
  const wire = toWireDecision(decision, direction);
  const encoded = toBinary(DecisionSchema, wire);
  if (encoded.length <= MAX_DECISION_BYTES) return encoded;
  const policyKeys = wire.policyKeys.slice(0, MAX_POLICY_KEYS);
  const { id, verdict, reason, tier, rule, summary, observeOnly } = wire;
  return toBinary(
    DecisionSchema,
    create(DecisionSchema, { ...{ id, verdict, reason, tier, rule, summary }, observeOnly, policyKeys }),
  );
}
