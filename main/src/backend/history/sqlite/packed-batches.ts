/**
 * Records on their way to the writer's thread: texts once, everything else numbers. Handing over the messages themselves
 * would copy every object of them on the main thread.
 */
import { toBinary } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { FlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { type Decision, DecisionSchema } from "@wardline/api/wardline/v1/policy";
import type { IngestBatch } from "../flow-history.ts";

import { FIELD, FIELD_COUNT, type PackedBatch, type PackedBatches, type PackedDecision } from "./packed-layout.ts";

export function packBatches(given: readonly IngestBatch[]): PackedBatches {
  let count = 0;
  for (const { batches } of given) for (const { records } of batches) count += records.length;
  const packer = new Packer(count);
  const packed: PackedBatch[] = [];
  for (const { hostId, hostName, journalId, batches } of given) {
    for (const { sequence, records } of batches) {
      for (const record of records) packer.add(record);
      packed.push({ hostId, hostName, journalId, sequence: Number(sequence), count: records.length });
    }
  }
  const { texts, decisions, records } = packer;
  return { texts, decisions, records, batches: packed };
}

class Packer {
  readonly texts: string[] = [""];
  readonly decisions: PackedDecision[] = [];
  readonly records: Float64Array<ArrayBuffer>;
  readonly #textIndexes = new Map<string, number>([["", 0]]);
  readonly #decisionIndexes = new Map<string, number>();
  #at = 0;

  constructor(count: number) {
    this.records = new Float64Array(count * FIELD_COUNT);
  }

  add(record: FlowRecord): void {
    const { records } = this;
    const at = this.#at;
    const { process } = record;
    const startMs = toMs(record.windowStart);
    records[at + FIELD.direction] = record.direction;
    records[at + FIELD.protocol] = record.protocol;
    records[at + FIELD.source] = this.#text(record.sourceAddress);
    records[at + FIELD.destination] = this.#text(record.destinationAddress);
    records[at + FIELD.port] = record.destinationPort;
    records[at + FIELD.sourceName] = this.#text(record.sourceName);
    records[at + FIELD.destinationName] = this.#text(record.destinationName);
    records[at + FIELD.observedName] = this.#text(record.observedName);
    records[at + FIELD.verdict] = record.verdict;
    records[at + FIELD.enforced] = record.enforced;
    records[at + FIELD.decision] = record.decision ? this.#decision(record.decision) : 0;
    records[at + FIELD.subject] = this.#text(record.subjectKey);
    records[at + FIELD.cgroup] = this.#text(record.cgroupPath);
    records[at + FIELD.hook] = record.hook;
    if (process) {
      const { pid, userId, userName, command, executable } = process;
      const isKnown = pid > 0 || command !== "" || executable !== "" || userName !== "";
      records[at + FIELD.userId] = userId;
      records[at + FIELD.userName] = this.#text(userName);
      records[at + FIELD.command] = this.#text(command);
      records[at + FIELD.executable] = this.#text(executable);
      records[at + FIELD.hasProcess] = 1;
      records[at + FIELD.isKnownProcess] = isKnown ? 1 : 0;
      records[at + FIELD.pid] = pid;
    }
    records[at + FIELD.startMs] = startMs;
    records[at + FIELD.lengthMs] = record.windowSeconds * 1000;
    records[at + FIELD.firstMs] = toMs(record.firstSeen);
    records[at + FIELD.lastMs] = toMs(record.lastSeen);
    records[at + FIELD.started] = Number(record.started);
    records[at + FIELD.ended] = Number(record.ended);
    records[at + FIELD.denied] = Number(record.deniedPackets);
    records[at + FIELD.packets] = Number(record.packets);
    records[at + FIELD.outBytes] = Number(record.originatorBytes);
    records[at + FIELD.inBytes] = Number(record.responderBytes);
    records[at + FIELD.generation] = Number(record.generation);
    records[at + FIELD.folded] = record.foldedFlows;
    this.#at = at + FIELD_COUNT;
  }

  #text(text: string): number {
    let index = this.#textIndexes.get(text);
    if (index === undefined) {
      index = this.texts.length;
      this.texts.push(text);
      this.#textIndexes.set(text, index);
    }
    return index;
  }

  #decision(decision: Decision): number {
    const key = decisionKey(decision);
    let index = this.#decisionIndexes.get(key);
    if (index === undefined) {
      const { policyKeys, summary } = decision;
      this.decisions.push({ wire: toBinary(DecisionSchema, decision), policyKeys: [...policyKeys], summary, key });
      index = this.decisions.length;
      this.#decisionIndexes.set(key, index);
    }
    return index;
  }
}

/** Every field, so that no two different decisions share one. */
function decisionKey(decision: Decision): string {
  const { id, verdict, reason, tier, policyKeys, rule, source, summary, observeOnly } = decision;
  const place = source ? [source.file, source.line, source.column, source.endLine, source.endColumn] : [];
  return [id, verdict, reason, tier, observeOnly, rule, summary, policyKeys.length, ...policyKeys, ...place].join("\n");
}

function toMs(time: Timestamp | undefined): number {
  return time === undefined ? 0 : Number(time.seconds) * 1000 + Math.floor(time.nanos / 1e6);
}
